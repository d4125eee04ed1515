"""Actions on invitations: invite, resend, withdraw, accept.

An invitation is for one e-mail address. Its link is created with its mail, works once, and verifies the address.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from django.db import connection
from django.utils import timezone

from apps.auth import attempts
from apps.auth.exceptions import LinkSpent
from apps.auth.mailing import links, mail
from apps.auth.models import User
from apps.orgs import audit, rules
from apps.orgs.exceptions import AlreadyInvited, AlreadyMember, Invalid, InvitationForOtherAddress
from apps.orgs.members import limits
from apps.orgs.members.services import require_rank
from apps.orgs.models import IdentityProvider, Invitation, Membership, Org
from apps.orgs.placement import find_object
from apps.orgs.principals import Principal
from apps.orgs.roles import RANK, Permission, Role
from apps.orgs.walls.scope import org_scope

LIFETIME = timedelta(days=7)
MAIL_TASK = "orgs.mail_invitation"


@dataclass(frozen=True, slots=True)
class InvitationDetails:
    """The data of an invitation that its page shows before the user accepts."""

    organization: str
    email: str
    role: Role
    invited_by: str | None
    expires_at: datetime
    single_sign_on: str | None  # the org's slug, if it has its own identity provider


def invite(*, org: Org, by: Principal, email: str, role: Role) -> Invitation:
    """Invite an address to join the org.

    Raises Invalid for an address outside the org's e-mail domains, and PermissionMissing for a role above `by`'s own.
    Also raises AlreadyMember, AlreadyInvited, LimitReached and TooManyAttempts.
    """
    by.require(Permission.INVITATIONS_MANAGE)
    return _invite(org, by, email, role)


def invite_provisioned(*, org: Org, by: Principal, email: str, role: Role) -> Invitation:
    """Invite an address that the org's directory provisioned. Requires the permission to manage members."""
    by.require(Permission.MEMBERS_MANAGE)
    return _invite(org, by, email, role)


def _invite(org: Org, by: Principal, email: str, role: Role) -> Invitation:
    require_rank(by, role)
    _require_allowed_domain(org, email)
    members = Membership.objects.for_org(org)
    if members.filter(user__email=email).exists():
        raise AlreadyMember
    if lock_pending_invitation(org, email) is not None:
        raise AlreadyInvited
    return _create_invitation(org, by, email, role, invited_by=by.user_id)


def request_consent(*, org: Org, by: Principal, email: str, role: Role) -> None:
    """Mail an invitation, unless a valid one exists, so that the owner of the address decides whether to join.

    Needed after a login by single sign-on, because the identity provider may have claimed an address of another
    person. Raises LimitReached and TooManyAttempts.
    """
    if lock_pending_invitation(org, email) is None:
        _create_invitation(org, by, email, role, invited_by=None)


def is_token_of_invitation(*, org: Org, token: str, email: str) -> bool:
    """Whether this is the token of a valid invitation that the org sent to this address."""
    invitation = lock_pending_invitation(org, email)
    return invitation is not None and bytes(invitation.digest or b"") == links.digest(token)


def lock_pending_invitation(org: Org, email: str) -> Invitation | None:
    """Lock and return the org's valid invitation for this address. Returns None if there is none."""
    open_invitations = Invitation.objects.for_org(org).unaccepted().filter(email=email)
    invitation: Invitation | None = (
        open_invitations.filter(expires_at__gt=timezone.now())
        .select_for_update(of=("self",))
        .first()
    )
    return invitation


def resend(*, org: Org, by: Principal, invitation_id: UUID) -> Invitation:
    """Send a new link with a new expiry. The old link stops working. Raises NotFound and TooManyAttempts."""
    by.require(Permission.INVITATIONS_MANAGE)
    invitation = _lock_open_invitation(org, invitation_id)
    require_rank(by, Role(invitation.role))
    invitation.expires_at = timezone.now() + LIFETIME
    invitation.digest = None
    invitation.save(update_fields=["expires_at", "digest"])
    _request_mail(org, invitation)
    _record(org, by, "invitation.resend", invitation, {})
    return invitation


def withdraw(*, org: Org, by: Principal, invitation_id: UUID) -> None:
    """Withdraw an invitation: its link stops working. Raises NotFound."""
    by.require(Permission.INVITATIONS_MANAGE)
    _withdraw(org, by, _lock_open_invitation(org, invitation_id))


def withdraw_all_for(*, org: Org, by: Principal, email: str) -> None:
    """Withdraw all invitations of an address, because the org's directory has removed the user."""
    by.require(Permission.MEMBERS_MANAGE)
    for invitation in Invitation.objects.for_org(org).unaccepted().filter(email=email):
        _withdraw(org, by, invitation)


def _lock_open_invitation(org: Org, invitation_id: UUID) -> Invitation:
    """Lock and return an invitation that was not accepted yet. Raises NotFound."""
    return find_object(Invitation.objects.for_org(org).unaccepted(), invitation_id, lock=True)


def _withdraw(org: Org, by: Principal, invitation: Invitation) -> None:
    _record(org, by, "invitation.withdraw", invitation, {"role": [invitation.role, None]})
    invitation.delete()


def load_details(token: str) -> InvitationDetails:
    """Return the details of the invitation with this token. Raises LinkSpent."""
    org_id, invitation_id = _find_ids(token)
    with org_scope(org_id):
        invitation = _load_acceptable_invitation(org_id, invitation_id, lock=False)
        provider = IdentityProvider.objects.for_org(org_id).filter(enabled=True)
        return InvitationDetails(
            organization=invitation.org.name,
            email=invitation.email,
            role=Role(invitation.role),
            invited_by=invitation.invited_by.email if invitation.invited_by else None,
            expires_at=invitation.expires_at,
            single_sign_on=invitation.org.slug if provider.exists() else None,
        )


def accept(*, token: str, user: User, by: Principal) -> Membership:
    """Make the user a member with the invitation's role. The user's address is then verified.

    If the user is a member with a higher role, the role does not change. Call this outside every `org_scope`.
    Raises LinkSpent, InvitationForOtherAddress, OrgReadOnly and LimitReached.
    """
    org_id, invitation_id = _find_ids(token)
    with org_scope(org_id):
        org = Org.objects.select_for_update().get(pk=org_id)
        invitation = _load_acceptable_invitation(org_id, invitation_id, lock=True)
        if user.email != invitation.email:
            raise InvitationForOtherAddress
        rules.require_writable(org)
        role = Role(invitation.role)
        member = Membership.objects.for_org(org).filter(user=user).first()
        if member is None:
            limits.require_room_for_members(org, except_invitation=invitation)
            member = Membership.unscoped.create(org=org, user=user, role=role)
        elif RANK[role] > RANK[Role(member.role)]:
            member.role = role
            member.save(update_fields=["role"])
        invitation.accepted_at, invitation.digest = timezone.now(), None
        invitation.save(update_fields=["accepted_at", "digest"])
        inviter = invitation.invited_by.email if invitation.invited_by else None
        changes = {"role": [None, member.role], "invited_by": [None, inviter]}
        _record(org, by, "invitation.accept", invitation, changes)
    if user.email_verified_at is None:
        user.email_verified_at = timezone.now()
        user.save(update_fields=["email_verified_at"])
    membership: Membership = member
    return membership


def invalidate_links_to(email: str) -> None:
    """Invalidate the invitation links that any org has mailed to a user's previous address.

    The orgs can send new links. A SECURITY DEFINER function updates the rows, because the orgs are not known.
    """
    with connection.cursor() as cursor:
        cursor.execute("SELECT forget_invitation_links(%s)", [email])


def deliver(*, org_id: UUID, invitation_id: UUID) -> None:
    """Create the link and mail it. Does nothing if the invitation was deleted or accepted."""
    with org_scope(org_id):
        open_invitations = (
            Invitation.objects.for_org(org_id).unaccepted().select_related("org", "invited_by")
        )
        invitation = (
            open_invitations.filter(pk=invitation_id).select_for_update(of=("self",)).first()
        )
        if invitation is None:
            return
        secret = links.new_secret()
        invitation.digest, invitation.sent_at = links.digest(secret), timezone.now()
        invitation.save(update_fields=["digest", "sent_at"])
        mail.send(
            invitation.email,
            "invitation",
            organization=mail.quote_name(invitation.org.name),
            invited_by=invitation.invited_by,
            role=invitation.role,
            link=mail.page_url("invitation", secret),
            days=LIFETIME.days,
        )


def _create_invitation(
    org: Org, by: Principal, email: str, role: Role, *, invited_by: UUID | None
) -> Invitation:
    # All of them have expired, because the callers found no valid one.
    Invitation.objects.for_org(org).unaccepted().filter(email=email).delete()
    limits.require_room_for_members(org)
    invitation: Invitation = Invitation.unscoped.create(
        org=org,
        email=email,
        role=role,
        invited_by_id=invited_by,
        expires_at=timezone.now() + LIFETIME,
    )
    _request_mail(org, invitation)
    _record(org, by, "invitation.create", invitation, {"role": [None, role]})
    return invitation


def _require_allowed_domain(org: Org, email: str) -> None:
    if org.email_domains and email.rpartition("@")[2] not in org.email_domains:
        message = f"This organization only accepts addresses of {', '.join(org.email_domains)}."
        raise Invalid([("email", message, "domain_not_allowed")])


def _find_ids(token: str) -> tuple[UUID, UUID]:
    """Return the ids of the org and the invitation. Raises LinkSpent.

    A SECURITY DEFINER function finds them, because the org is not known yet.
    """
    with connection.cursor() as cursor:
        cursor.execute("SELECT * FROM invitation_by_digest(%s)", [links.digest(token)])
        row = cursor.fetchone()
    if row is None:
        raise LinkSpent
    return row[0], row[1]


def _load_acceptable_invitation(org_id: UUID, invitation_id: UUID, *, lock: bool) -> Invitation:
    """Return an invitation that can be accepted. Raises LinkSpent."""
    open_invitations = (
        Invitation.objects.for_org(org_id).unaccepted().select_related("org", "invited_by")
    )
    if lock:
        open_invitations = open_invitations.select_for_update(of=("self",))
    invitation: Invitation | None = open_invitations.filter(
        pk=invitation_id, expires_at__gt=timezone.now()
    ).first()
    if invitation is None:
        raise LinkSpent
    return invitation


def _request_mail(org: Org, invitation: Invitation) -> None:
    attempts.record_invitation(org.pk, invitation.email)
    mail.defer_mail(MAIL_TASK, org_id=str(org.pk), invitation_id=str(invitation.pk))


def _record(
    org: Org,
    by: Principal,
    action: str,
    invitation: Invitation,
    changes: dict[str, list[str | None]],
) -> None:
    audit.record(
        org=org,
        by=by,
        action=action,
        object_kind="invitation",
        object_id=invitation.pk,
        object_label=invitation.email,
        changes=changes,
    )
