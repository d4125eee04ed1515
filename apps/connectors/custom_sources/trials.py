"""Preview a custom source: choose its code and settings, and run it. Nothing is saved."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from uuid import UUID

from apps.connectors import engine
from apps.connectors import services as connectors
from apps.connectors.configuration import EMPTY, StoredSettings
from apps.connectors.custom_sources import edits, kinds, services, texts
from apps.connectors.models import Connector, CustomSource, CustomSourceVersion
from apps.engine.answers import Report, Tried
from apps.engine.contract import CodeSpec, SourceSpec
from apps.json import JsonObject
from apps.orgs.exceptions import Invalid
from apps.orgs.models import Org
from apps.orgs.principals import Principal
from apps.orgs.roles import Permission
from apps.orgs.slow_calls import SlowCall


@dataclass(frozen=True, slots=True)
class Wanted:
    """The records that the author asks for, and the settings to read them with."""

    stream: str
    config: JsonObject
    limit: int


def prepare(
    *,
    org: Org,
    by: Principal,
    stream: str,
    config: JsonObject,
    limit: int,
    code: str | None = None,
    source_id: UUID | None = None,
    number: int | None = None,
    connector_id: UUID | None = None,
) -> SlowCall[Tried]:
    """Prepare a preview of code, or of a version of a saved source (by default its newest).

    With a connector, its settings are used. This function and the call's `run` raise Invalid, and
    OpenHostsNeedAnAdmin for code that is not approved; this function also NotFound and PermissionMissing.
    """
    by.require(Permission.CUSTOM_SOURCES_EDIT)
    if (code is None) == (source_id is None):
        raise Invalid([("code", "Send code, or the id of a saved source.", "ambiguous")])
    wanted = Wanted(stream, config, limit)
    if source_id is None:
        if connector_id is not None:
            _stored_settings(org, by, connector_id, None)
        run: Callable[[], Tried] = partial(_try_text, org.pk, by, code or "", wanted)
    else:
        run = _saved(org, by, wanted, source_id=source_id, number=number, connector_id=connector_id)

    def recheck(later: Principal) -> None:
        later.require(Permission.CUSTOM_SOURCES_EDIT)
        if connector_id is not None:
            _editable_connector(org, later, connector_id)

    return SlowCall(run, recheck)


def _saved(
    org: Org,
    by: Principal,
    wanted: Wanted,
    *,
    source_id: UUID,
    number: int | None,
    connector_id: UUID | None,
) -> Callable[[], Tried]:
    saved = services.readable(org=org, by=by, source_id=source_id)
    version = edits.version(org, saved, number or saved.latest)
    if version.approved_at is None:
        edits.require_open_hosts(by, version.report["hosts"])
    before = EMPTY
    if connector_id is not None:
        _require_approved(version)
        before = _stored_settings(org, by, connector_id, source_id)
    label = f"{saved.name}, version {version.number}"
    source = _source(version.code, version.report, label, wanted, before)
    return partial(engine.try_source, org_id=org.pk, source=source, limit=wanted.limit)


def _try_text(org_id: UUID, by: Principal, code: str, wanted: Wanted) -> Tried:
    text = texts.validated(org_id=org_id, code=code)
    edits.require_open_hosts(by, text.report["hosts"])
    source = _source(text.code, text.report, "draft", wanted, EMPTY)
    return engine.try_source(org_id=org_id, source=source, limit=wanted.limit)


def _require_approved(version: CustomSourceVersion) -> None:
    if version.approved_at is None:
        message = (
            "Stored secrets can be used only with approved versions: send the settings instead."
        )
        raise Invalid([("connector_id", message, "unapproved")])


def _stored_settings(
    org: Org, by: Principal, connector_id: UUID, source_id: UUID | None
) -> StoredSettings:
    """Return the settings of a connector of this source that the principal may edit. Raises Invalid."""
    found = _editable_connector(org, by, connector_id)
    if source_id is None or found.custom_source_id != source_id:
        message = "Its settings can be used only with the saved source it belongs to."
        raise Invalid([("connector_id", message, "mismatch")])
    return connectors.stored_settings(org, found)


def _editable_connector(org: Org, by: Principal, connector_id: UUID) -> Connector:
    found = connectors.readable(org=org, by=by, connector_id=connector_id)
    by.require(Permission.CONNECTORS_EDIT, domain_id=found.domain_id)
    return found


def _source(
    code: str, report: Report, label: str, wanted: Wanted, before: StoredSettings
) -> SourceSpec:
    """Return the specification for the engine; the settings are validated against the code's schema.

    Raises Invalid.
    """
    kind = kinds.kind_of(CustomSource(name="draft"), report)
    built = connectors.checked(kind, wanted.config, before=before, patch=True)
    return SourceSpec(
        kind="custom",
        config=built.plain,
        stream=wanted.stream,
        code=CodeSpec(code, tuple(report["hosts"]), tuple(report["secret_names"]), label),
    )
