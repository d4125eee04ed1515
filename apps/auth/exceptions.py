"""The exceptions of authentication. `apps.auth.problems` maps each to an HTTP response."""

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
    """An account cannot be created with these details. If you already have one, log in."""


class WeakPassword(Exception):
    """The password is too weak. `faults` has one sentence for each reason."""

    def __init__(self, faults: list[str]) -> None:
        super().__init__(" ".join(faults))
        self.faults = faults


class NotVerified(_Documented):
    """Confirm your e-mail address first: we have sent you a link."""


class WrongCode(_Documented):
    """This code is wrong or was already used."""


class TooManyPasskeys(_Documented):
    """You have the maximum number of passkeys: remove one first."""


class SecondFactorNeeded(_Documented):
    """A second factor is required."""

    def __init__(self, methods: list[str]) -> None:
        super().__init__()
        self.methods = methods


class LinkSpent(_Documented):
    """This link was already used or has expired: ask for a new one."""


class TooManyAttempts(Exception):
    """Too many attempts from your address: wait a little."""

    def __init__(self, retry_after: int) -> None:
        super().__init__(self.__doc__)
        self.retry_after = retry_after  # seconds
