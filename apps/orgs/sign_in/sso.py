"""Log in by identity providers, and decide how far they are trusted.

The operator chooses the installation's providers, which are trusted for whole accounts. An owner of an org
chooses the org's own issuer, which is trusted for that org only: its sessions are limited to the org and cannot
manage the account. Otherwise anyone could create an org with an issuer that claims to identify other people.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any
from uuid import UUID

from allauth.socialaccount.models import SocialAccount
from django.db import transaction
from django.utils import timezone

from apps.auth import factors, proofs, sessions
from apps.auth.accounts import create_account
from apps.auth.mailing import mail
from apps.auth.models import User
from apps.orgs import audit, rules
from apps.orgs.credentials import Account
from apps.orgs.exceptions import Conflict, NotFound
from apps.orgs.members import invitations, limits, verified_domains
from apps.orgs.members.services import create_org
from apps.orgs.models import FederatedIdentity, IdentityProvider, Invitation, Membership, Org
from apps.orgs.principals import person_principal, system_principal
from apps.orgs.roles import Role
from apps.orgs.scim import provisioning
from apps.orgs.sign_in import providers
from apps.orgs.sign_in.providers import Identity
from apps.orgs.sign_in.reauthentication import require_password
from apps.orgs.walls.scope import org_scope


class SignInRefused(Exception):
    """The provider has identified the person, but Drover refuses the login or the linking. `code` is the reason."""

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code


class LastLoginMethod(Conflict):
    """Without this provider you could not log in any more: set a password first."""

    code = "last_way_in"


class LinkedToOtherAccount(Conflict):
    """This identity is linked to another account."""

    code = "linked_elsewhere"


@dataclass(frozen=True, slots=True)
class AcceptedLogin:
    """A login that was accepted: the user, the method, and the limits of the new session."""

    user: User
    method: str
    org_id: UUID | None = None  # the org that the dashboard opens
    only_org: UUID | None = None  # the org to which the session is limited


def sign_in(identity: Identity, ip: str | None) -> AcceptedLogin:
    """Return the login for an identity. Raises SignInRefused and the exceptions of `invitations.accept`."""
    org_id = providers.org_id_of_provider(identity.provider)
    if org_id is None:
        return _log_in_to_account(identity, ip)
    login = _log_in_to_org(org_id, identity, ip)
    if login is None:  # Raise after the transaction is committed, so that the mail is sent.
        raise SignInRefused("consent_needed")
    return login


@transaction.atomic
def _log_in_to_account(identity: Identity, ip: str | None) -> AcceptedLogin:
    social_accounts = SocialAccount.objects.select_related("user").filter(
        provider=identity.provider, uid=identity.subject
    )
    if social_account := social_accounts.first():
        user = social_account.user
        if not isinstance(user, User) or not user.is_active:
            raise SignInRefused("account_disabled")
        return AcceptedLogin(user, identity.provider)
    return _create_account(identity, ip)


def begin_link(*, account: Account, password: str, provider: str) -> dict[str, Any]:
    """Return the content of the state cookie for linking a provider to this account.

    Raises WrongPassword and NotFound.
    """
    require_password(account, password)
    if provider not in providers.installed_providers():
        raise NotFound
    user = account.user
    session_state = {"session": str(account.session.pk), "version": user.proof_version}
    return {"link": {"user": str(user.pk), **session_state}}


@transaction.atomic
def link(identity: Identity) -> None:
    """Link an installation's provider to the account for which `begin_link` was called.

    Raises LinkedToOtherAccount, and SignInRefused if the session has ended or the account has changed since.
    """
    link_state = identity.state["link"]
    user = proofs.lock_user(UUID(link_state["user"]), link_state["version"])
    if (
        user is None
        or not sessions.active_sessions(user.pk).filter(pk=link_state["session"]).exists()
    ):
        raise SignInRefused("linking_expired")
    subject = {"provider": identity.provider, "uid": identity.subject}
    existing = SocialAccount.objects.filter(**subject).first()
    if existing is not None and existing.user_id != user.pk:
        raise LinkedToOtherAccount
    SocialAccount.objects.filter(user=user, provider=identity.provider).exclude(
        uid=identity.subject
    ).delete()
    if existing is None:
        SocialAccount.objects.create(user=user, extra_data={}, **subject)
    proofs.invalidate_proofs(user.pk)
    mail.request_notice(user.email, "provider-linked")


def links_of(user: User) -> list[dict[str, Any]]:
    """Return the installation's providers that are linked to this account."""
    rows = SocialAccount.objects.filter(user=user).order_by("date_joined")
    return [{"provider": row.provider, "linked_at": row.date_joined} for row in rows]


def unlink(*, account: Account, password: str, provider: str) -> None:
    """Unlink this provider. A login through it that is not yet complete will fail.

    Raises WrongPassword and NotFound. Raises LastLoginMethod if the user could not log in any more.
    """
    require_password(account, password)
    _unlink(account.user, provider)


@transaction.atomic
def _unlink(user: User, provider: str) -> None:
    own_links = SocialAccount.objects.filter(user=user)
    if not own_links.filter(provider=provider).exists():
        raise NotFound
    has_other_links = own_links.exclude(provider=provider).exists()
    if not (has_other_links or user.has_usable_password() or factors.load_factors(user).passkeys):
        raise LastLoginMethod
    own_links.filter(provider=provider).delete()
    proofs.invalidate_proofs(user.pk)


def _create_account(identity: Identity, ip: str | None) -> AcceptedLogin:
    if not identity.email or not identity.email.isascii():
        raise SignInRefused("email_missing")
    if not identity.verified:
        raise SignInRefused("email_not_verified")
    if User.objects.filter(email=identity.email).exists():
        # The same address does not prove that it is the same person.
        raise SignInRefused("link_first")
    user = create_account(email=identity.email, password=None, name=identity.name)
    user.email_verified_at = timezone.now()
    user.save(update_fields=["email_verified_at"])
    SocialAccount.objects.create(
        user=user, provider=identity.provider, uid=identity.subject, extra_data={}
    )
    by = person_principal(user.pk, user.email, ip)
    if token := identity.state.get("invitation"):
        org_id = invitations.accept(token=str(token), user=user, by=by).org_id
    else:
        org_id = create_org(name=_first_org_name(user), owner=user, by=by).pk
    return AcceptedLogin(user, identity.provider, org_id)


def _first_org_name(user: User) -> str:
    return f"{user.name or user.email.partition('@')[0]}'s organization"[:120]


def _log_in_to_org(org_id: UUID, identity: Identity, ip: str | None) -> AcceptedLogin | None:
    """Log in to an org. Returns None if the user must first accept a mailed invitation."""
    with org_scope(org_id):
        org = Org.objects.select_for_update().get(pk=org_id)
        identities = FederatedIdentity.objects.for_org(org).filter(subject=identity.subject)
        identity_row = identities.select_related("membership__user").first() or _link_subject(
            org, identity, ip
        )
        if identity_row is None:
            return None
        user = identity_row.membership.user
        if not user.is_active:
            raise SignInRefused("account_disabled")
        identity_row.email, identity_row.name = identity.email or identity_row.email, identity.name
        identity_row.save(update_fields=["email", "name"])
        return AcceptedLogin(user, "sso", org.pk, only_org=org.pk)


def _link_subject(org: Org, identity: Identity, ip: str | None) -> FederatedIdentity | None:
    """Link a new identity to the member with the same address, or to a new member.

    Returns None if the user must first accept a mailed invitation.
    """
    email = identity.email
    if not email or not email.isascii():
        raise SignInRefused("email_missing")
    if not identity.verified:
        raise SignInRefused("email_not_verified")
    members = Membership.objects.for_org(org).select_related("user")
    member: Membership | None = members.filter(
        user__email=email, user__kind=User.Kind.PERSON
    ).first()
    if member is None:
        member = _join_org(org, email, identity, ip)
    if member is None:
        return None
    existing = FederatedIdentity.objects.for_org(org).filter(membership=member)
    if existing.exists():
        raise SignInRefused("member_linked")
    identity_row: FederatedIdentity = FederatedIdentity.unscoped.create(
        org=org, membership=member, subject=identity.subject
    )
    by = person_principal(member.user_id, email, ip)
    audit.record(
        org=org,
        by=by,
        action="identity_provider.link",
        object_kind="member",
        object_id=member.pk,
        object_label=email,
        changes={"subject": [None, identity.subject]},
    )
    return identity_row


def _join_org(org: Org, email: str, identity: Identity, ip: str | None) -> Membership | None:
    """Make a user a member if the org accepts the user.

    The user must have the secret of a mailed invitation, or an address of a domain that the org has verified.
    Otherwise the function mails an invitation and returns None, because an issuer can claim any address. The result
    does not depend on whether the address has an account.
    """
    rules.require_writable(org)
    invitation = invitations.lock_pending_invitation(org, email)
    role = _joining_role(org, email, invitation)
    token = str(identity.state.get("invitation") or "")
    has_invitation_secret = bool(token) and invitations.is_token_of_invitation(
        org=org, token=token, email=email
    )
    if not (has_invitation_secret or verified_domains.is_in_verified_domain(org, email)):
        by = system_principal("Single sign-on", ip=ip)
        invitations.request_consent(org=org, by=by, email=email, role=role)
        return None
    limits.require_room_for_members(org, except_invitation=invitation)
    user = _find_or_create_account(
        email, identity.name, has_invitation_secret=has_invitation_secret
    )
    member: Membership = Membership.unscoped.create(org=org, user=user, role=role)
    open_invitations = Invitation.objects.for_org(org).unaccepted().filter(email=email)
    open_invitations.update(accepted_at=timezone.now(), digest=None)
    audit.record(
        org=org,
        by=person_principal(user.pk, email, ip),
        action="member.join",
        object_kind="member",
        object_id=member.pk,
        object_label=email,
        changes={"role": [None, role]},
    )
    return member


def _joining_role(org: Org, email: str, invitation: Invitation | None) -> Role:
    """Return the role with which the user joins: of the invitation, else of the directory, else `join_role`.

    Raises SignInRefused if there is none, if the org does not allow the address, or if the directory has deactivated
    the user.
    """
    if org.email_domains and email.rpartition("@")[2] not in org.email_domains:
        raise SignInRefused("address_not_allowed")
    scim_user = provisioning.find_by_address(org, email)
    if scim_user is not None and not scim_user.active:
        raise SignInRefused("not_a_member")
    if invitation is not None:
        return Role(invitation.role)
    if scim_user is not None:
        return provisioning.joining_role(scim_user)
    role = IdentityProvider.objects.for_org(org).get().join_role
    if not role:
        raise SignInRefused("not_a_member")
    return Role(role)


def _find_or_create_account(email: str, name: str, *, has_invitation_secret: bool) -> User:
    """Return the account with this address. Creates it if it does not exist.

    Marks the address as verified if `has_invitation_secret`. Raises SignInRefused if the account has a password but
    its address is not verified, because another person may have registered it.
    """
    user = User.objects.filter(email=email).first()
    if user is None:
        user = create_account(email=email, password=None, name=name)
    if user.email_verified_at is None and user.has_usable_password():
        raise SignInRefused("confirm_first")
    if has_invitation_secret and user.email_verified_at is None:
        user.email_verified_at = timezone.now()
        user.save(update_fields=["email_verified_at"])
    return user
