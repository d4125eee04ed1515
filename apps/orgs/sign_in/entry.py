"""Actions to register, to log in by password, passkey or identity provider, and to refresh a session."""

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
from apps.orgs.sign_in import providers, responses, sso
from apps.orgs.sign_in.providers import Identity, ProviderFailed


@dataclass(frozen=True, slots=True)
class Client:
    """The sender of a request without a credential."""

    ip: str | None
    user_agent: str


@dataclass(frozen=True, slots=True)
class LoginResult:
    """A session, and the body of the response."""

    session: Session
    body: dict[str, Any]


@dataclass(frozen=True, slots=True)
class ProviderResult:
    """The result after a user has returned from an identity provider.

    It is a session, or a challenge if a second factor is required. Both are None if the provider was linked to an
    account.
    """

    session: Session | None = None
    challenge: str | None = None
    org_id: UUID | None = None  # the org that the dashboard opens


def register(
    *,
    email: str,
    password: str,
    name: str,
    organization_name: str,
    invitation: str = "",
    client: Client,
) -> LoginResult | None:
    """Create a user and an org, or a user who joins the org of the invitation, in one transaction.

    Returns None and sends a mail if the address must be verified first. A mail is also sent if the address has an
    account, so that the response does not reveal this. Also returns None for an unclaimed account. Its owner sets a
    password with the mailed link. Raises RegistrationRefused for any other existing account, LinkSpent for an invalid
    invitation, and TooManyAttempts.
    """
    attempts.record_registration(client.ip)
    must_verify = settings.REQUIRE_VERIFIED_EMAIL and not invitation
    try:
        with transaction.atomic():
            user = accounts.create_account(email=email, password=password, name=name)
            by = principals.person_principal(user.pk, user.email, client.ip)
            if invitation:
                org_id = invitations.accept(token=invitation, user=user, by=by).org_id
            else:
                org_id = create_org(name=organization_name, owner=user, by=by).pk
    except RegistrationRefused:
        is_unclaimed = accounts.is_unclaimed(email)
        if not (must_verify or is_unclaimed):
            raise
        _create_org_and_roll_back(organization_name)
        if is_unclaimed:
            accounts.request_password_reset(email, client.ip)
        elif attempts.record_mail_within_limit(email):
            mail.request_notice(email, "account-exists")
        return None
    if user.email_verified_at is None:
        accounts.request_verification(user)
    return None if must_verify else _create_login(user, client, org_id)


def log_in(
    *, email: str, password: str, code: str | None, org_id: UUID | None, client: Client
) -> LoginResult:
    """Log in by password, and by a second factor if one is set up.

    Raises BadCredentials, NotVerified, SecondFactorNeeded, WrongCode and TooManyAttempts. Raises NotFound if the user
    is not a member of `org_id`.
    """
    user = accounts.authenticate(email=email, password=password, ip=client.ip)
    if settings.REQUIRE_VERIFIED_EMAIL and user.email_verified_at is None:
        accounts.request_verification(user)
        raise NotVerified
    user_factors = factors.load_factors(user)
    if user_factors.has_any:
        if code is None:
            raise SecondFactorNeeded(user_factors.methods())
        factors.check_code(user=user, code=code, ip=client.ip)
    return _create_login(user, client, org_id, second_factor=user_factors.has_any)


def log_in_with_passkey(
    *, challenge: str, credential: Credential, org_id: UUID | None, client: Client
) -> LoginResult:
    """Log in by passkey, which counts as both factors.

    Raises PasskeyRejected, and NotFound if the user is not a member of `org_id`.
    """
    user = factors.check_passkey(challenge=challenge, credential=credential)
    return _create_login(user, client, org_id, method="passkey", second_factor=True)


def verify_second_factor(
    *, challenge: str, code: str, org_id: UUID | None, client: Client
) -> LoginResult:
    """Complete a login after `finish_provider_login` has returned a challenge.

    Raises PendingLoginExpired, WrongCode, TooManyAttempts, and NotFound.
    """
    user, method = factors.complete_pending_login(challenge=challenge, code=code, ip=client.ip)
    return _create_login(user, client, org_id, method=method, second_factor=True)


@transaction.atomic
def refresh(*, token: str, org_id: UUID | None, client: Client) -> LoginResult | None:
    """Return a new access token for a refresh token. Returns None if the token has no active session."""
    session = sessions.refresh(token, ip=client.ip)
    return LoginResult(session, responses.login_response(session, org_id)) if session else None


def choose_provider(*, provider: str, org_slug: str, client: Client) -> str:
    """Return the name of the chosen provider. For `sso` it is the name of the org's own provider.

    Raises TooManyAttempts, and ProviderFailed if the org has no provider.
    """
    attempts.record_attempt_of_ip(client.ip)
    chosen_provider = providers.provider_of_org_slug(org_slug) if provider == "sso" else provider
    if chosen_provider is None:
        raise ProviderFailed("provider_unknown")
    return chosen_provider


def finish_provider_login(*, identity: Identity, client: Client) -> ProviderResult:
    """Complete the login of a user who has returned from a provider, or link the provider.

    Raises the exceptions of `sso.link` and `sso.sign_in`.
    """
    if "link" in identity.state:
        sso.link(identity)
        return ProviderResult()
    login = sso.sign_in(identity, client.ip)
    if login.only_org is None and factors.load_factors(login.user).has_any:
        return ProviderResult(challenge=factors.begin_pending_login(login.user, login.method))
    session = _begin_session(login.user, client, method=login.method, only_org=login.only_org)
    return ProviderResult(session, org_id=login.org_id)


def _create_login(
    user: User,
    client: Client,
    org_id: UUID | None,
    *,
    method: str = "password",
    second_factor: bool = False,
) -> LoginResult:
    """Create a session and its response in one transaction."""
    with transaction.atomic():
        session = _begin_session(user, client, method=method, second_factor=second_factor)
        return LoginResult(session, responses.login_response(session, org_id))


def _begin_session(
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


def _create_org_and_roll_back(organization_name: str) -> None:
    """Create an org and roll it back. Otherwise a faster response would reveal that the account exists."""
    with transaction.atomic():
        owner = accounts.create_account(email=f"{uuid4().hex}@nobody.invalid", password="", name="")
        create_org(name=organization_name, owner=owner, by=SYSTEM)
        transaction.set_rollback(True)
