"""Actions on orgs and their members, each in one transaction with one audit event.

Call all actions except `create_org` inside the org's scope. Actions that change the owners of an org lock its row
first, so that two owners cannot remove each other at the same moment.
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from typing import Any
from uuid import UUID

from django.conf import settings
from django.utils import timezone
from django.utils.text import slugify

from apps.auth.mailing import access_notices as access
from apps.auth.mailing import mail
from apps.auth.models import User, new_id
from apps.orgs import audit, rules, vault
from apps.orgs.exceptions import DeletionBegun, Invalid, LastOwner, NotFound, PermissionMissing
from apps.orgs.members import beginnings
from apps.orgs.models import ApiKey, IdentityProvider, Membership, Org
from apps.orgs.placement import find_object
from apps.orgs.principals import Principal
from apps.orgs.queries import MembershipQuerySet
from apps.orgs.roles import RANK, Permission, Role
from apps.orgs.versions import Match, require_match, version_of_time
from apps.orgs.walls.scope import org_scope

ACCESS_RULES = frozenset({"networks", "require_second_factor", "require_sso", "email_domains"})


def create_org(*, name: str, owner: User, by: Principal) -> Org:
    """Create an org with its own data key, its first owner, and what other apps add to every new org."""
    org_id = new_id()
    slug = f"{slugify(name)[:60] or 'org'}-{secrets.token_hex(3)}"
    with org_scope(org_id):
        org = Org.objects.create(
            id=org_id, name=name, slug=slug, data_key=vault.new_data_key(org_id)
        )
        Membership.unscoped.create(org=org, user=owner, role=Role.OWNER)
        beginnings.report(org)
        _record_org(org, by, "org.create", {})
    return org


def update_org(*, org: Org, by: Principal, changes: Mapping[str, Any], match: Match = None) -> Org:
    """Change the org's name, limits or rules.

    Raises ChangedMeanwhile. Raises Invalid if a rule would lock out the caller, and SessionNeeded if an API key
    changes an access rule.
    """
    by.require(Permission.ORG_UPDATE)
    org = _lock_org(org, by, Permission.ORG_UPDATE, match)
    old_values = {field: getattr(org, field) for field in changes}
    for field, value in changes.items():
        setattr(org, field, value)
    if ACCESS_RULES.intersection(changes):
        by.require_person()
        _refuse_lockout(org, by)
        # Open streams must check their access again, because the new rule may deny it.
        access.recheck_streams(org.pk)
    org.save(update_fields=[*changes, "updated_at"])
    _record_org(
        org,
        by,
        "org.update",
        {field: [old_values[field], value] for field, value in changes.items()},
    )
    return org


def transfer_ownership(*, org: Org, by: Principal, member_id: UUID) -> None:
    """Make another person an owner, and make the caller an admin.

    Raises NotFound, and Invalid if the other person is the caller.
    """
    by.require_person()
    by.require(Permission.ORG_TRANSFER)
    _lock_org(org, by, Permission.ORG_TRANSFER)
    own_membership = _own_membership(org, by)
    member = find_object(_members(org).filter(user__kind=User.Kind.PERSON), member_id)
    if member.pk == own_membership.pk:
        raise Invalid([("member_id", "You are already an owner.", "self")])
    old_role = member.role
    member.role, own_membership.role = Role.OWNER, Role.ADMIN
    member.save(update_fields=["role"])
    own_membership.save(update_fields=["role"])
    _record_member(org, by, "org.transfer", member, {"role": [old_role, Role.OWNER]})
    _record_member(
        org, by, "member.change_role", own_membership, {"role": [Role.OWNER, Role.ADMIN]}
    )


def delete_org(*, org: Org, by: Principal, match: Match = None) -> Org:
    """Schedule the org for deletion after ORG_DELETION_GRACE. Until then it can be read, exported and restored.

    Raises ChangedMeanwhile.
    """
    by.require_person()
    by.require(Permission.ORG_DELETE)
    org = _lock_org(org, by, Permission.ORG_DELETE, match)
    if org.deletion_at is None:
        org.deletion_at = timezone.now() + settings.ORG_DELETION_GRACE
        org.save(update_fields=["deletion_at", "updated_at"])
        _record_org(org, by, "org.delete", {"deletion_at": [None, org.deletion_at.isoformat()]})
        _notify_owners_of_deletion(org)
    return org


def restore_org(*, org: Org, by: Principal) -> Org:
    """Cancel the deletion. Raises DeletionBegun after the time of deletion, because files may be deleted already."""
    by.require_person()
    by.require(Permission.ORG_DELETE)
    org = _lock_org(org, by, Permission.ORG_DELETE)
    if org.deletion_at is not None:
        if org.deletion_at <= timezone.now():
            raise DeletionBegun
        old_deletion_at, org.deletion_at = org.deletion_at.isoformat(), None
        org.save(update_fields=["deletion_at", "updated_at"])
        _record_org(org, by, "org.restore", {"deletion_at": [old_deletion_at, None]})
    return org


def change_role(*, org: Org, by: Principal, member_id: UUID, role: Role) -> Membership:
    """Change a member's role.

    Raises NotFound, PermissionMissing for a role above the caller's own, and LastOwner.
    """
    by.require(Permission.MEMBERS_MANAGE)
    _lock_org(org, by, Permission.MEMBERS_MANAGE)
    member = find_object(_members(org), member_id)
    old_role = Role(member.role)
    require_rank(by, old_role, role)
    if role is Role.OWNER and member.user.kind == User.Kind.SERVICE:
        raise Invalid(
            [("role", "A service account cannot own an organization.", "service_account")]
        )
    if old_role is Role.OWNER and role is not Role.OWNER:
        _require_another_owner(org, leaving=member)
    member.role = role
    member.save(update_fields=["role"])
    _record_member(org, by, "member.change_role", member, {"role": [old_role, role]})
    return member


def remove_member(*, org: Org, by: Principal, member_id: UUID) -> None:
    """Delete a membership and revoke its API keys. Raises NotFound, PermissionMissing and LastOwner."""
    by.require(Permission.MEMBERS_MANAGE)
    _lock_org(org, by, Permission.MEMBERS_MANAGE)
    member = find_object(_members(org), member_id)
    require_rank(by, Role(member.role))
    _end_membership(org, by, member, "member.remove")


def leave(*, org: Org, by: Principal) -> None:
    """Delete the caller's membership. Raises LastOwner."""
    by.require_person()
    _lock_org(org, by, Permission.READ)
    _end_membership(org, by, _own_membership(org, by), "member.leave")


def _lock_org(org: Org, by: Principal, permission: Permission, match: Match = None) -> Org:
    """Lock and return the org. Raises ChangedMeanwhile.

    Raises NotFound or PermissionMissing if the caller was removed or demoted while this call waited for the lock.
    """
    locked = Org.objects.select_for_update().get(pk=org.pk)
    require_match(match, version_of_time(locked.updated_at))
    if by.membership_id is not None and RANK[Role(_own_membership(org, by).role)] < RANK[by.role]:
        raise PermissionMissing(permission)
    return locked


def _members(org: Org) -> MembershipQuerySet:
    return Membership.objects.for_org(org).select_related("user")


def _own_membership(org: Org, by: Principal) -> Membership:
    """Return the membership of a principal. Raises NotFound if there is none."""
    if by.membership_id is None:
        raise NotFound
    return find_object(_members(org), by.membership_id)


def require_rank(by: Principal, *roles: Role) -> None:
    """Raise PermissionMissing if a role is above the caller's own. Only an owner may grant or remove the role owner."""
    if Role.OWNER in roles:
        by.require(Permission.OWNERS_MANAGE)
    if any(RANK[role] > RANK[by.role] for role in roles):
        by.require(Permission.OWNERS_MANAGE)


def _require_another_owner(org: Org, *, leaving: Membership) -> None:
    owners = Membership.objects.for_org(org).filter(role=Role.OWNER).exclude(pk=leaving.pk)
    if not owners.exists():
        raise LastOwner


def _refuse_lockout(org: Org, by: Principal) -> None:
    """Raise Invalid for a rule that would lock out the caller."""
    ip = by.actor.ip
    if org.networks and not rules.is_in_networks(ip, org.networks):
        message = f"This would lock you out: your own address is {ip or 'unknown'}."
        raise Invalid([("networks", message, "locks_out")])
    if org.require_sso and not IdentityProvider.objects.for_org(org).filter(enabled=True).exists():
        message = "Set the organization's identity provider first, and switch it on."
        raise Invalid([("require_sso", message, "no_provider")])
    if org.require_second_factor and not (by.second_factor or by.by_sso):
        message = "This would lock you out: log in with a second factor yourself first."
        raise Invalid([("require_second_factor", message, "locks_out")])


def _notify_owners_of_deletion(org: Org) -> None:
    owners = Membership.objects.for_org(org).filter(role=Role.OWNER)
    for email in owners.values_list("user__email", flat=True):
        mail.request_notice(email, "org-deleting")


def _record_org(org: Org, by: Principal, action: str, changes: dict[str, Any]) -> None:
    audit.record(
        org=org,
        by=by,
        action=action,
        object_kind="org",
        object_id=org.pk,
        object_label=org.name,
        changes=changes,
    )


def _end_membership(org: Org, by: Principal, member: Membership, action: str) -> None:
    if member.role == Role.OWNER:
        _require_another_owner(org, leaving=member)
    own_keys = ApiKey.objects.for_org(org).filter(created_by_id=member.user_id)
    own_keys.filter(revoked_at__isnull=True).update(revoked_at=timezone.now())
    _record_member(org, by, action, member, {"role": [member.role, None]})
    user = member.user
    member.delete()
    # A service account belongs to one org only, so its user is not needed any more.
    if user.kind == User.Kind.SERVICE:
        User.objects.filter(pk=user.pk).update(is_active=False)
    access.recheck_streams(user.pk)


def audit_label(member: Membership) -> str:
    """Return the label of this member in the audit log: a name or an e-mail address."""
    is_service = member.user.kind == User.Kind.SERVICE
    return member.user.name if is_service else member.user.email


def _record_member(
    org: Org, by: Principal, action: str, member: Membership, changes: dict[str, Any]
) -> None:
    audit.record(
        org=org,
        by=by,
        action=action,
        object_kind="member",
        object_id=member.pk,
        object_label=audit_label(member),
        changes=changes,
    )
