"""What can go wrong when someone says who they are. `apps.auth.problems` says what each becomes over HTTP."""

from __future__ import annotations


class _Documented(Exception):
    """Its message is its docstring."""

    def __init__(self) -> None:
        super().__init__(self.__doc__)


class BadCredentials(_Documented):
    """The e-mail address or the password is wrong."""


class SessionEnded(_Documented):
    """This session has ended: log in again."""


class RegistrationRefused(_Documented):
    """An account cannot be made with these details. If you already have one, log in."""


class WeakPassword(Exception):
    """A password that will not do; `faults` are sentences."""

    def __init__(self, faults: list[str]) -> None:
        super().__init__(" ".join(faults))
        self.faults = faults


class NotVerified(_Documented):
    """Confirm your e-mail address first: we have sent you a link."""


class WrongCode(_Documented):
    """This code is wrong, or was used before."""


class TooManyPasskeys(_Documented):
    """You have as many passkeys as fit: remove one first."""


class SecondFactorNeeded(_Documented):
    """Show your second factor as well."""

    def __init__(self, methods: list[str]) -> None:
        super().__init__()
        self.methods = methods


class LinkSpent(_Documented):
    """This link was used already or has expired: ask for a new one."""


class TooManyAttempts(Exception):
    """Too many attempts from your address: wait a little."""

    def __init__(self, retry_after: int) -> None:
        super().__init__(self.__doc__)
        self.retry_after = retry_after  # seconds
