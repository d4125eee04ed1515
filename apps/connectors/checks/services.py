"""Check a connection, and list the streams it offers.

The other side may be slow, and no transaction may wait for it. So each function only reads the necessary data,
inside the org's scope, and returns a `SlowCall` that its caller runs outside that scope.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from uuid import UUID

from apps.connectors import engine, services
from apps.connectors.custom_sources import kinds as custom_kinds
from apps.connectors.engine import Streams
from apps.connectors.exceptions import NotASource
from apps.connectors.models import Connector, ConnectorRole
from apps.engine.answers import Checked
from apps.json import JsonObject
from apps.orgs.models import Org
from apps.orgs.principals import Principal
from apps.orgs.roles import Permission
from apps.orgs.slow_calls import SlowCall


def check_saved(*, org: Org, by: Principal, connector_id: UUID) -> SlowCall[Checked]:
    """Check a saved connector, and store the result with it. Raises NotFound and PermissionMissing."""
    connector = _checkable(org, by, connector_id)
    kind, config = services.resolve(org, connector)

    def store(answer: Checked) -> None:
        services.note_check(
            org=org, connector_id=connector_id, version=connector.version, ok=answer["ok"]
        )

    return SlowCall(
        _check(org, connector.role, kind, config),
        lambda later: _checkable(org, later, connector_id),
        store,
    )


def check_unsaved(
    *, org: Org, by: Principal, role: str, kind: str, config: JsonObject
) -> SlowCall[Checked]:
    """Check settings that are not saved, and so belong to no domain. Raises Invalid and PermissionMissing."""
    _require_somewhere(by)
    known = services.known_kind(org, role, kind)
    run = _check(org, role, kind, services.checked(known, config).plain)
    return SlowCall(run, _require_somewhere)


def streams(*, org: Org, by: Principal, connector_id: UUID) -> SlowCall[Streams]:
    """List the streams that the source offers. Raises NotFound and NotASource."""
    readable = partial(services.readable, org=org, connector_id=connector_id)
    connector = readable(by=by)
    if connector.role != ConnectorRole.SOURCE:
        raise NotASource
    kind, config = services.resolve(org, connector)
    code = custom_kinds.code_of(org, kind)
    run = partial(engine.discover, org_id=org.pk, kind=kind, config=config, code=code)
    return SlowCall(run, lambda later: readable(by=later))


def _checkable(org: Org, by: Principal, connector_id: UUID) -> Connector:
    connector = services.readable(org=org, by=by, connector_id=connector_id)
    by.require(Permission.CONNECTORS_EDIT, domain_id=connector.domain_id)
    return connector


def _require_somewhere(by: Principal) -> None:
    if not by.may_somewhere(Permission.CONNECTORS_EDIT):
        by.require(Permission.CONNECTORS_EDIT)


def _check(org: Org, role: str, kind: str, config: JsonObject) -> Callable[[], Checked]:
    code = custom_kinds.code_of(org, kind)
    return partial(engine.check, org_id=org.pk, role=role, kind=kind, config=config, code=code)
