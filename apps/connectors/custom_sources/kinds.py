"""Custom sources as kinds, so that connectors and pipelines use them like built-in ones."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any
from uuid import UUID

from django.db.models import F

from apps.connectors import catalogue
from apps.connectors.catalogue import Kind
from apps.connectors.models import CUSTOM, ConnectorRole, CustomSource, CustomSourceVersion
from apps.connectors.schemas import Error
from apps.engine.answers import Report
from apps.engine.catalogue import ConnectorKind, StreamKind
from apps.engine.contract import CodeSpec
from apps.orgs.exceptions import Invalid
from apps.orgs.models import Org

ICON = "code"


class Kinds:
    """The kinds an org can use: built-in ones, and its own approved sources, which are read once."""

    def __init__(self, custom: Mapping[str, Kind]) -> None:
        self._custom = custom

    def find(self, role: str, name: str) -> Kind | None:
        if role == ConnectorRole.SOURCE and name.startswith(CUSTOM):
            return self._custom.get(name)
        return catalogue.find(role, name)


NONE_OF_ITS_OWN = Kinds({})


def kinds(org: Org, names: Iterable[str], pins: Iterable[int] = ()) -> Kinds:
    """Return the kinds with those of `names` that are custom sources of the org with an approved version.

    With `pins` (version numbers named in a document), those versions are used instead of the latest approved
    ones.
    """
    ids = {pk for name in names if (pk := id_of(name)) is not None}
    if not ids:
        return NONE_OF_ITS_OWN
    pinned = set(pins)
    found = _pinned(org, ids, pinned) if pinned else _approved(org, pk__in=ids)
    return Kinds({kind.name: kind for kind in found})


def usable(org: Org) -> list[Kind]:
    """Return every custom source with an approved version that is not archived, ordered by name."""
    return sorted(_approved(org, archived_at__isnull=True), key=lambda kind: kind.title.lower())


def id_of(kind: str) -> UUID | None:
    """Return the id of the custom source that a kind names, None for other kinds."""
    if not kind.startswith(CUSTOM):
        return None
    try:
        return UUID(kind.removeprefix(CUSTOM))
    except ValueError:
        return None


def version_of(org: Org, kind: str, number: int | None = None) -> CustomSourceVersion:
    """Return the version to run: the one with this number, or the latest approved.

    Raises Invalid if there is none, or it is not approved.
    """
    versions = CustomSourceVersion.objects.for_org(org).filter(source_id=id_of(kind))
    versions = versions.filter(approved_at__isnull=False).select_related("source")
    found: CustomSourceVersion | None = versions.filter(
        number=number or F("source__approved")
    ).first()
    if found is None:
        message = (
            f"Version {number} of this custom source is not approved."
            if number
            else "This custom source has no approved version."
        )
        raise Invalid([("source", message, "unapproved")])
    return found


def code_of(org: Org, kind: str, number: int | None = None) -> CodeSpec | None:
    """Return the code that the sandbox runs for a kind, None for a built-in one. Raises Invalid."""
    return code(version_of(org, kind, number)) if id_of(kind) is not None else None


def code(version: CustomSourceVersion) -> CodeSpec:
    report = version.report
    return CodeSpec(
        text=version.code,
        hosts=tuple(report["hosts"]),
        secret_names=tuple(report["secret_names"]),
        label=f"{version.source.name}, version {version.number}",
    )


def kind_of(source: CustomSource, report: Report) -> Kind:
    """Return the kind that a version's report describes."""
    streams = tuple(StreamKind(s["name"], tuple(s["sync_modes"])) for s in report["streams"])
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


def unknown(role: str, name: str, field: str) -> Error:
    """Return the error for a kind that cannot be used."""
    if id_of(name) is not None:
        message = "There is no custom source of this kind with an approved version."
        return field, message, "unknown"
    return catalogue.unknown(role, name, field)


def _pinned(org: Org, ids: Iterable[UUID], numbers: Iterable[int]) -> Iterable[Kind]:
    versions = CustomSourceVersion.objects.for_org(org).filter(approved_at__isnull=False)
    versions = versions.filter(source_id__in=ids, number__in=numbers).select_related("source")
    return [kind_of(version.source, version.report) for version in versions.defer("code")]


def _approved(org: Org, **wanted: Any) -> Iterable[Kind]:
    sources = {
        source.pk: source
        for source in CustomSource.objects.for_org(org).filter(approved__isnull=False, **wanted)
    }
    versions = CustomSourceVersion.objects.for_org(org).filter(source_id__in=sources)
    numbers = {(pk, source.approved) for pk, source in sources.items()}
    for pk, number, report in versions.values_list("source_id", "number", "report"):
        if (pk, number) in numbers:
            yield kind_of(sources[pk], report)
