"""An org with one member and conversations, for measurements in a process that has set Django up."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING
from uuid import UUID

from bench.create_runs import create_org, create_token

if TYPE_CHECKING:
    from apps.orgs.models import Org
    from apps.orgs.principals import Principal


@dataclass(frozen=True, slots=True)
class Account:
    """The owner of a new org, with an access token."""

    org: Org
    member: Principal
    token: str


def create_account() -> Account:
    from apps.orgs import credentials
    from apps.orgs.walls.scope import org_scope

    org, user = create_org()
    with org_scope(org.pk):
        org, member = credentials.load_member(org_id=org.pk, user_id=user.pk, ip=None)
    return Account(org, member, create_token(org, user))


def create_conversations(account: Account, count: int) -> list[UUID]:
    from apps.agent.conversations import services
    from apps.orgs.walls.scope import org_scope

    with org_scope(account.org.pk):
        return [services.create(org=account.org, by=account.member).pk for _ in range(count)]
