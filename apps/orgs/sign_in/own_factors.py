"""Actions on the user's second factors.

Changes require the password and, if the user has a second factor, a session that has verified one.
"""

from __future__ import annotations

from uuid import UUID

from apps.auth import factors
from apps.auth.exceptions import PasskeyRejected
from apps.auth.factors import Credential, PasskeyChallenge, TotpSetup
from apps.orgs.credentials import Account
from apps.orgs.exceptions import NotFound
from apps.orgs.sign_in.reauthentication import require_factor


def verify_code(*, account: Account, code: str) -> None:
    """Verify a code in this session. Raises WrongCode and TooManyAttempts."""
    factors.check_code(user=account.user, code=code, ip=account.ip)
    factors.mark_second_factor(account.session)


def verify_passkey(*, account: Account, challenge: str, credential: Credential) -> None:
    """Verify a passkey in this session. Raises PasskeyRejected, also if the passkey belongs to another user."""
    user = factors.check_passkey(challenge=challenge, credential=credential)
    if user.pk != account.user.pk:
        raise PasskeyRejected
    factors.mark_second_factor(account.session)


def begin_totp(*, account: Account, password: str) -> TotpSetup:
    """Create a secret for an authenticator app. It is saved when the user confirms it with a code."""
    require_factor(account, password)
    return factors.begin_totp(account.user)


def remove_totp(*, account: Account, password: str) -> None:
    require_factor(account, password)
    factors.remove_totp(user=account.user, session=account.session)


def replace_recovery_codes(*, account: Account, password: str) -> list[str]:
    """Replace the recovery codes. Raises NotFound if the user has no second factor."""
    require_factor(account, password)
    if not factors.load_factors(account.user).has_any:
        raise NotFound
    return factors.renew_recovery_codes(user=account.user, session=account.session)


def begin_passkey(*, account: Account, password: str) -> PasskeyChallenge:
    """Return the browser's options for creating a passkey. Raises TooManyPasskeys."""
    require_factor(account, password)
    factors.require_room_for_passkey(account.user)
    return factors.begin_passkey(account.user)


def remove_passkey(*, account: Account, password: str, passkey_id: UUID) -> None:
    """Remove a passkey. Raises NotFound if the user has no such passkey."""
    require_factor(account, password)
    user, session = account.user, account.session
    if not factors.remove_passkey(user=user, passkey_id=passkey_id, session=session):
        raise NotFound
