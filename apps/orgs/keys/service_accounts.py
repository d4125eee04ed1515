"""Service accounts: members that are programs. They have a role and keys of their own, which outlive whoever made them.

One is a user nobody can log in as, with a membership: so roles, domain overrides, keys and the trail need no
second kind of anything.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from apps.auth.models import User, new_id
from apps.orgs import audit
from apps.orgs.keys import services as api_keys
from apps.orgs.keys.services import MadeKey
from apps.orgs.members.services import require_reach
from apps.orgs.models import Membership, Org
from apps.orgs.placement import one
from apps.orgs.principals import Principal
from apps.orgs.roles import Permission, Role


def create(*, org: Org, by: Principal, name: str, role: Role) -> Membership:
    """A new one. Raises PermissionMissing above one's own role."""
    by.require_person()
    by.require(Permission.API_KEYS_MANAGE)
    require_reach(by, role)
    user_id = new_id()
    user = User.objects.create_user(
        id=user_id,
        email=f"{user_id}@service.invalid",  # RFC 2606: no mail can ever reach it
        password=None,
        name=name,
        kind=User.Kind.SERVICE,
    )
    member: Membership = Membership.unscoped.create(org=org, user=user, role=role)
    audit.record(
        org=org,
        by=by,
        action="service_account.create",
        object_kind="member",
        object_id=member.pk,
        object_label=name,
        changes={"role": [None, role]},
    )
    return member


def create_key(
    *,
    org: Org,
    by: Principal,
    member_id: UUID,
    name: str,
    scopes: Sequence[Permission] = (),
    domain_id: UUID | None = None,
    expires_at: datetime | None = None,
) -> MadeKey:
    """A key of the service account, with its role. Raises NotFound, PermissionMissing for one stronger than oneself,
    and what making a key raises."""
    by.require(Permission.API_KEYS_MANAGE)
    programs = Membership.objects.for_org(org).filter(user__kind=User.Kind.SERVICE)
    member = one(programs.select_related("user"), member_id)
    require_reach(by, Role(member.role))
    return api_keys.create(
        org=org,
        by=by,
        name=name,
        role=Role(member.role),
        scopes=scopes,
        domain_id=domain_id,
        expires_at=expires_at,
        holder=member.user,
    )
