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
from apps.auth.exceptions import LinkSpent
from apps.auth.mailing import mail
from apps.auth.models import User
from apps.orgs import audit, rules
from apps.orgs.credentials import Account
from apps.orgs.exceptions import Conflict, NotFound
from apps.orgs.members import invitations, limits, verified_domains
from apps.orgs.members.services import create_org
from apps.orgs.models import FederatedIdentity, IdentityProvider, Invitation, Membership, Org
from apps.orgs.principals import person, system
from apps.orgs.roles import Role
from apps.orgs.scim import provisioning
from apps.orgs.sign_in import providers
from apps.orgs.sign_in.providers import Identity
from apps.orgs.sign_in.reauthentication import require_password
from apps.orgs.walls.scope import org_scope


class SignInRefused(Exception):
    """The identity is known, but the user may not log in; `code` says why."""

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code


class LastWayIn(Conflict):
    """Without it you could not log in any more: set a password first."""

    code = "last_way_in"


class LinkedElsewhere(Conflict):
    """That identity is linked to another account."""

    code = "linked_elsewhere"


@dataclass(frozen=True, slots=True)
class AcceptedLogin:
    """The user who gets a session, and its kind."""

    user: User
    method: str
    org_id: UUID | None = None  # the page to open
    only_org: UUID | None = None


def sign_in(identity: Identity, ip: str | None) -> AcceptedLogin:
    """Return the login for an identity. Raises SignInRefused, and what accepting an invitation raises."""
    org_id = providers.org_of(identity.provider)
    if org_id is None:
        return _into_account(identity, ip)
    welcome = _into_org(org_id, identity, ip)
    if welcome is None:  # Raised outside the transaction, so that the mail is sent.
        raise SignInRefused("consent_needed")
    return welcome


@transaction.atomic
def _into_account(identity: Identity, ip: str | None) -> AcceptedLogin:
    linked = SocialAccount.objects.select_related("user").filter(
        provider=identity.provider, uid=identity.subject
    )
    if found := linked.first():
        user = found.user
        if not isinstance(user, User) or not user.is_active:
            raise SignInRefused("account_disabled")
        return AcceptedLogin(user, identity.provider)
    return _newcomer(identity, ip)


def begin_link(*, account: Account, password: str, provider: str) -> dict[str, Any]:
    """Return the state to keep in the browser while a provider is being linked to this account.

    Raises WrongPassword and NotFound.
    """
    require_password(account, password)
    if provider not in providers.installed():
        raise NotFound
    user = account.user
    about = {"session": str(account.session.pk), "version": user.proof_version}
    return {"link": {"user": str(user.pk), **about}}


@transaction.atomic
def link(identity: Identity) -> None:
    """Link an installation's provider to the account that started with the result of `begin_link`.

    Raises LinkedElsewhere, and LinkSpent if the session has ended or the account has changed since.
    """
    asked = identity.state["link"]
    user = proofs.hold(UUID(asked["user"]), asked["version"])
    if user is None or not sessions.alive_of(user.pk).filter(pk=asked["session"]).exists():
        raise LinkSpent
    about = {"provider": identity.provider, "uid": identity.subject}
    other = SocialAccount.objects.filter(**about).first()
    if other is not None and other.user_id != user.pk:
        raise LinkedElsewhere
    SocialAccount.objects.filter(user=user, provider=identity.provider).exclude(
        uid=identity.subject
    ).delete()
    if other is None:
        SocialAccount.objects.create(user=user, extra_data={}, **about)
    proofs.forget(user.pk)
    mail.ask_for_notice(user.email, "provider-linked")


def links_of(user: User) -> list[dict[str, Any]]:
    """Return the installation's providers that are linked to this account."""
    rows = SocialAccount.objects.filter(user=user).order_by("date_joined")
    return [{"provider": row.provider, "linked_at": row.date_joined} for row in rows]


def unlink(*, account: Account, password: str, provider: str) -> None:
    """Unlink this provider; logins by it that are not completed yet fail.

    Raises WrongPassword, NotFound, and LastWayIn if the user could not log in any more.
    """
    require_password(account, password)
    _unlink(account.user, provider)


@transaction.atomic
def _unlink(user: User, provider: str) -> None:
    mine = SocialAccount.objects.filter(user=user)
    if not mine.filter(provider=provider).exists():
        raise NotFound
    others = mine.exclude(provider=provider).exists()
    if not (others or user.has_usable_password() or factors.of(user).passkeys):
        raise LastWayIn
    mine.filter(provider=provider).delete()
    proofs.forget(user.pk)


def _newcomer(identity: Identity, ip: str | None) -> AcceptedLogin:
    if not identity.email or not identity.email.isascii():
        raise SignInRefused("email_missing")
    if not identity.verified:
        raise SignInRefused("email_not_verified")
    if User.objects.filter(email=identity.email).exists():
        raise SignInRefused(
            "link_first"
        )  # An address alone does not prove that it is the same account.
    user = create_account(email=identity.email, password=None, name=identity.name)
    user.email_verified_at = timezone.now()
    user.save(update_fields=["email_verified_at"])
    SocialAccount.objects.create(
        user=user, provider=identity.provider, uid=identity.subject, extra_data={}
    )
    by = person(user.pk, user.email, ip)
    if token := identity.state.get("invitation"):
        org_id = invitations.accept(token=str(token), user=user, by=by).org_id
    else:
        org_id = create_org(name=_first_org(user), owner=user, by=by).pk
    return AcceptedLogin(user, identity.provider, org_id)


def _first_org(user: User) -> str:
    return f"{user.name or user.email.partition('@')[0]}'s organization"[:120]


def _into_org(org_id: UUID, identity: Identity, ip: str | None) -> AcceptedLogin | None:
    """Log in to an org. Returns None for a user who was asked by mail whether to join."""
    with org_scope(org_id):
        org = Org.objects.select_for_update().get(pk=org_id)
        known = FederatedIdentity.objects.for_org(org).filter(subject=identity.subject)
        found = known.select_related("membership__user").first() or _recognise(org, identity, ip)
        if found is None:
            return None
        user = found.membership.user
        if not user.is_active:
            raise SignInRefused("account_disabled")
        found.email, found.name = identity.email or found.email, identity.name
        found.save(update_fields=["email", "name"])
        return AcceptedLogin(user, "sso", org.pk, only_org=org.pk)


def _recognise(org: Org, identity: Identity, ip: str | None) -> FederatedIdentity | None:
    """Return the member for a new subject: by address, or by joining now. Returns None for a user who has to agree
    first.
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
        member = _join(org, email, identity, ip)
    if member is None:
        return None
    others = FederatedIdentity.objects.for_org(org).filter(membership=member)
    if others.exists():
        raise SignInRefused("linked_elsewhere")
    linked: FederatedIdentity = FederatedIdentity.unscoped.create(
        org=org, membership=member, subject=identity.subject
    )
    by = person(member.user_id, email, ip)
    audit.record(
        org=org,
        by=by,
        action="identity_provider.link",
        object_kind="member",
        object_id=member.pk,
        object_label=email,
        changes={"subject": [None, identity.subject]},
    )
    return linked


def _join(org: Org, email: str, identity: Identity, ip: str | None) -> Membership | None:
    """Make a user a member whom the org accepts.

    The user must have agreed with the mailed secret, or have an address of a domain that the org has verified.
    All others are asked by mail: an issuer can name anybody, and the result must not depend on whether the
    address has an account.
    """
    rules.refuse_changes(org)
    invitation = invitations.pending_for(org, email)
    role = _role_wanted(org, email, invitation)
    token = str(identity.state.get("invitation") or "")
    agreed = bool(token) and invitations.proves_consent(org=org, token=token, email=email)
    if not (agreed or verified_domains.proves(org, email)):
        by = system("Single sign-on", ip=ip)
        invitations.ask_for_consent(org=org, by=by, email=email, role=role)
        return None
    limits.require_room_for_members(org, besides=invitation)
    user = _owner_of(email, identity.name, agreed=agreed)
    member: Membership = Membership.unscoped.create(org=org, user=user, role=role)
    opened = Invitation.objects.for_org(org).open().filter(email=email)
    opened.update(accepted_at=timezone.now(), digest=None)
    audit.record(
        org=org,
        by=person(user.pk, email, ip),
        action="member.join",
        object_kind="member",
        object_id=member.pk,
        object_label=email,
        changes={"role": [None, role]},
    )
    return member


def _role_wanted(org: Org, email: str, invitation: Invitation | None) -> Role:
    """Return the role of a user whom the org has invited or provisioned, or accepts as any user of its issuer.

    Raises SignInRefused for all others.
    """
    if org.email_domains and email.rpartition("@")[2] not in org.email_domains:
        raise SignInRefused("address_not_allowed")
    directory = provisioning.provisioned(org, email)
    if directory is not None and not directory.active:
        raise SignInRefused("not_a_member")
    if invitation is not None:
        return Role(invitation.role)
    if directory is not None:
        return provisioning.role_of(directory)
    role = IdentityProvider.objects.for_org(org).get().join_role
    if not role:
        raise SignInRefused("not_a_member")
    return Role(role)


def _owner_of(email: str, name: str, *, agreed: bool) -> User:
    """Return the account with this address, creating it if necessary. It is verified if its owner agreed by mail.

    Raises SignInRefused if its password was set by someone who registered the address without verifying it.
    """
    user = User.objects.filter(email=email).first()
    if user is None:
        user = create_account(email=email, password=None, name=name)
    if user.email_verified_at is None and user.has_usable_password():
        raise SignInRefused("confirm_first")
    if agreed and user.email_verified_at is None:
        user.email_verified_at = timezone.now()
        user.save(update_fields=["email_verified_at"])
    return user
