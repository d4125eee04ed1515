"""Apply an org's directory (SCIM 2.0, RFC 7643 and 7644) as invitations and memberships.

A directory knows the addresses of users, but not whether the users agree to join. So a user that the directory adds is
invited, and joins with the mailed link. A user that the directory deactivates loses access at once. A directory cannot
grant or remove the role owner.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any
from uuid import UUID

from django.utils import timezone

from apps.auth.constraints import refused_as
from apps.auth.models import User
from apps.orgs import audit
from apps.orgs.exceptions import Invalid, NameTaken
from apps.orgs.members import invitations, services, verified_domains
from apps.orgs.models import (
    IdentityProvider,
    Invitation,
    Membership,
    Org,
    ScimGroup,
    ScimMembership,
    ScimUser,
)
from apps.orgs.principals import Principal
from apps.orgs.roles import RANK, Role

UNIQUE_CONSTRAINTS = ("orgs_scimuser_user_name", "orgs_scimuser_email", "orgs_scimgroup_name")


def save_user(
    *, org: Org, by: Principal, row: ScimUser, fields: Mapping[str, Any], action: str
) -> ScimUser:
    """Store a user's attributes and apply them. Raises NameTaken and LimitReached.

    Raises PermissionMissing if the change would remove an owner.
    """
    if row.email and row.email != fields["email"]:
        _remove_access(org, by, row)  # Another address means another person.
    changes = _save_row(row, fields)
    if "claims" in changes:
        changes["attributes"] = _changed_names(*changes.pop("claims"))
    if changes:
        _record(org, by, action, "scim_user", row.pk, row.user_name, changes)
    apply_user(org, by, row)
    return row


def remove_user(*, org: Org, by: Principal, row: ScimUser) -> None:
    """Remove a user whom the directory has deleted."""
    _remove_access(org, by, row)
    _record(org, by, "scim_user.delete", "scim_user", row.pk, row.user_name, {})
    row.delete()


def apply_user(org: Org, by: Principal, row: ScimUser) -> None:
    """Make the membership or the invitation match the directory.

    An inactive user loses access. An active user who is not a member is invited. A member gets the highest role that
    their groups grant, or becomes a viewer if the groups granted a role before and grant none now. The role of an
    owner does not change.
    """
    if not row.email:
        return  # The directory has not sent an address yet.
    if not row.active:
        _remove_access(org, by, row)
        return
    # Lock the row: two of the user's groups may change at the same time.
    locked_users = ScimUser.objects.for_org(org).select_for_update()
    old_role, row.given = locked_users.get(pk=row.pk).given, _highest_group_role(org, row)
    if row.given != old_role:
        row.save(update_fields=["given"])
    member = _find_member(org, row)
    if member is None:
        _invite(org, by, row)
    elif (role := row.given or (old_role and Role.VIEWER)) and member.role not in (
        role,
        Role.OWNER,
    ):
        services.change_role(org=org, by=by, member_id=member.pk, role=Role(role))


def find_by_address(org: Org, email: str) -> ScimUser | None:
    """Return the provisioned user with this address."""
    return ScimUser.objects.for_org(org).filter(email=email).first()


def _changed_names(before: Mapping[str, Any], after: Mapping[str, Any]) -> list[str]:
    """Return the names of the changed attributes. The audit log must not contain values such as postal addresses."""
    return sorted(
        name for name in before.keys() | after.keys() if before.get(name) != after.get(name)
    )


def joining_role(row: ScimUser) -> Role:
    """Return the role with which a provisioned user joins: the highest role of the groups, or viewer."""
    return Role(row.given or Role.VIEWER)


def _highest_group_role(org: Org, row: ScimUser) -> str:
    """Return the highest role that the groups of the user grant. It is empty if no group grants a role."""
    groups = ScimMembership.objects.for_org(org).filter(user=row)
    roles = [Role(role) for role in groups.values_list("group__role", flat=True) if role]
    return max(roles, key=RANK.__getitem__) if roles else ""


def _invite(org: Org, by: Principal, row: ScimUser) -> None:
    """Invite the user by mail, because the user must agree to join.

    Sends no mail if the org has its own identity provider and has verified the domain of the address. The user then
    joins by logging in with this provider.
    """
    has_provider = IdentityProvider.objects.for_org(org).filter(enabled=True).exists()
    if has_provider and verified_domains.is_in_verified_domain(org, row.email):
        return
    role = joining_role(row)
    pending = Invitation.objects.for_org(org).unaccepted().filter(email=row.email)
    invitation = pending.filter(expires_at__gt=timezone.now()).first()
    if invitation is None:
        invitations.invite_provisioned(org=org, by=by, email=row.email, role=role)
    elif invitation.role != role:
        pending.filter(pk=invitation.pk).update(role=role)


def save_group(
    *, org: Org, by: Principal, row: ScimGroup, fields: Mapping[str, Any], action: str
) -> ScimGroup:
    """Store a group's name, external id or role. A new role is applied to all members. Raises NameTaken."""
    changes = _save_row(row, fields)
    if changes:
        _record(org, by, action, "scim_group", row.pk, row.display_name, changes)
    if "role" in changes:
        _apply_users(org, by, member_ids(org, row))
    return row


def set_members(*, org: Org, by: Principal, group: ScimGroup, user_ids: Iterable[UUID]) -> None:
    """Set the members of the group. Raises Invalid for a user that the directory did not provision."""
    new_ids = set(user_ids)
    users = {row.pk: row for row in ScimUser.objects.for_org(org).filter(pk__in=new_ids)}
    if new_ids - users.keys():
        raise Invalid(
            [("members", "One of the members is not a user of this directory.", "unknown")]
        )
    memberships = ScimMembership.objects.for_org(org).filter(group=group)
    old_ids = set(memberships.values_list("user_id", flat=True))
    memberships.exclude(user_id__in=new_ids).delete()
    for user_id in new_ids - old_ids:
        ScimMembership.unscoped.create(org=org, group=group, user=users[user_id])
    changed_ids = old_ids ^ new_ids
    if changed_ids:
        names = sorted(
            ScimUser.objects.for_org(org)
            .filter(pk__in=changed_ids)
            .values_list("user_name", flat=True)
        )
        label = group.display_name
        _record(org, by, "scim_group.members", "scim_group", group.pk, label, {"people": names})
        ScimGroup.objects.for_org(org).filter(pk=group.pk).update(updated_at=timezone.now())
        _apply_users(org, by, changed_ids)


def remove_group(*, org: Org, by: Principal, group: ScimGroup) -> None:
    former_member_ids = member_ids(org, group)
    _record(org, by, "scim_group.delete", "scim_group", group.pk, group.display_name, {})
    ScimMembership.objects.for_org(org).filter(group=group).delete()
    group.delete()
    _apply_users(org, by, former_member_ids)


def member_ids(org: Org, group: ScimGroup) -> set[UUID]:
    rows = ScimMembership.objects.for_org(org).filter(group=group)
    return set(rows.values_list("user_id", flat=True))


def _apply_users(org: Org, by: Principal, user_ids: Iterable[UUID]) -> None:
    for row in ScimUser.objects.for_org(org).filter(pk__in=list(user_ids)).order_by("pk"):
        apply_user(org, by, row)


def _remove_access(org: Org, by: Principal, row: ScimUser) -> None:
    """Withdraw the invitations of the user's address and end the membership."""
    if not row.email:
        return
    invitations.withdraw_all_for(org=org, by=by, email=row.email)
    if (member := _find_member(org, row)) is not None:
        services.remove_member(org=org, by=by, member_id=member.pk)


def _find_member(org: Org, row: ScimUser) -> Membership | None:
    return (
        Membership.objects.for_org(org)
        .select_related("user")
        .filter(user__email=row.email, user__kind=User.Kind.PERSON)
        .first()
    )


def _save_row(row: ScimUser | ScimGroup, fields: Mapping[str, Any]) -> dict[str, Any]:
    """Store the changed fields. Returns {field: [old value, new value]}. Raises NameTaken."""
    changes = {
        name: [getattr(row, name), value]
        for name, value in fields.items()
        if getattr(row, name) != value
    }
    if not changes:
        return {}
    for name, value in fields.items():
        setattr(row, name, value)
    row.updated_at = row.created_at if row._state.adding else timezone.now()
    with refused_as(NameTaken, *UNIQUE_CONSTRAINTS):
        row.save()
    return changes


def _record(
    org: Org,
    by: Principal,
    action: str,
    kind: str,
    object_id: UUID,
    label: str,
    changes: Mapping[str, Any],
) -> None:
    audit.record(
        org=org,
        by=by,
        action=action,
        object_kind=kind,
        object_id=object_id,
        object_label=label,
        changes=changes,
    )
