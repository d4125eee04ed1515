"""Preview a custom source: select the code and settings, and run the code. Nothing is saved."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from uuid import UUID

from apps.connectors import engine
from apps.connectors import services as connectors
from apps.connectors.configuration import NO_SETTINGS, StoredSettings
from apps.connectors.custom_sources import checked_code, edits, kinds, services
from apps.connectors.models import Connector, CustomSource, CustomSourceVersion
from apps.engine.answers import Report, TrialAnswer
from apps.engine.contract import CodeSpec, SourceSpec
from apps.json import JsonObject
from apps.orgs.exceptions import Invalid
from apps.orgs.models import Org
from apps.orgs.principals import Principal
from apps.orgs.roles import Permission
from apps.orgs.slow_calls import SlowCall


@dataclass(frozen=True, slots=True)
class PreviewRequest:
    """The stream and the number of records to preview, and the settings to read them with."""

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
) -> SlowCall[TrialAnswer]:
    """Prepare a preview of code, or of a version of a saved source (by default its newest).

    With `connector_id`, `config` is merged into the settings of that connector. This function and the `run` of the
    SlowCall raise Invalid, and AnyHostNeedsAdmin for code that is not approved. This function also raises NotFound
    and PermissionMissing.
    """
    by.require(Permission.CUSTOM_SOURCES_EDIT)
    if (code is None) == (source_id is None):
        raise Invalid([("code", "Send code, or the id of a saved source.", "ambiguous")])
    preview = PreviewRequest(stream, config, limit)
    if source_id is None:
        if connector_id is not None:
            _stored_settings(
                org, by, connector_id, None
            )  # raises, because no connector uses unsaved code
        run: Callable[[], TrialAnswer] = partial(_preview_code, org.pk, by, code or "", preview)
    else:
        run = _prepare_saved_source(
            org, by, preview, source_id=source_id, number=number, connector_id=connector_id
        )

    def recheck(current_principal: Principal) -> None:
        current_principal.require(Permission.CUSTOM_SOURCES_EDIT)
        if connector_id is not None:
            _editable_connector(org, current_principal, connector_id)

    return SlowCall(run, recheck)


def _prepare_saved_source(
    org: Org,
    by: Principal,
    preview: PreviewRequest,
    *,
    source_id: UUID,
    number: int | None,
    connector_id: UUID | None,
) -> Callable[[], TrialAnswer]:
    saved = services.find_source(org=org, by=by, source_id=source_id)
    version = edits.find_version(org, saved, number or saved.latest)
    if version.approved_at is None:
        edits.require_permission_for_any_host(by, version.report["hosts"])
    previous = NO_SETTINGS
    if connector_id is not None:
        _require_approved(version)
        previous = _stored_settings(org, by, connector_id, source_id)
    label = f"{saved.name}, version {version.number}"
    source = _source_spec(by, version.code, version.report, label, preview, previous)
    return partial(engine.try_source, org_id=org.pk, source=source, limit=preview.limit)


def _preview_code(org_id: UUID, by: Principal, code: str, preview: PreviewRequest) -> TrialAnswer:
    draft = checked_code.validate_code(org_id=org_id, code=code)
    edits.require_permission_for_any_host(by, draft.report["hosts"])
    source = _source_spec(by, draft.code, draft.report, "draft", preview, NO_SETTINGS)
    return engine.try_source(org_id=org_id, source=source, limit=preview.limit)


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
    connector = _editable_connector(org, by, connector_id)
    if source_id is None or connector.custom_source_id != source_id:
        message = "The settings of this connector can be used only with its own saved source."
        raise Invalid([("connector_id", message, "mismatch")])
    return connectors.stored_settings(org, connector)


def _editable_connector(org: Org, by: Principal, connector_id: UUID) -> Connector:
    connector = connectors.find_connector(org=org, by=by, connector_id=connector_id)
    by.require(Permission.CONNECTORS_EDIT, domain_id=connector.domain_id)
    return connector


def _source_spec(
    by: Principal,
    code: str,
    report: Report,
    label: str,
    preview: PreviewRequest,
    previous: StoredSettings,
) -> SourceSpec:
    """Return the specification for the engine. Validate the settings against the schema of the code.

    Raises Invalid.
    """
    kind = kinds.kind_from_report(CustomSource(name="draft"), report)
    settings = connectors.checked_settings(
        kind, preview.config, by=by, previous=previous, patch=True
    )
    return SourceSpec(
        kind="custom",
        config=settings.plain,
        stream=preview.stream,
        code=CodeSpec(code, tuple(report["hosts"]), tuple(report["secret_names"]), label),
    )
