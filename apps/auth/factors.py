"""Second factors: one-time codes of an authenticator app, passkeys, recovery codes.

allauth.mfa provides the cryptography and the models. It stores the state between the two requests of a
WebAuthn ceremony in a web session. The API has no web sessions, so a single-use challenge stores the state instead.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from types import SimpleNamespace
from typing import Any, TypeAlias, TypedDict
from urllib.parse import urlsplit
from uuid import UUID

import orjson
from allauth.core import context
from allauth.mfa.adapter import DefaultMFAAdapter
from allauth.mfa.models import Authenticator
from django.conf import settings
from django.core.exceptions import ValidationError
from django.db import transaction
from django.utils import timezone

from apps.auth import attempts, proofs, sessions
from apps.auth.exceptions import (
    ChallengeExpired,
    PasskeyRejected,
    PendingLoginExpired,
    TooManyPasskeys,
    WrongCode,
)
from apps.auth.mailing import links, mail
from apps.auth.models import Challenge, RefreshFamily, User, new_id
from apps.auth.sealing import platform_keys
from apps.json import JsonObject

CHALLENGE_LIFETIME = timedelta(minutes=10)
TOTP, PASSKEY, RECOVERY = (
    Authenticator.Type.TOTP,
    Authenticator.Type.WEBAUTHN,
    Authenticator.Type.RECOVERY_CODES,
)
# Values of `Challenge.purpose`.
SET_UP_TOTP, ADD_PASSKEY, CHECK_PASSKEY = "totp", "passkey", "show passkey"
PENDING_LOGIN = "owes factor"  # the login is complete after a second factor
MAX_PASSKEYS = 20

Credential: TypeAlias = JsonObject  # a browser's response with a passkey, as WebAuthn defines it


class TotpSetup(TypedDict):
    """The secret for an authenticator app: as text, as a URL and as that URL's QR code (SVG)."""

    challenge: str
    secret: str
    uri: str
    qr_svg: str


class PasskeyChallenge(TypedDict):
    """WebAuthn options for the browser. `challenge` is sent back together with the browser's response."""

    challenge: str
    options: JsonObject


class Adapter(DefaultMFAAdapter):
    """Settings of allauth.mfa: how to encrypt secrets, and which name an authenticator app shows."""

    def encrypt(self, text: str) -> str:
        return platform_keys().encrypt(text.encode()).decode()

    def decrypt(self, encrypted_text: str) -> str:
        return platform_keys().decrypt(encrypted_text.encode()).decode()

    def get_totp_issuer(self) -> str:
        return "Drover"

    def get_public_key_credential_rp_entity(self) -> dict[str, str]:
        """Bind passkeys to the host of the public URL, and not to the Host header of a request."""
        return {"id": urlsplit(settings.PUBLIC_URL).hostname or "localhost", "name": "Drover"}


@dataclass(frozen=True, slots=True)
class Passkey:
    id: UUID
    name: str
    created_at: datetime
    last_used_at: datetime | None


@dataclass(frozen=True, slots=True)
class Factors:
    """A user's second factors. `recovery_codes` is the number of unused ones."""

    totp_since: datetime | None
    passkeys: tuple[Passkey, ...]
    recovery_codes: int

    @property
    def has_any(self) -> bool:
        return self.totp_since is not None or bool(self.passkeys)

    def methods(self) -> list[str]:
        """Return the methods by which the user can verify a second factor, the preferred method first."""
        available = []
        if self.totp_since is not None:
            available.append("totp")
        if self.passkeys:
            available.append("passkey")
        if self.recovery_codes:
            available.append("recovery_code")
        return available


def load_factors(user: User) -> Factors:
    """Return the second factors of a user."""
    totp, passkeys, unused_codes = None, [], 0
    for row in Authenticator.objects.filter(user=user).order_by("created_at", "pk"):
        if row.type == TOTP:
            totp = row.created_at
        elif row.type == RECOVERY:
            unused_codes = len(row.wrap().get_unused_codes())
        else:
            passkeys.append(
                Passkey(UUID(row.data["id"]), row.data["name"], row.created_at, row.last_used_at)
            )
    return Factors(totp, tuple(passkeys), unused_codes)


def check_code(*, user: User, code: str, ip: str | None) -> None:
    """Verify a one-time code or a recovery code. Each code works once. Raises WrongCode and TooManyAttempts.

    Attempts are also limited per account, because an attacker who comes this far knows the password.
    """
    attempts.record_code_attempt(user.pk, ip)
    with transaction.atomic():
        own_factors = Authenticator.objects.select_for_update().filter(user=user)
        totp = own_factors.filter(type=TOTP).first()
        recovery_codes = own_factors.filter(type=RECOVERY).first()
        code = code.replace(" ", "").replace("-", "")
        is_valid = bool(totp and _use_totp(totp, code)) or bool(
            recovery_codes and recovery_codes.wrap().validate_code(code)
        )
    if not is_valid:
        raise WrongCode
    attempts.delete_code_attempts(user.pk)


def begin_totp(user: User) -> TotpSetup:
    """Create a secret for an authenticator app."""
    from allauth.mfa.totp.internal.auth import generate_totp_secret

    secret, adapter = generate_totp_secret(), Adapter()
    uri = adapter.build_totp_url(user, secret)
    return {
        "challenge": _store_challenge(SET_UP_TOTP, user, {"secret": secret}),
        "secret": secret,
        "uri": uri,
        "qr_svg": adapter.build_totp_svg(uri),
    }


@transaction.atomic
def confirm_totp(
    *, user: User, challenge: str, code: str, session: RefreshFamily | None
) -> list[str]:
    """Save the secret if the code matches it. Returns new recovery codes if it is the first factor.

    Ends all sessions except `session`. For operators `session` is None, so all sessions end. Raises WrongCode, after
    which the same challenge can be used again, and ChallengeExpired if the challenge has expired.
    """
    from allauth.mfa.totp.internal import auth

    secret = _load_challenge_state(SET_UP_TOTP, challenge, user)["secret"]
    if _time_step(secret, code) is None:
        raise WrongCode
    _delete_challenge(challenge)
    Authenticator.objects.filter(user=user, type=TOTP).delete()
    row = auth.TOTP.activate(user, secret).instance
    _use_totp(row, code)
    return _finish_adding(user, session)


@transaction.atomic
def remove_totp(*, user: User, session: RefreshFamily) -> None:
    """Remove the authenticator app. If the user has no passkeys, the recovery codes are removed too."""
    Authenticator.objects.filter(user=user, type=TOTP).delete()
    _finish_removing(user, session)


@transaction.atomic
def renew_recovery_codes(*, user: User, session: RefreshFamily) -> list[str]:
    """Create ten new recovery codes; the old ones stop working."""
    Authenticator.objects.filter(user=user, type=RECOVERY).delete()
    codes = _create_recovery_codes(user)
    _finish_change(user, session)
    return codes


def require_room_for_passkey(user: User) -> None:
    """Raise TooManyPasskeys if the user has the maximum number."""
    if Authenticator.objects.filter(user=user, type=PASSKEY).count() >= MAX_PASSKEYS:
        raise TooManyPasskeys


def begin_passkey(user: User) -> PasskeyChallenge:
    """Return the options with which the browser creates a passkey."""
    from allauth.mfa.webauthn.internal.auth import begin_registration

    with _webauthn_ceremony({}) as state:
        options = begin_registration(user, passwordless=True)
    return {
        "challenge": _store_challenge(ADD_PASSKEY, user, state),
        "options": _plain_json(options),
    }


@transaction.atomic
def add_passkey(
    *, user: User, challenge: str, name: str, credential: Credential, session: RefreshFamily
) -> list[str]:
    """Save a passkey that the browser created. Returns new recovery codes if it is the first factor.

    Raises WrongCode for an invalid response, ChallengeExpired for an expired challenge.
    """
    from allauth.mfa.webauthn.internal.auth import WebAuthn, complete_registration

    state = _load_challenge_state(ADD_PASSKEY, challenge, user)
    _delete_challenge(challenge)
    with _webauthn_ceremony(state), _errors_as_wrong_code():
        complete_registration(dict(credential))
    row = WebAuthn.add(user, name, dict(credential)).instance
    row.data["id"] = str(new_id())
    row.save(update_fields=["data"])
    return _finish_adding(user, session)


@transaction.atomic
def remove_passkey(*, user: User, passkey_id: UUID, session: RefreshFamily) -> bool:
    """Remove a passkey. Returns whether the user had it."""
    own_passkeys = Authenticator.objects.filter(user=user, type=PASSKEY, data__id=str(passkey_id))
    if not own_passkeys.delete()[0]:
        return False
    _finish_removing(user, session)
    return True


def begin_passkey_check(*, ip: str | None) -> PasskeyChallenge:
    """Return the options with which the browser uses any passkey. The browser's response identifies the user.

    Raises TooManyAttempts.
    """
    from allauth.mfa.webauthn.internal.auth import begin_authentication

    attempts.record_attempt_of_ip(ip)
    with _webauthn_ceremony({}) as state:
        options = begin_authentication()
    return {
        "challenge": _store_challenge(CHECK_PASSKEY, None, state),
        "options": _plain_json(options),
    }


@transaction.atomic
def check_passkey(*, challenge: str, credential: Credential) -> User:
    """Verify the browser's response and return the passkey's user. Raises PasskeyRejected."""
    from allauth.mfa.webauthn.internal.auth import (
        complete_authentication,
        extract_user_from_response,
        parse_authentication_response,
    )

    try:
        state = _load_challenge_state(CHECK_PASSKEY, challenge)
    except ChallengeExpired:
        raise PasskeyRejected from None
    _delete_challenge(challenge)
    try:
        with _webauthn_ceremony(state), _errors_as_wrong_code():
            parse_authentication_response(dict(credential))
            user = extract_user_from_response(dict(credential))
            complete_authentication(user, dict(credential)).record_usage()
    except WrongCode:
        raise PasskeyRejected from None
    if not isinstance(user, User) or not user.is_active:
        raise PasskeyRejected
    return user


def begin_pending_login(user: User, method: str) -> str:
    """Create a challenge for a user who logged in by an identity provider and must verify a second factor."""
    return _store_challenge(PENDING_LOGIN, user, {"method": method})


def complete_pending_login(*, challenge: str, code: str, ip: str | None) -> tuple[User, str]:
    """Return (user, login method) if the code is right. Raises PendingLoginExpired, WrongCode and TooManyAttempts."""
    pending_challenges = Challenge.objects.select_related("user").filter(
        purpose=PENDING_LOGIN, digest=links.digest(challenge), expires_at__gt=timezone.now()
    )
    pending = pending_challenges.first()
    if pending is None or pending.user is None or not pending.user.is_active:
        raise PendingLoginExpired
    check_code(user=pending.user, code=code, ip=ip)
    # The challenge no longer exists if another request has used it or if the account has changed.
    if not pending_challenges.delete()[0]:
        raise PendingLoginExpired
    return pending.user, str(_decrypt_state(pending)["method"])


def mark_second_factor(session: RefreshFamily) -> None:
    """Record that the user of this session has verified a second factor."""
    session.second_factor_at = timezone.now()
    session.save(update_fields=["second_factor_at"])


@transaction.atomic
def reset(user: User) -> int:
    """Delete all factors of a user, end all sessions and notify the user. Returns the number of factors."""
    number, _ = Authenticator.objects.filter(user=user).delete()
    _finish_change(user, None)
    return number


def delete_expired_challenges(before: datetime) -> None:
    Challenge.objects.filter(expires_at__lt=before).delete()


def _use_totp(row: Authenticator, code: str) -> bool:
    """Return whether the code is valid, and store its time step.

    A code whose time step is not later than the stored one was used before, so it is not valid.
    """
    time_step = _time_step(Adapter().decrypt(row.data["secret"]), code)
    if time_step is None or time_step <= row.data.get("last_step", -1):
        return False
    row.data["last_step"] = time_step
    row.last_used_at = timezone.now()
    row.save(update_fields=["data", "last_used_at"])
    return True


def _time_step(secret: str, code: str) -> int | None:
    """Return the time step of the code, if any (RFC 6238); one step of clock difference is allowed."""
    from allauth.mfa.totp.internal import auth

    for time_step in auth.yield_hotp_counters_from_time():
        expected = auth.format_hotp_value(auth.hotp_value(secret, time_step))
        if secrets.compare_digest(expected.encode(), code.encode()):
            return int(time_step)
    return None


def _finish_adding(user: User, session: RefreshFamily | None) -> list[str]:
    """End all other sessions and notify the user. Returns new recovery codes if this is the first factor."""
    is_first = not Authenticator.objects.filter(user=user, type=RECOVERY).exists()
    codes = _create_recovery_codes(user) if is_first else []
    _finish_change(user, session)
    return codes


def _finish_removing(user: User, session: RefreshFamily) -> None:
    """End all other sessions and notify the user. If no factor is left, also remove the recovery codes."""
    if not Authenticator.objects.filter(user=user, type__in=(TOTP, PASSKEY)).exists():
        Authenticator.objects.filter(user=user, type=RECOVERY).delete()
        session.second_factor_at = None
        session.save(update_fields=["second_factor_at"])
    _finish_change(user, session, verified=False)


def _finish_change(user: User, session: RefreshFamily | None, *, verified: bool = True) -> None:
    """End all other sessions and notify the user. With `verified`, call `mark_second_factor` for this session."""
    if session and verified:
        mark_second_factor(session)
    sessions.end_all(
        user.pk, reason="second factor change", keep_session=session.pk if session else None
    )
    mail.request_notice(user.email, "second-factor-changed")


def _create_recovery_codes(user: User) -> list[str]:
    from allauth.mfa.recovery_codes.internal.auth import RecoveryCodes

    return list(RecoveryCodes.activate(user).generate_codes())


@contextmanager
def _webauthn_ceremony(state: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Let allauth store its state in this dict instead of a web session."""
    request: Any = SimpleNamespace(session=state)
    with context.request_context(request):
        yield state


@contextmanager
def _errors_as_wrong_code() -> Iterator[None]:
    """Convert every error of a browser's invalid response to WrongCode."""
    try:
        yield
    except (ValidationError, ValueError, TypeError, KeyError, AttributeError) as error:
        raise WrongCode from error


def _plain_json(options: Any) -> JsonObject:
    """Convert WebAuthn options to plain JSON."""
    plain: JsonObject = orjson.loads(orjson.dumps(options, default=dict))
    return plain


def _store_challenge(purpose: str, user: User | None, state: dict[str, Any]) -> str:
    text = links.new_secret()
    Challenge.objects.create(
        digest=links.digest(text),
        purpose=purpose,
        user=user,
        state=platform_keys().encrypt(orjson.dumps(state)).decode(),
        expires_at=timezone.now() + CHALLENGE_LIFETIME,
    )
    return text


def _load_challenge_state(purpose: str, text: str, user: User | None = None) -> dict[str, Any]:
    """Lock a challenge and its user until the transaction ends, and return the state. Raises ChallengeExpired."""
    if user is not None and proofs.lock_user(user.pk, user.proof_version) is None:
        raise ChallengeExpired
    unexpired = Challenge.objects.filter(purpose=purpose, user=user, expires_at__gt=timezone.now())
    challenge = unexpired.select_for_update().filter(digest=links.digest(text)).first()
    if challenge is None:
        raise ChallengeExpired
    return _decrypt_state(challenge)


def _decrypt_state(challenge: Challenge) -> dict[str, Any]:
    state: dict[str, Any] = orjson.loads(platform_keys().decrypt(challenge.state.encode()))
    return state


def _delete_challenge(text: str) -> None:
    Challenge.objects.filter(digest=links.digest(text)).delete()
