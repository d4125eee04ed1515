"""Store and read the versions of a definition. Secrets are encrypted; a version never changes."""

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
from apps.pipelines.definition import Connectors, Definition, RequestDocument, connector_ids
from apps.pipelines.models import Pipeline, PipelineVersion

SEAL_KIND = "pipeline_version"
MAX_VERSION_NUMBER = 2**31 - 1  # the largest number that the database column can store


def add(
    *,
    org: Org,
    pipeline: Pipeline,
    definition: Definition,
    user_id: UUID | None,
    note: str = "",
    own_database: bool = False,
) -> PipelineVersion:
    """Store a definition as the version with the number `pipeline.version`."""
    version = PipelineVersion(
        org=org,
        pipeline=pipeline,
        number=pipeline.version,
        definition=definition.document,
        secret_hints=definition.hints,
        note=note,
        own_database=own_database,
        created_by_id=user_id,
    )
    if definition.secrets:
        version.sealed = vault.seal(org, SEAL_KIND, version.pk, definition.secrets)
    version.save(force_insert=True)
    return version


def get_version(org: Org, pipeline: Pipeline, number: int) -> PipelineVersion:
    """Return the version. Raises PipelineVersion.DoesNotExist."""
    version: PipelineVersion = PipelineVersion.objects.for_org(org).get(
        pipeline=pipeline, number=number
    )
    return version


def all_versions(org: Org, pipeline: Pipeline) -> Any:
    """Return the pipeline's versions, with their authors."""
    return (
        PipelineVersion.objects.for_org(org).filter(pipeline=pipeline).select_related("created_by")
    )


def find_version(org: Org, pipeline: Pipeline, number: int) -> PipelineVersion:
    """Return the version with a number from a request. Raises NotFound."""
    version: PipelineVersion | None = (
        all_versions(org, pipeline).filter(number=min(number, MAX_VERSION_NUMBER)).first()
    )
    if version is None:
        raise NotFound
    return version


def current_definition(org: Org, pipeline: Pipeline) -> Definition:
    return definition_with_secrets(org, get_version(org, pipeline, pipeline.version))


def definition_with_secrets(org: Org, version: PipelineVersion) -> Definition:
    """Return the definition with plain secrets. Never show, log or store the secrets."""
    plain_secrets = (
        vault.unseal(org, SEAL_KIND, version.pk, version.sealed) if version.sealed else {}
    )
    return Definition(version.definition, plain_secrets).with_secrets_apart()


def usable_connectors(org: Org, by: Principal, *documents: RequestDocument) -> Connectors:
    """Return the connectors that the documents name and `by` may use, locked so that nobody deletes them.

    A connector of a domain requires the permission pipelines.edit in that domain. Everyone may use a connector
    without a domain.
    """
    ids = connector_ids(*documents)
    if not ids:
        return Connectors([], _load_kinds(org, [], documents), by=by)
    rows = Connector.objects.for_org(org).filter(pk__in=ids).order_by("pk")
    rows = rows.select_for_update(no_key=True)
    allowed = [
        row
        for row in visible_objects(rows, by)
        if row.domain_id is None or by.may(Permission.PIPELINES_EDIT, domain_id=row.domain_id)
    ]
    return Connectors(allowed, _load_kinds(org, allowed, documents), by=by)


def _load_kinds(org: Org, rows: Iterable[Connector], documents: Sequence[RequestDocument]) -> Kinds:
    """Return the kinds of the documents and of the connectors. The first document's pinned version takes precedence."""
    sources = [
        part for document in documents if isinstance(part := document.get("source"), Mapping)
    ]
    names = [kind for part in sources if isinstance(kind := part.get("kind"), str)]
    pinned_numbers = [part["version"] for part in sources[:1] if type(part.get("version")) is int]
    if not pinned_numbers and sources and "version" not in sources[0]:
        # This patch does not change the pinned version.
        pinned_numbers = [
            part["version"] for part in sources[1:] if type(part.get("version")) is int
        ]
    return custom_kinds.load_kinds(org, [*names, *(row.kind for row in rows)], pinned_numbers)
