"""Custom sources as kinds, so that connectors and pipelines can use them like built-in kinds."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any
from uuid import UUID

from django.db.models import F

from apps.connectors import catalogue
from apps.connectors.catalogue import Kind
from apps.connectors.models import CUSTOM_PREFIX, ConnectorRole, CustomSource, CustomSourceVersion
from apps.connectors.schemas import Error
from apps.engine.answers import Report
from apps.engine.catalogue import ConnectorKind, KnownStream
from apps.engine.contract import CodeSpec
from apps.orgs.exceptions import Invalid
from apps.orgs.models import Org

ICON = "code"


class Kinds:
    """The kinds that an org can use: built-in kinds, and the org's approved custom sources, which are read once."""

    def __init__(self, custom_kinds: Mapping[str, Kind]) -> None:
        self._custom_kinds = custom_kinds

    def find(self, role: str, name: str) -> Kind | None:
        if role == ConnectorRole.SOURCE and name.startswith(CUSTOM_PREFIX):
            return self._custom_kinds.get(name)
        return catalogue.find(role, name)


BUILT_IN_KINDS = Kinds({})


def load_kinds(org: Org, names: Iterable[str], pinned_numbers: Iterable[int] = ()) -> Kinds:
    """Return the built-in kinds, and the approved custom sources of the org among `names`.

    `pinned_numbers` are the version numbers that a pipeline's definition pins. Those versions are used instead of the
    latest approved versions.
    """
    ids = {pk for name in names if (pk := custom_source_id(name)) is not None}
    if not ids:
        return BUILT_IN_KINDS
    numbers = set(pinned_numbers)
    custom_kinds = _pinned_kinds(org, ids, numbers) if numbers else _approved_kinds(org, pk__in=ids)
    return Kinds({kind.name: kind for kind in custom_kinds})


def unarchived_custom_kinds(org: Org) -> list[Kind]:
    """Return the kinds of the custom sources that have an approved version and are not archived, ordered by name."""
    return sorted(
        _approved_kinds(org, archived_at__isnull=True), key=lambda kind: kind.title.lower()
    )


def custom_source_id(kind: str) -> UUID | None:
    """Return the id of the custom source if `kind` names one, or else None."""
    if not kind.startswith(CUSTOM_PREFIX):
        return None
    try:
        return UUID(kind.removeprefix(CUSTOM_PREFIX))
    except ValueError:
        return None


def approved_version(org: Org, kind: str, number: int | None = None) -> CustomSourceVersion:
    """Return the version to run: the version with this number, or else the latest approved version.

    Raises Invalid if this version does not exist or is not approved.
    """
    versions = CustomSourceVersion.objects.for_org(org).filter(source_id=custom_source_id(kind))
    versions = versions.filter(approved_at__isnull=False).select_related("source")
    version: CustomSourceVersion | None = versions.filter(
        number=number or F("source__approved")
    ).first()
    if version is None:
        message = (
            f"Version {number} of this custom source is not approved."
            if number
            else "This custom source has no approved version."
        )
        raise Invalid([("source", message, "unapproved")])
    return version


def code_for_kind(org: Org, kind: str, number: int | None = None) -> CodeSpec | None:
    """Return the code that the sandbox runs for a kind, or None for a built-in kind. Raises Invalid."""
    return (
        code_spec(approved_version(org, kind, number))
        if custom_source_id(kind) is not None
        else None
    )


def code_spec(version: CustomSourceVersion) -> CodeSpec:
    report = version.report
    return CodeSpec(
        text=version.code,
        hosts=tuple(report["hosts"]),
        secret_names=tuple(report["secret_names"]),
        label=f"{version.source.name}, version {version.number}",
    )


def kind_from_report(source: CustomSource, report: Report) -> Kind:
    """Return the kind that a version's report describes."""
    streams = tuple(KnownStream(s["name"], tuple(s["sync_modes"])) for s in report["streams"])
    modes = {mode for stream in streams for mode in stream.sync_modes} or {"full_refresh"}
    return Kind(
        ConnectorKind(
            role="source",
            kind=source.kind,
            title=source.name,
            icon=ICON,
            description=source.description or report["description"],
            docs_url="",
            config_schema=report["config_schema"],
            secret_paths=tuple(report["secret_names"]),
            streams=streams,
            sync_modes=("full_refresh", "incremental") if len(modes) > 1 else ("full_refresh",),
            supports_incremental="incremental" in modes,
        )
    )


def unknown_kind_error(role: str, name: str, field: str) -> Error:
    """Return the error for a kind that cannot be used."""
    if custom_source_id(name) is not None:
        message = "There is no custom source of this kind with an approved version."
        return field, message, "unknown"
    return catalogue.unknown_kind_error(role, name, field)


def _pinned_kinds(org: Org, ids: Iterable[UUID], numbers: Iterable[int]) -> Iterable[Kind]:
    versions = CustomSourceVersion.objects.for_org(org).filter(approved_at__isnull=False)
    versions = versions.filter(source_id__in=ids, number__in=numbers).select_related("source")
    return [kind_from_report(version.source, version.report) for version in versions.defer("code")]


def _approved_kinds(org: Org, **filters: Any) -> Iterable[Kind]:
    sources = {
        source.pk: source
        for source in CustomSource.objects.for_org(org).filter(approved__isnull=False, **filters)
    }
    versions = CustomSourceVersion.objects.for_org(org).filter(source_id__in=sources)
    numbers = {(pk, source.approved) for pk, source in sources.items()}
    for pk, number, report in versions.values_list("source_id", "number", "report"):
        if (pk, number) in numbers:
            yield kind_from_report(sources[pk], report)
