"""Require the password and a second factor again before a user changes how to log in.

Otherwise another person who uses an open session could make these changes.
"""

from __future__ import annotations

from apps.auth import accounts, factors
from apps.auth.exceptions import SecondFactorNeeded
from apps.orgs.credentials import Account
from apps.orgs.exceptions import WrongPassword


def require_password(account: Account, password: str) -> None:
    """Raise WrongPassword unless the password is correct.

    A user without a password must have logged in within the last 10 minutes.
    """
    user, session_began = account.user, account.session.created_at
    if accounts.reauthenticate(
        user=user, password=password, session_began=session_began, ip=account.ip
    ):
        return
    if user.has_usable_password():
        raise WrongPassword("This is not your password.")
    raise WrongPassword(
        "Your account has no password: log in again, then repeat this within 10 minutes."
    )


def require_factor(account: Account, password: str) -> None:
    """Require the password and, if the user has second factors, a session that has verified one.

    Raises WrongPassword and SecondFactorNeeded.
    """
    require_password(account, password)
    user_factors = factors.load_factors(account.user)
    if user_factors.has_any and account.session.second_factor_at is None:
        raise SecondFactorNeeded(user_factors.methods())
