"""Exceptions by which a source tells why it failed, and whether a retry can help."""

from __future__ import annotations

from typing import ClassVar


class SourceFailure(Exception):
    """The source could not deliver its records. `retry_after` is in seconds."""

    failure: ClassVar[str] = "source"
    retryable: ClassVar[bool] = True

    def __init__(
        self, message: str, *, evidence: tuple[str, ...] = (), retry_after: float | None = None
    ) -> None:
        super().__init__(message)
        self.evidence = tuple(str(line) for line in evidence)
        self.retry_after = retry_after


class AuthenticationError(SourceFailure):
    """The other side refused the credentials."""

    failure = "authentication"
    retryable = False


class RateLimitError(SourceFailure):
    """The other side asks us to send fewer requests."""

    failure = "rate_limit"


class ConfigurationError(SourceFailure):
    """The settings or the code are wrong."""

    failure = "configuration"
    retryable = False


class ContractError(SourceFailure):
    """The code returned something that a source must not return."""

    failure = "contract"
    retryable = False


class EgressRefused(ConnectionRefusedError):
    """The egress broker refused this connection, and would refuse it again."""


def refusal(error: BaseException | None) -> BaseException | None:
    """Return the innermost cause of an HTTP client's exception if it is an EgressRefused."""
    seen: set[int] = set()
    while error is not None and id(error) not in seen and not isinstance(error, EgressRefused):
        seen.add(id(error))
        held = getattr(error, "reason", None) or (error.args[0] if error.args else None)
        inner = held if isinstance(held, BaseException) else error.__cause__ or error.__context__
        if inner is None:
            return error
        error = inner
    return error
