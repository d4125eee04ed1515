"""Check connectors, and list the streams of sources.

The remote system may be slow, and no transaction may wait for it. So each function only reads what it needs inside
the org's scope. It returns a `SlowCall`, which its caller runs outside that scope.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from uuid import UUID

from django.utils import timezone

from apps.connectors import engine, services
from apps.connectors.checks import discoveries
from apps.connectors.checks.discoveries import FoundStreams
from apps.connectors.checks.next_steps import with_next_steps
from apps.connectors.custom_sources import kinds as custom_kinds
from apps.connectors.engine import StreamSizes
from apps.connectors.exceptions import NotASource
from apps.connectors.models import Connector, ConnectorRole
from apps.engine.answers import CheckAnswer
from apps.json import JsonObject
from apps.orgs.models import Org
from apps.orgs.principals import Principal
from apps.orgs.roles import Permission
from apps.orgs.slow_calls import SlowCall

CODE_IS_NOT_RUN = "the code of a custom source is not run for an estimate"


def check_saved(*, org: Org, by: Principal, connector_id: UUID) -> SlowCall[CheckAnswer]:
    """Check a saved connector, and store the result in its row. Raises NotFound and PermissionMissing."""
    connector = _find_connector_to_check(org, by, connector_id)
    kind, config = services.kind_and_settings(org, connector)

    def store(answer: CheckAnswer) -> None:
        services.store_check_result(
            org=org, connector_id=connector_id, version=connector.version, ok=answer["ok"]
        )

    return SlowCall(
        _prepare_check(org, connector.role, kind, config),
        lambda current_principal: _find_connector_to_check(org, current_principal, connector_id),
        store,
    )


def check_changed(
    *, org: Org, by: Principal, connector_id: UUID, config: JsonObject
) -> SlowCall[CheckAnswer]:
    """Check the settings that an update with this `config` would store, and store nothing.

    Stored secrets are not sent to another server. Raises NotFound, PermissionMissing and Invalid.
    """
    connector = _find_connector_to_check(org, by, connector_id)
    kind = services.known_kind(org, connector.role, connector.kind)
    stored = services.stored_settings(org, connector)
    settings = services.checked_settings(kind, config, by=by, previous=stored, patch=True)
    return SlowCall(
        _prepare_check(org, connector.role, connector.kind, settings.plain),
        lambda current_principal: _find_connector_to_check(org, current_principal, connector_id),
    )


def check_unsaved(
    *, org: Org, by: Principal, role: str, kind: str, config: JsonObject
) -> SlowCall[CheckAnswer]:
    """Check settings that are not saved; they belong to no domain. Raises Invalid and PermissionMissing."""
    _require_edit_in_some_domain(by)
    settings = services.checked_settings(services.known_kind(org, role, kind), config, by=by)
    run = _prepare_check(org, role, kind, settings.plain)
    return SlowCall(run, _require_edit_in_some_domain)


def list_streams(
    *, org: Org, by: Principal, connector_id: UUID, refresh: bool = False
) -> SlowCall[FoundStreams]:
    """List the streams that the source offers. Answers from the stored list, unless it is old or with `refresh`.

    Raises NotFound and NotASource.
    """
    find = partial(services.find_connector, org=org, connector_id=connector_id)
    connector = find(by=by)
    if connector.role != ConnectorRole.SOURCE:
        raise NotASource
    stored = None if refresh else discoveries.read(org, connector)
    if stored is not None:
        return SlowCall(lambda: stored, lambda current_principal: find(by=current_principal))
    kind, config = services.kind_and_settings(org, connector)
    code = custom_kinds.code_for_kind(org, kind)
    code_version = discoveries.code_version_of(org, connector)

    def discover() -> FoundStreams:
        found = engine.discover(org_id=org.pk, kind=kind, config=config, code=code)
        return {**found, "found_at": timezone.now() if found["ok"] else None}

    def store(found: FoundStreams) -> None:
        if found["ok"]:
            discoveries.store(org, connector, found["streams"], code_version=code_version)

    return SlowCall(discover, lambda current_principal: find(by=current_principal), store)


def estimate_sizes(
    *, org: Org, by: Principal, connector_id: UUID, streams: Sequence[str]
) -> SlowCall[StreamSizes]:
    """Estimate how many records and requests the streams need, in two seconds. Raises NotFound and NotASource.

    Code of the organization is not run for an estimate.
    """
    find = partial(services.find_connector, org=org, connector_id=connector_id)
    connector = find(by=by)
    if connector.role != ConnectorRole.SOURCE:
        raise NotASource
    kind, config = services.kind_and_settings(org, connector)
    run = partial(engine.estimate_sizes, org_id=org.pk, kind=kind, config=config, streams=streams)
    if custom_kinds.code_for_kind(org, kind) is not None:
        run = partial(engine.no_sizes, CODE_IS_NOT_RUN)
    return SlowCall(run, lambda current_principal: find(by=current_principal))


def _find_connector_to_check(org: Org, by: Principal, connector_id: UUID) -> Connector:
    connector = services.find_connector(org=org, by=by, connector_id=connector_id)
    by.require(Permission.CONNECTORS_EDIT, domain_id=connector.domain_id)
    return connector


def _require_edit_in_some_domain(by: Principal) -> None:
    if not by.may_somewhere(Permission.CONNECTORS_EDIT):
        by.require(Permission.CONNECTORS_EDIT)


def _prepare_check(org: Org, role: str, kind: str, config: JsonObject) -> Callable[[], CheckAnswer]:
    code = custom_kinds.code_for_kind(org, kind)
    return lambda: with_next_steps(
        engine.check(org_id=org.pk, role=role, kind=kind, config=config, code=code)
    )
