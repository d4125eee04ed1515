"""What can go wrong when someone says who they are. `config.problems` maps each to one HTTP status."""

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


class TooManyAttempts(Exception):
    """Too many attempts from your address: wait a little."""

    def __init__(self, retry_after: int) -> None:
        super().__init__(self.__doc__)
        self.retry_after = retry_after  # seconds
