"""The verbs of getting in: make an account, log in by what one knows, has, or is vouched for, and refresh."""

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
    """Who sends a request without a credential: all that is known of them."""

    ip: str | None
    user_agent: str


@dataclass(frozen=True, slots=True)
class Entry:
    """A session, and what is answered with it."""

    session: Session
    answer: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Arrival:
    """What came of somebody's way through a provider: a session; a challenge for the second factor they owe; or
    neither, when the provider is to vouch for their account from now on."""

    session: Session | None = None
    challenge: str | None = None
    org_id: UUID | None = None  # where to go first


def register(
    *,
    email: str,
    password: str,
    name: str,
    organization_name: str,
    invitation: str = "",
    client: Client,
) -> Entry | None:
    """A user and their org, or their place in the org that invited them, all or none.

    None where addresses must be verified first: then a mail is on its way, to a taken address too, so that the
    answer tells nobody who has an account. None too for an account that awaits its owner, who sets its password by
    the mailed link. Raises RegistrationRefused for a taken address otherwise, LinkSpent for a bad invitation and
    TooManyAttempts.
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
        _rehearse(organization_name)
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
    """By password, and a second factor where one is set up.

    Raises BadCredentials, NotVerified, SecondFactorNeeded, WrongCode, TooManyAttempts, and NotFound for another org.
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
    """A passkey is both factors at once. Raises BadCredentials, and NotFound for another org."""
    user = factors.show_passkey(challenge=challenge, credential=credential)
    return _enter(user, client, org_id, method="passkey", second_factor=True)


def show_second_factor(*, challenge: str, code: str, org_id: UUID | None, client: Client) -> Entry:
    """Go on where `arrive` answered a challenge. Raises BadCredentials, WrongCode, TooManyAttempts, and NotFound."""
    user, method = factors.go_on(challenge=challenge, code=code, ip=client.ip)
    return _enter(user, client, org_id, method=method, second_factor=True)


@transaction.atomic
def refresh(*, token: str, org_id: UUID | None, client: Client) -> Entry | None:
    """A fresh access token for a refresh token; None when it does not stand for a session (any more)."""
    session = sessions.refresh(token, ip=client.ip)
    return Entry(session, answers.answer(session, org_id)) if session else None


def choose_provider(*, named: str, org_slug: str, client: Client) -> str:
    """The provider somebody asks to be sent to; `sso` is the own issuer of an org.

    Raises ProviderFailed when the org has none, and TooManyAttempts.
    """
    attempts.begin_passkey(client.ip)
    chosen = providers.by_slug(org_slug) if named == "sso" else named
    if chosen is None:
        raise ProviderFailed("provider_unknown")
    return chosen


def arrive(*, identity: Identity, client: Client) -> Arrival:
    """Somebody came back from a provider. Raises what `sso.link` and `sso.sign_in` do."""
    if "link" in identity.state:
        sso.link(identity)
        return Arrival()
    welcome = sso.sign_in(identity, client.ip)
    if welcome.only_org is None and factors.of(welcome.user).any:
        return Arrival(challenge=factors.hold(welcome.user, welcome.method))
    session = _begin(welcome.user, client, method=welcome.method, only_org=welcome.only_org)
    return Arrival(session, org_id=welcome.org_id)


def _enter(
    user: User,
    client: Client,
    org_id: UUID | None,
    *,
    method: str = "password",
    second_factor: bool = False,
) -> Entry:
    """A new session and its answer, or neither."""
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


def _rehearse(organization_name: str) -> None:
    """Make an org and take it back: a taken address must not be told by its quicker answer."""
    with transaction.atomic():
        nobody = accounts.create_account(
            email=f"{uuid4().hex}@nobody.invalid", password="", name=""
        )
        create_org(name=organization_name, owner=nobody, by=SYSTEM)
        transaction.set_rollback(True)
