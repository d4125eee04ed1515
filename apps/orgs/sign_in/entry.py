"""Actions to register, to log in by password, passkey or identity provider, and to refresh."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any
from uuid import UUID, uuid4

from django.conf import settings
from django.db import transaction

from apps.auth import accounts, attempts, factors, sessions
from apps.auth.exceptions import NotVerified, RegistrationRefused, SecondFactorNeeded
from apps.auth.factors import Credential
from apps.auth.mailing import mail
from apps.auth.models import User
from apps.auth.sessions import Session
from apps.orgs import principals
from apps.orgs.members import invitations
from apps.orgs.members.services import create_org
from apps.orgs.principals import SYSTEM
from apps.orgs.sign_in import answers, providers, sso
from apps.orgs.sign_in.providers import Identity, ProviderFailed


@dataclass(frozen=True, slots=True)
class Client:
    """The sender of a request without a credential."""

    ip: str | None
    user_agent: str


@dataclass(frozen=True, slots=True)
class Entry:
    """A session and its response."""

    session: Session
    answer: dict[str, Any]


@dataclass(frozen=True, slots=True)
class ProviderResult:
    """The result of returning from an identity provider.

    Either a session; or a challenge for a required second factor; or neither, if the provider was linked to an
    account.
    """

    session: Session | None = None
    challenge: str | None = None
    org_id: UUID | None = None  # the page to open


def register(
    *,
    email: str,
    password: str,
    name: str,
    organization_name: str,
    invitation: str = "",
    client: Client,
) -> Entry | None:
    """Create a user and an org, or join the org that invited them, in one transaction.

    Returns None if addresses must be verified first: a mail is sent, to an existing account too, so that the
    response does not reveal who has an account. Also returns None for an account that awaits its owner, who
    sets the password with the mailed link. Otherwise raises RegistrationRefused for an existing account,
    LinkSpent for an invalid invitation, and TooManyAttempts.
    """
    attempts.begin_registration(client.ip)
    verify = settings.REQUIRE_VERIFIED_EMAIL and not invitation
    try:
        with transaction.atomic():
            user = accounts.create_account(email=email, password=password, name=name)
            by = principals.person(user.pk, user.email, client.ip)
            if invitation:
                org_id = invitations.accept(token=invitation, user=user, by=by).org_id
            else:
                org_id = create_org(name=organization_name, owner=user, by=by).pk
    except RegistrationRefused:
        awaits = accounts.awaits_owner(email)
        if not (verify or awaits):
            raise
        _create_and_roll_back(organization_name)
        if awaits:
            accounts.ask_to_reset(email, client.ip)
        elif not attempts.mailed_enough(email):
            mail.ask_for_notice(email, "account-exists")
        return None
    if user.email_verified_at is None:
        accounts.ask_to_verify(user)
    return None if verify else _enter(user, client, org_id)


def log_in(
    *, email: str, password: str, code: str | None, org_id: UUID | None, client: Client
) -> Entry:
    """Log in by password, and by a second factor if one is set up.

    Raises BadCredentials, NotVerified, SecondFactorNeeded, WrongCode, TooManyAttempts, and NotFound for another
    org.
    """
    user = accounts.recognise(email=email, password=password, ip=client.ip)
    if settings.REQUIRE_VERIFIED_EMAIL and user.email_verified_at is None:
        accounts.ask_to_verify(user)
        raise NotVerified
    mine = factors.of(user)
    if mine.any:
        if code is None:
            raise SecondFactorNeeded(mine.methods())
        factors.check_code(user=user, code=code, ip=client.ip)
    return _enter(user, client, org_id, second_factor=mine.any)


def log_in_with_passkey(
    *, challenge: str, credential: Credential, org_id: UUID | None, client: Client
) -> Entry:
    """Log in by passkey, which counts as both factors. Raises BadCredentials, and NotFound for another org."""
    user = factors.check_passkey(challenge=challenge, credential=credential)
    return _enter(user, client, org_id, method="passkey", second_factor=True)


def show_second_factor(*, challenge: str, code: str, org_id: UUID | None, client: Client) -> Entry:
    """Continue after `arrive` returned a challenge.

    Raises BadCredentials, WrongCode, TooManyAttempts, and NotFound.
    """
    user, method = factors.complete_challenge(challenge=challenge, code=code, ip=client.ip)
    return _enter(user, client, org_id, method=method, second_factor=True)


@transaction.atomic
def refresh(*, token: str, org_id: UUID | None, client: Client) -> Entry | None:
    """Return a new access token for a refresh token; None if it belongs to no active session."""
    session = sessions.refresh(token, ip=client.ip)
    return Entry(session, answers.answer(session, org_id)) if session else None


def choose_provider(*, named: str, org_slug: str, client: Client) -> str:
    """Return the provider that a user has chosen; `sso` means the org's own issuer.

    Raises ProviderFailed if the org has none, and TooManyAttempts.
    """
    attempts.begin_passkey(client.ip)
    chosen = providers.by_slug(org_slug) if named == "sso" else named
    if chosen is None:
        raise ProviderFailed("provider_unknown")
    return chosen


def finish_provider_login(*, identity: Identity, client: Client) -> ProviderResult:
    """Handle a user's return from a provider. Raises what `sso.link` and `sso.sign_in` raise."""
    if "link" in identity.state:
        sso.link(identity)
        return ProviderResult()
    welcome = sso.sign_in(identity, client.ip)
    if welcome.only_org is None and factors.of(welcome.user).any:
        return ProviderResult(challenge=factors.begin_pending_login(welcome.user, welcome.method))
    session = _begin(welcome.user, client, method=welcome.method, only_org=welcome.only_org)
    return ProviderResult(session, org_id=welcome.org_id)


def _enter(
    user: User,
    client: Client,
    org_id: UUID | None,
    *,
    method: str = "password",
    second_factor: bool = False,
) -> Entry:
    """Create a session and its response, or neither."""
    with transaction.atomic():
        session = _begin(user, client, method=method, second_factor=second_factor)
        return Entry(session, answers.answer(session, org_id))


def _begin(
    user: User,
    client: Client,
    *,
    method: str,
    second_factor: bool = False,
    only_org: UUID | None = None,
) -> Session:
    return sessions.begin(
        user=user,
        ip=client.ip,
        user_agent=client.user_agent,
        method=method,
        second_factor=second_factor,
        only_org=only_org,
    )


def _create_and_roll_back(organization_name: str) -> None:
    """Create an org and roll it back, so that a faster response does not reveal an existing account."""
    with transaction.atomic():
        nobody = accounts.create_account(
            email=f"{uuid4().hex}@nobody.invalid", password="", name=""
        )
        create_org(name=organization_name, owner=nobody, by=SYSTEM)
        transaction.set_rollback(True)
