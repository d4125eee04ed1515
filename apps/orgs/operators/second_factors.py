"""The second factor of operators. An operator sets it up at the first login, and needs it at every login."""

from __future__ import annotations

from apps.auth import factors
from apps.auth.factors import TotpSetup
from apps.auth.models import User


def has_factor(operator: User) -> bool:
    return factors.load_factors(operator).has_any


def begin_setup(*, operator: User) -> TotpSetup | None:
    """Create a secret for an authenticator app. Returns None if the operator already has a second factor."""
    return None if has_factor(operator) else factors.begin_totp(operator)


def verify(*, operator: User, code: str, challenge: str, ip: str | None) -> list[str]:
    """Verify a code. If the operator has no factor yet, set up the factor of `challenge`, and return recovery codes.

    Raises WrongCode, TooManyAttempts and ChallengeExpired.
    """
    if has_factor(operator):
        factors.check_code(user=operator, code=code, ip=ip)
        return []
    codes = factors.confirm_totp(
        user=operator, challenge=challenge, code=code.replace(" ", ""), session=None
    )
    operator.refresh_from_db()
    return codes
