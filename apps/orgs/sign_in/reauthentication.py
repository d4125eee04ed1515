"""What someone shows again before they change how they log in, because a session left open is not its owner."""

from __future__ import annotations

from apps.auth import accounts, factors
from apps.auth.exceptions import SecondFactorNeeded
from apps.orgs.credentials import Account
from apps.orgs.exceptions import WrongPassword


def require_password(account: Account, password: str) -> None:
    """Raise WrongPassword unless this is their password; who has none must have logged in a few minutes ago."""
    user, began = account.user, account.session.created_at
    if accounts.reauthenticate(user=user, password=password, began=began, ip=account.ip):
        return
    if user.has_usable_password():
        raise WrongPassword("This is not your password.")
    raise WrongPassword(
        "You have no password here: log in again, then repeat this within 10 minutes."
    )


def require_factor(account: Account, password: str) -> None:
    """The password and, from someone who has second factors, a session that showed one.

    Raises WrongPassword and SecondFactorNeeded.
    """
    require_password(account, password)
    mine = factors.of(account.user)
    if mine.any and account.session.second_factor_at is None:
        raise SecondFactorNeeded(mine.methods())
