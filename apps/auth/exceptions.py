"""The exceptions of authentication. `apps.auth.problems` maps each to an HTTP response."""

from __future__ import annotations


class _MessageIsDocstring(Exception):
    """An exception whose message is its docstring."""

    def __init__(self) -> None:
        super().__init__(self.__doc__)


class BadCredentials(_MessageIsDocstring):
    """The e-mail address or the password is wrong."""


class PasskeyRejected(BadCredentials):
    """This passkey was not accepted: try again, or log in another way."""


class PendingLoginExpired(BadCredentials):
    """This log-in has expired: start again."""


class SessionEnded(_MessageIsDocstring):
    """This session has ended: log in again."""


class RegistrationRefused(_MessageIsDocstring):
    """An account cannot be created with these details. If you already have one, log in."""


class WeakPassword(Exception):
    """The password is too weak. `faults` has one sentence for each reason."""

    def __init__(self, faults: list[str]) -> None:
        super().__init__(" ".join(faults))
        self.faults = faults


class NotVerified(_MessageIsDocstring):
    """Confirm your e-mail address first: we have sent you a link."""


class WrongCode(_MessageIsDocstring):
    """This code is wrong or was already used."""


class TooManyPasskeys(_MessageIsDocstring):
    """You have the maximum number of passkeys: remove one first."""


class SecondFactorNeeded(_MessageIsDocstring):
    """A second factor is required."""

    def __init__(self, methods: list[str]) -> None:
        super().__init__()
        self.methods = methods


class LinkSpent(_MessageIsDocstring):
    """This link was already used or has expired: ask for a new one."""


class ChallengeExpired(_MessageIsDocstring):
    """This page has expired: load it again."""


class TooManyAttempts(Exception):
    """Too many attempts from your address: wait a little."""

    def __init__(self, retry_after: int) -> None:
        super().__init__(self.__doc__)
        self.retry_after = retry_after  # seconds
