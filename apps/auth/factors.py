"""Second factors: one-time codes of an authenticator app, passkeys, recovery codes.

allauth.mfa provides the cryptography and the models. It expects a web session between the two requests of a
WebAuthn ceremony; a single-use challenge replaces it here, because the API has no web sessions.
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
from apps.auth.exceptions import BadCredentials, LinkSpent, TooManyPasskeys, WrongCode
from apps.auth.mailing import links, mail
from apps.auth.models import Challenge, RefreshFamily, User, new_id
from apps.auth.sealing import platform
from apps.json import JsonObject

LIFETIME = timedelta(minutes=10)
TOTP, PASSKEY, RECOVERY = (
    Authenticator.Type.TOTP,
    Authenticator.Type.WEBAUTHN,
    Authenticator.Type.RECOVERY_CODES,
)
SET_UP_TOTP, ADD_PASSKEY, CHECK_PASSKEY = "totp", "passkey", "show passkey"  # as stored
PENDING_LOGIN = "owes factor"  # as stored
MAX_PASSKEYS = 20

Credential: TypeAlias = JsonObject  # a browser's response with a passkey, as WebAuthn defines it


class TotpBegun(TypedDict):
    """The secret for an authenticator app: as text, as a URL and as that URL's QR code (SVG)."""

    challenge: str
    secret: str
    uri: str
    qr_svg: str


class PasskeyBegun(TypedDict):
    """A challenge to send back with the browser's response, and the browser's options as WebAuthn defines them."""

    challenge: str
    options: JsonObject


class Adapter(DefaultMFAAdapter):
    """The hooks of allauth.mfa: encryption of secrets, and our name."""

    def encrypt(self, text: str) -> str:
        return platform().encrypt(text.encode()).decode()

    def decrypt(self, encrypted_text: str) -> str:
        return platform().decrypt(encrypted_text.encode()).decode()

    def get_totp_issuer(self) -> str:
        return "Drover"

    def get_public_key_credential_rp_entity(self) -> dict[str, str]:
        """Passkeys belong to the host of the public URL, whatever Host header a request has."""
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
    def any(self) -> bool:
        return self.totp_since is not None or bool(self.passkeys)

    def methods(self) -> list[str]:
        """How a second factor can be verified, the preferred method first."""
        found = []
        if self.totp_since is not None:
            found.append("totp")
        if self.passkeys:
            found.append("passkey")
        if self.recovery_codes:
            found.append("recovery_code")
        return found


def of(user: User) -> Factors:
    """Return the factors of a user."""
    totp, passkeys, codes = None, [], 0
    for row in Authenticator.objects.filter(user=user).order_by("created_at", "pk"):
        if row.type == TOTP:
            totp = row.created_at
        elif row.type == RECOVERY:
            codes = len(row.wrap().get_unused_codes())
        else:
            passkeys.append(
                Passkey(UUID(row.data["id"]), row.data["name"], row.created_at, row.last_used_at)
            )
    return Factors(totp, tuple(passkeys), codes)


def check_code(*, user: User, code: str, ip: str | None) -> None:
    """Verify a one-time code or a recovery code; each works once. Raises WrongCode and TooManyAttempts.

    Attempts are limited per account too, because an attacker at this point already knows the password.
    """
    attempts.begin_code(user.pk, ip)
    with transaction.atomic():
        mine = Authenticator.objects.select_for_update().filter(user=user)
        totp = mine.filter(type=TOTP).first()
        codes = mine.filter(type=RECOVERY).first()
        code = code.replace(" ", "").replace("-", "")
        good = bool(totp and _use_totp(totp, code)) or bool(
            codes and codes.wrap().validate_code(code)
        )
    if not good:
        raise WrongCode
    attempts.clear_code_attempts(user.pk)


def begin_totp(user: User) -> TotpBegun:
    """Create a secret for an authenticator app."""
    from allauth.mfa.totp.internal.auth import generate_totp_secret

    secret, adapter = generate_totp_secret(), Adapter()
    uri = adapter.build_totp_url(user, secret)
    return {
        "challenge": _remember(SET_UP_TOTP, user, {"secret": secret}),
        "secret": secret,
        "uri": uri,
        "qr_svg": adapter.build_totp_svg(uri),
    }


@transaction.atomic
def confirm_totp(
    *, user: User, challenge: str, code: str, session: RefreshFamily | None
) -> list[str]:
    """Save the secret if the code matches it. Returns new recovery codes if it is the first factor.

    Ends every other session; if `session` is None, as for operators, ends all sessions. Raises WrongCode, after
    which the same challenge can be used again, and LinkSpent for an expired challenge.
    """
    from allauth.mfa.totp.internal import auth

    secret = _recall(SET_UP_TOTP, challenge, user)["secret"]
    if _counter(secret, code) is None:
        raise WrongCode
    _forget(challenge)
    Authenticator.objects.filter(user=user, type=TOTP).delete()
    row = auth.TOTP.activate(user, secret).instance
    _use_totp(row, code)
    return _finish_adding(user, session)


@transaction.atomic
def remove_totp(*, user: User, session: RefreshFamily) -> None:
    """Remove the authenticator app. If no passkeys are left, the recovery codes are removed too."""
    Authenticator.objects.filter(user=user, type=TOTP).delete()
    _finish_removing(user, session)


@transaction.atomic
def new_recovery_codes(*, user: User, session: RefreshFamily) -> list[str]:
    """Create ten new recovery codes; the old ones stop working."""
    Authenticator.objects.filter(user=user, type=RECOVERY).delete()
    codes = _recovery_codes(user)
    _finish_change(user, session)
    return codes


def require_room_for_passkey(user: User) -> None:
    """Raise TooManyPasskeys if the user has the maximum number."""
    if Authenticator.objects.filter(user=user, type=PASSKEY).count() >= MAX_PASSKEYS:
        raise TooManyPasskeys


def begin_passkey(user: User) -> PasskeyBegun:
    """Return the browser's options for creating a passkey."""
    from allauth.mfa.webauthn.internal.auth import begin_registration

    with _ceremony({}) as state:
        options = begin_registration(user, passwordless=True)
    return {"challenge": _remember(ADD_PASSKEY, user, state), "options": _plain(options)}


@transaction.atomic
def add_passkey(
    *, user: User, challenge: str, name: str, credential: Credential, session: RefreshFamily
) -> list[str]:
    """Save a passkey that the browser created. Returns new recovery codes if it is the first factor.

    Raises WrongCode for an invalid response, LinkSpent for an expired challenge.
    """
    from allauth.mfa.webauthn.internal.auth import WebAuthn, complete_registration

    state = _recall(ADD_PASSKEY, challenge, user)
    _forget(challenge)
    with _ceremony(state), _wrong_code():
        complete_registration(dict(credential))
    row = WebAuthn.add(user, name, dict(credential)).instance
    row.data["id"] = str(new_id())
    row.save(update_fields=["data"])
    return _finish_adding(user, session)


@transaction.atomic
def remove_passkey(*, user: User, passkey: UUID, session: RefreshFamily) -> bool:
    """Remove a passkey. Returns whether the user had it."""
    mine = Authenticator.objects.filter(user=user, type=PASSKEY, data__id=str(passkey))
    if not mine.delete()[0]:
        return False
    _finish_removing(user, session)
    return True


def begin_passkey_check(*, ip: str | None) -> PasskeyBegun:
    """Return the browser's options for using a passkey; its response then identifies the passkey and the user.

    Raises TooManyAttempts.
    """
    from allauth.mfa.webauthn.internal.auth import begin_authentication

    attempts.begin_passkey(ip)
    with _ceremony({}) as state:
        options = begin_authentication()
    return {"challenge": _remember(CHECK_PASSKEY, None, state), "options": _plain(options)}


@transaction.atomic
def check_passkey(*, challenge: str, credential: Credential) -> User:
    """Verify the browser's response and return the passkey's user. Raises BadCredentials."""
    from allauth.mfa.webauthn.internal.auth import (
        complete_authentication,
        extract_user_from_response,
        parse_authentication_response,
    )

    try:
        state = _recall(CHECK_PASSKEY, challenge)
    except LinkSpent:
        raise BadCredentials from None
    _forget(challenge)
    try:
        with _ceremony(state), _wrong_code():
            parse_authentication_response(dict(credential))
            user = extract_user_from_response(dict(credential))
            complete_authentication(user, dict(credential)).record_usage()
    except WrongCode:
        raise BadCredentials from None
    if not isinstance(user, User) or not user.is_active:
        raise BadCredentials
    return user


def begin_pending_login(user: User, method: str) -> str:
    """Create a challenge for a user whose provider login still needs a second factor."""
    return _remember(PENDING_LOGIN, user, {"method": method})


def complete_challenge(*, challenge: str, code: str, ip: str | None) -> tuple[User, str]:
    """Return (user, login method) if the code is right. Raises BadCredentials, WrongCode and TooManyAttempts."""
    held = Challenge.objects.select_related("user").filter(
        purpose=PENDING_LOGIN, digest=links.digest(challenge), expires_at__gt=timezone.now()
    )
    found = held.first()
    if found is None or found.user is None or not found.user.is_active:
        raise BadCredentials
    check_code(user=found.user, code=code, ip=ip)
    if not held.delete()[0]:  # It was used meanwhile, or deleted because the account has changed.
        raise BadCredentials
    return found.user, str(_decrypted(found)["method"])


def mark_second_factor(session: RefreshFamily) -> None:
    """Mark the session as having verified a second factor."""
    session.second_factor_at = timezone.now()
    session.save(update_fields=["second_factor_at"])


@transaction.atomic
def reset(user: User) -> int:
    """Delete all factors of a user, end all sessions and notify the user. Returns the number of factors."""
    number, _ = Authenticator.objects.filter(user=user).delete()
    _finish_change(user, None)
    return number


def forget_old_challenges(before: datetime) -> None:
    Challenge.objects.filter(expires_at__lt=before).delete()


def _use_totp(row: Authenticator, code: str) -> bool:
    """Use up a code and return whether it is valid: its time step must be later than the last one used."""
    counter = _counter(Adapter().decrypt(row.data["secret"]), code)
    if counter is None or counter <= row.data.get("last_step", -1):
        return False
    row.data["last_step"] = counter
    row.last_used_at = timezone.now()
    row.save(update_fields=["data", "last_used_at"])
    return True


def _counter(secret: str, code: str) -> int | None:
    """Return the time step of the code, if any (RFC 6238); one step of clock difference is allowed."""
    from allauth.mfa.totp.internal import auth

    for counter in auth.yield_hotp_counters_from_time():
        expected = auth.format_hotp_value(auth.hotp_value(secret, counter))
        if secrets.compare_digest(expected.encode(), code.encode()):
            return int(counter)
    return None


def _finish_adding(user: User, session: RefreshFamily | None) -> list[str]:
    """Return new recovery codes if this is the first factor. Ends other sessions and notifies the user."""
    first = not Authenticator.objects.filter(user=user, type=RECOVERY).exists()
    codes = _recovery_codes(user) if first else []
    _finish_change(user, session)
    return codes


def _finish_removing(user: User, session: RefreshFamily) -> None:
    """Remove the recovery codes with the last factor. Ends other sessions and notifies the user."""
    if not Authenticator.objects.filter(user=user, type__in=(TOTP, PASSKEY)).exists():
        Authenticator.objects.filter(user=user, type=RECOVERY).delete()
        session.second_factor_at = None
        session.save(update_fields=["second_factor_at"])
    _finish_change(user, session, verified=False)


def _finish_change(user: User, session: RefreshFamily | None, *, verified: bool = True) -> None:
    """End every other session and notify the user."""
    if session and verified:
        mark_second_factor(session)
    sessions.end_all(user.pk, reason="second factor change", but=session.pk if session else None)
    mail.ask_for_notice(user.email, "second-factor-changed")


def _recovery_codes(user: User) -> list[str]:
    from allauth.mfa.recovery_codes.internal.auth import RecoveryCodes

    return list(RecoveryCodes.activate(user).generate_codes())


@contextmanager
def _ceremony(state: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Let allauth keep its state in this dict instead of a web session."""
    request: Any = SimpleNamespace(session=state)
    with context.request_context(request):
        yield state


@contextmanager
def _wrong_code() -> Iterator[None]:
    """Convert errors of parsing or verifying a browser's response to WrongCode: the response may have any content."""
    try:
        yield
    except (ValidationError, ValueError, TypeError, KeyError, AttributeError) as error:
        raise WrongCode from error


def _plain(options: Any) -> JsonObject:
    """Convert WebAuthn options to plain JSON."""
    plain: JsonObject = orjson.loads(orjson.dumps(options, default=dict))
    return plain


def _remember(purpose: str, user: User | None, state: dict[str, Any]) -> str:
    text = links.secret()
    Challenge.objects.create(
        digest=links.digest(text),
        purpose=purpose,
        user=user,
        state=platform().encrypt(orjson.dumps(state)).decode(),
        expires_at=timezone.now() + LIFETIME,
    )
    return text


def _recall(purpose: str, text: str, user: User | None = None) -> dict[str, Any]:
    """Return the state of a challenge, locked with its user until the transaction ends. Raises LinkSpent."""
    if user is not None and proofs.hold(user.pk, user.proof_version) is None:
        raise LinkSpent
    alive = Challenge.objects.filter(purpose=purpose, user=user, expires_at__gt=timezone.now())
    found = alive.select_for_update().filter(digest=links.digest(text)).first()
    if found is None:
        raise LinkSpent
    return _decrypted(found)


def _decrypted(challenge: Challenge) -> dict[str, Any]:
    state: dict[str, Any] = orjson.loads(platform().decrypt(challenge.state.encode()))
    return state


def _forget(text: str) -> None:
    Challenge.objects.filter(digest=links.digest(text)).delete()
