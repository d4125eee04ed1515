"""Exceptions with which a source reports why it failed, and whether a retry can help."""

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
    """The server rejected the credentials."""

    failure = "authentication"
    retryable = False


class RateLimitError(SourceFailure):
    """The server limits the rate of requests."""

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


def innermost_cause(error: BaseException | None) -> BaseException | None:
    """Follow the causes of an HTTP client's exception. Return the EgressRefused among them, or else the last cause."""
    seen_ids: set[int] = set()
    while error is not None and id(error) not in seen_ids and not isinstance(error, EgressRefused):
        seen_ids.add(id(error))
        argument = getattr(error, "reason", None) or (error.args[0] if error.args else None)
        cause = (
            argument
            if isinstance(argument, BaseException)
            else error.__cause__ or error.__context__
        )
        if cause is None:
            return error
        error = cause
    return error
