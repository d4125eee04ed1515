"""Apply an org's directory (SCIM 2.0, RFC 7643 and 7644) as invitations and memberships.

A directory knows addresses, but not whether their owners agree: so a user it adds is invited, and joins with
the mailed link. A user it deactivates loses access at once. Only owners grant and remove ownership, never a
directory.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any
from uuid import UUID

from django.db import IntegrityError, transaction
from django.utils import timezone

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


def save_user(
    *, org: Org, by: Principal, row: ScimUser, fields: Mapping[str, Any], action: str
) -> ScimUser:
    """Store a user's attributes and apply them. Raises NameTaken, LimitReached, PermissionMissing for an owner."""
    if row.email and row.email != fields["email"]:
        _remove_access(org, by, row)  # Another address means another person.
    changed = _store(row, fields)
    if "claims" in changed:
        changed["attributes"] = _changed_names(*changed.pop("claims"))
    if changed:
        _record(org, by, action, "scim_user", row.pk, row.user_name, changed)
    apply(org, by, row)
    return row


def remove_user(*, org: Org, by: Principal, row: ScimUser) -> None:
    """Remove a user whom the directory has deleted."""
    _remove_access(org, by, row)
    _record(org, by, "scim_user.delete", "scim_user", row.pk, row.user_name, {})
    row.delete()


def apply(org: Org, by: Principal, row: ScimUser) -> None:
    """Make the membership, or the invitation, match the directory: active with the role of the groups, or removed.

    A member without a role from groups keeps the current one, unless a group had granted it.
    """
    if not row.email:
        return  # The directory has not sent an address yet.
    if not row.active:
        _remove_access(org, by, row)
        return
    # Lock the row: two of the user's groups may change at the same time.
    locked = ScimUser.objects.for_org(org).select_for_update()
    before, row.given = locked.get(pk=row.pk).given, _given(org, row)
    if row.given != before:
        row.save(update_fields=["given"])
    member = _member(org, row)
    if member is None:
        _invite(org, by, row)
    elif (role := row.given or (before and Role.VIEWER)) and member.role not in (role, Role.OWNER):
        services.change_role(org=org, by=by, member_id=member.pk, role=Role(role))


def provisioned(org: Org, email: str) -> ScimUser | None:
    """Return the provisioned user with this address."""
    return ScimUser.objects.for_org(org).filter(email=email).first()


def _changed_names(before: Mapping[str, Any], after: Mapping[str, Any]) -> list[str]:
    """Return only the names of the changed attributes, because values such as addresses are not put into the audit log."""
    return sorted(
        name for name in before.keys() | after.keys() if before.get(name) != after.get(name)
    )


def role_of(row: ScimUser) -> Role:
    """Return the role with which a provisioned user joins: viewer unless a group grants more."""
    return Role(row.given or Role.VIEWER)


def _given(org: Org, row: ScimUser) -> str:
    """Return the highest role of the groups of a user; empty if none grants one."""
    groups = ScimMembership.objects.for_org(org).filter(user=row)
    roles = [Role(role) for role in groups.values_list("group__role", flat=True) if role]
    return max(roles, key=RANK.__getitem__) if roles else ""


def _invite(org: Org, by: Principal, row: ScimUser) -> None:
    """Invite by mail, because the user has to agree.

    Sends nothing if the org has verified the domain of the address and has its own identity provider: the user
    then joins by logging in there.
    """
    let_in = IdentityProvider.objects.for_org(org).filter(enabled=True).exists()
    if let_in and verified_domains.proves(org, row.email):
        return
    role = role_of(row)
    opened = Invitation.objects.for_org(org).open().filter(email=row.email)
    invitation = opened.filter(expires_at__gt=timezone.now()).first()
    if invitation is None:
        invitations.invite_provisioned(org=org, by=by, email=row.email, role=role)
    elif invitation.role != role:
        opened.filter(pk=invitation.pk).update(role=role)


def save_group(
    *, org: Org, by: Principal, row: ScimGroup, fields: Mapping[str, Any], action: str
) -> ScimGroup:
    """Store a group's name, id or role, and update all its members. Raises NameTaken."""
    changed = _store(row, fields)
    if changed:
        _record(org, by, action, "scim_group", row.pk, row.display_name, changed)
    if "role" in changed:
        _apply_all(org, by, people_of(org, row))
    return row


def set_people(*, org: Org, by: Principal, group: ScimGroup, wanted: Iterable[UUID]) -> None:
    """Set the members of the group. Raises Invalid for a user that the directory did not provision."""
    ids = set(wanted)
    people = {row.pk: row for row in ScimUser.objects.for_org(org).filter(pk__in=ids)}
    if ids - people.keys():
        raise Invalid(
            [("members", "One of the members is not a user of this directory.", "unknown")]
        )
    mine = ScimMembership.objects.for_org(org).filter(group=group)
    before = set(mine.values_list("user_id", flat=True))
    mine.exclude(user_id__in=ids).delete()
    for user_id in ids - before:
        ScimMembership.unscoped.create(org=org, group=group, user=people[user_id])
    changed = before ^ ids
    if changed:
        names = sorted(
            ScimUser.objects.for_org(org).filter(pk__in=changed).values_list("user_name", flat=True)
        )
        label = group.display_name
        _record(org, by, "scim_group.members", "scim_group", group.pk, label, {"people": names})
        ScimGroup.objects.for_org(org).filter(pk=group.pk).update(updated_at=timezone.now())
        _apply_all(org, by, changed)


def remove_group(*, org: Org, by: Principal, group: ScimGroup) -> None:
    people = people_of(org, group)
    _record(org, by, "scim_group.delete", "scim_group", group.pk, group.display_name, {})
    ScimMembership.objects.for_org(org).filter(group=group).delete()
    group.delete()
    _apply_all(org, by, people)


def people_of(org: Org, group: ScimGroup) -> set[UUID]:
    rows = ScimMembership.objects.for_org(org).filter(group=group)
    return set(rows.values_list("user_id", flat=True))


def _apply_all(org: Org, by: Principal, people: Iterable[UUID]) -> None:
    for row in ScimUser.objects.for_org(org).filter(pk__in=list(people)).order_by("pk"):
        apply(org, by, row)


def _remove_access(org: Org, by: Principal, row: ScimUser) -> None:
    """Withdraw the invitations of the user's address and end the membership."""
    if not row.email:
        return
    invitations.withdraw_all_of(org=org, by=by, email=row.email)
    if (member := _member(org, row)) is not None:
        services.remove_member(org=org, by=by, member_id=member.pk)


def _member(org: Org, row: ScimUser) -> Membership | None:
    return (
        Membership.objects.for_org(org)
        .select_related("user")
        .filter(user__email=row.email, user__kind=User.Kind.PERSON)
        .first()
    )


def _store(row: ScimUser | ScimGroup, fields: Mapping[str, Any]) -> dict[str, Any]:
    """Store the changes and return them as old and new value by field. Raises NameTaken."""
    changed = {
        name: [getattr(row, name), value]
        for name, value in fields.items()
        if getattr(row, name) != value
    }
    if not changed:
        return {}
    for name, value in fields.items():
        setattr(row, name, value)
    row.updated_at = row.created_at if row._state.adding else timezone.now()
    try:
        with transaction.atomic():
            row.save()
    except IntegrityError:
        raise NameTaken from None
    return changed


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
