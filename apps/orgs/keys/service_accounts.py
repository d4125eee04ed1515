"""Actions on service accounts: create an account, and create a key for it.

A service account is a user without login, with a membership. So roles, domain roles, keys and the audit log need no
special cases. The account keeps its role and its keys when the member who created it leaves.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from apps.auth.models import User, new_id
from apps.orgs import audit
from apps.orgs.keys import services as api_keys
from apps.orgs.keys.services import CreatedKey
from apps.orgs.members.services import require_rank
from apps.orgs.models import Membership, Org
from apps.orgs.placement import find_object
from apps.orgs.principals import Principal
from apps.orgs.roles import Permission, Role


def create(*, org: Org, by: Principal, name: str, role: Role) -> Membership:
    """Create a service account. Raises PermissionMissing for a role above `by`'s own."""
    by.require_person()
    by.require(Permission.API_KEYS_MANAGE)
    require_rank(by, role)
    user_id = new_id()
    user = User.objects.create_user(
        id=user_id,
        email=f"{user_id}@service.invalid",  # RFC 2606: this address can never receive mail.
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
) -> CreatedKey:
    """Create a key of the service account, with its role.

    Raises NotFound, PermissionMissing if the account's role is above `by`'s own, and the exceptions of
    `apps.orgs.keys.services.create`.
    """
    by.require(Permission.API_KEYS_MANAGE)
    service_accounts = Membership.objects.for_org(org).filter(user__kind=User.Kind.SERVICE)
    member = find_object(service_accounts.select_related("user"), member_id)
    require_rank(by, Role(member.role))
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
