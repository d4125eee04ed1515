"""The second factor that every operator must have: set up at the first login, required at each."""

from __future__ import annotations

from apps.auth import factors
from apps.auth.factors import TotpBegun
from apps.auth.models import User


def has_one(operator: User) -> bool:
    return factors.of(operator).any


def begin(*, operator: User) -> TotpBegun | None:
    """Return a secret for an authenticator app; None if the operator already has a factor."""
    return None if has_one(operator) else factors.begin_totp(operator)


def show(*, operator: User, code: str, challenge: str, ip: str | None) -> list[str]:
    """Verify a code, or set up the secret of `challenge`. Returns new recovery codes if it was set up.

    Raises WrongCode, TooManyAttempts and LinkSpent.
    """
    if has_one(operator):
        factors.check_code(user=operator, code=code, ip=ip)
        return []
    codes = factors.confirm_totp(
        user=operator, challenge=challenge, code=code.replace(" ", ""), session=None
    )
    operator.refresh_from_db()
    return codes
