"""What a source may raise so that the run says why it failed, and whether trying again can help."""

from __future__ import annotations

from typing import ClassVar


class SourceFailure(Exception):
    """The source could not deliver. `retry_after` is in seconds."""

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
    """The other side asks to slow down."""

    failure = "rate_limit"


class ConfigurationError(SourceFailure):
    """The settings, or the code itself, cannot work as written."""

    failure = "configuration"
    retryable = False


class ContractError(SourceFailure):
    """What the code answers is not what a source answers."""

    failure = "contract"
    retryable = False


class EgressRefused(ConnectionRefusedError):
    """The broker does not let this connection pass, and would not the next time either."""


def refusal(error: BaseException | None) -> BaseException | None:
    """What lies at the bottom of an HTTP client's exception: the cause it wraps, as deep as it goes."""
    seen: set[int] = set()
    while error is not None and id(error) not in seen and not isinstance(error, EgressRefused):
        seen.add(id(error))
        held = getattr(error, "reason", None) or (error.args[0] if error.args else None)
        inner = held if isinstance(held, BaseException) else error.__cause__ or error.__context__
        if inner is None:
            return error
        error = inner
    return error
