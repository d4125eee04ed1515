"""Versions of a definition: encrypted when written, decrypted when used, never changed."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any
from uuid import UUID

from apps.connectors.custom_sources import kinds as custom_kinds
from apps.connectors.custom_sources.kinds import Kinds
from apps.connectors.models import Connector
from apps.orgs import vault
from apps.orgs.exceptions import NotFound
from apps.orgs.models import Org
from apps.orgs.placement import visible_objects
from apps.orgs.principals import Principal
from apps.orgs.roles import Permission
from apps.pipelines.definition import Connectors, Definition, Sent, connector_ids
from apps.pipelines.models import Pipeline, PipelineVersion

SEALED_FOR = "pipeline_version"
HIGHEST = 2**31 - 1  # the largest number of the column's type; no version has a larger one


def add(
    *,
    org: Org,
    pipeline: Pipeline,
    built: Definition,
    user_id: UUID | None,
    note: str = "",
) -> PipelineVersion:
    """Write the version numbered `pipeline.version`."""
    version = PipelineVersion(
        org=org,
        pipeline=pipeline,
        number=pipeline.version,
        definition=built.document,
        secret_hints=built.hints,
        note=note,
        created_by_id=user_id,
    )
    if built.secrets:
        version.sealed = vault.seal(org, SEALED_FOR, version.pk, built.secrets)
    version.save(force_insert=True)
    return version


def numbered(org: Org, pipeline: Pipeline, number: int) -> PipelineVersion:
    """Return the version. Raises PipelineVersion.DoesNotExist."""
    found: PipelineVersion = PipelineVersion.objects.for_org(org).get(
        pipeline=pipeline, number=number
    )
    return found


def of_pipeline(org: Org, pipeline: Pipeline) -> Any:
    """Return the pipeline's versions, with their authors."""
    return (
        PipelineVersion.objects.for_org(org).filter(pipeline=pipeline).select_related("created_by")
    )


def found(org: Org, pipeline: Pipeline, number: int) -> PipelineVersion:
    """Return the version with a number from a request. Raises NotFound."""
    version: PipelineVersion | None = (
        of_pipeline(org, pipeline).filter(number=min(number, HIGHEST)).first()
    )
    if version is None:
        raise NotFound
    return version


def current(org: Org, pipeline: Pipeline) -> Definition:
    return opened(org, numbered(org, pipeline, pipeline.version))


def opened(org: Org, version: PipelineVersion) -> Definition:
    """Return the definition with plain secrets. Never show, log or store them."""
    if not version.sealed:
        return Definition(version.definition)
    stored = vault.unseal(org, SEALED_FOR, version.pk, version.sealed)
    return Definition(version.definition, stored)


def usable_connectors(org: Org, by: Principal, *documents: Sent) -> Connectors:
    """Return the connectors in the documents that `by` may use, locked so that none is deleted meanwhile.

    A connector of a domain requires pipelines.edit there; one without a domain may be used by everyone.
    """
    wanted = connector_ids(*documents)
    if not wanted:
        return Connectors([], _kinds(org, [], documents))
    rows = Connector.objects.for_org(org).filter(pk__in=wanted).order_by("pk")
    rows = rows.select_for_update(no_key=True)
    allowed = [
        row
        for row in visible_objects(rows, by)
        if row.domain_id is None or by.may(Permission.PIPELINES_EDIT, domain_id=row.domain_id)
    ]
    return Connectors(allowed, _kinds(org, allowed, documents))


def _kinds(org: Org, rows: Iterable[Connector], documents: Sequence[Sent]) -> Kinds:
    """Return the kinds of the documents and their connectors; the newest document's pinned version is used."""
    sources = [part for one in documents if isinstance(part := one.get("source"), Mapping)]
    named = [kind for part in sources if isinstance(kind := part.get("kind"), str)]
    pins = [part["version"] for part in sources[:1] if type(part.get("version")) is int]
    if not pins and sources and "version" not in sources[0]:  # a patch that keeps the definition
        pins = [part["version"] for part in sources[1:] if type(part.get("version")) is int]
    return custom_kinds.kinds(org, [*named, *(row.kind for row in rows)], pins)
