"""Asking a connection: does it work, what does it offer.

The other side may take its time, and no transaction waits for it. So each function here only reads what is needed,
inside the org's scope, and answers a question; whoever asks it leaves the scope first.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any
from uuid import UUID

from apps.connectors import engine, services
from apps.connectors.custom_sources import kinds as custom_kinds
from apps.connectors.engine import Answer
from apps.connectors.exceptions import NotASource
from apps.connectors.models import ConnectorRole
from apps.orgs.models import Org
from apps.orgs.principals import Principal
from apps.orgs.roles import Permission


@dataclass(frozen=True)
class Question:
    """`ask` outside every transaction; then `remember` its answer inside the org's scope."""

    ask: Callable[[], Answer]
    remember: Callable[[Answer], None]


def check_saved(*, org: Org, by: Principal, connector_id: UUID) -> Question:
    """Does this connector work? The connector remembers the answer. Raises NotFound and PermissionMissing."""
    connector = services.readable(org=org, by=by, connector_id=connector_id)
    by.require(Permission.CONNECTORS_EDIT, domain_id=connector.domain_id)
    kind, config = services.resolve(org, connector)

    def remember(answer: Answer) -> None:
        services.note_check(
            org=org, connector_id=connector_id, version=connector.version, ok=answer["ok"]
        )

    return Question(_check(org, connector.role, kind, config), remember)


def check_unsaved(
    *, org: Org, by: Principal, role: str, kind: str, config: Mapping[str, Any]
) -> Callable[[], Answer]:
    """Would these settings work? They belong to no domain yet. Raises Invalid and PermissionMissing."""
    if not by.may_somewhere(Permission.CONNECTORS_EDIT):
        by.require(Permission.CONNECTORS_EDIT)
    known = services.known_kind(org, role, kind)
    return _check(org, role, kind, services.checked(known, config).plain)


def streams(*, org: Org, by: Principal, connector_id: UUID) -> Callable[[], Answer]:
    """Which streams does this source offer? Raises NotFound and NotASource."""
    connector = services.readable(org=org, by=by, connector_id=connector_id)
    if connector.role != ConnectorRole.SOURCE:
        raise NotASource
    kind, config = services.resolve(org, connector)
    code = custom_kinds.code_of(org, kind)
    return partial(engine.discover, org_id=org.pk, kind=kind, config=config, code=code)


def _check(org: Org, role: str, kind: str, config: Mapping[str, Any]) -> Callable[[], Answer]:
    code = custom_kinds.code_of(org, kind)
    return partial(engine.check, org_id=org.pk, role=role, kind=kind, config=config, code=code)
