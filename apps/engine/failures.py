"""Why a run failed: the classes, and the exceptions that carry them through the engine."""

from __future__ import annotations

from enum import StrEnum
from typing import ClassVar

from apps.egress.exceptions import EgressError


class FailureClass(StrEnum):
    """What kind of thing went wrong; shown to users, so the words are part of the API."""

    CONFIGURATION = "configuration"
    AUTHENTICATION = "authentication"
    RATE_LIMIT = "rate_limit"
    SOURCE = "source"
    DESTINATION = "destination"
    CONTRACT = "contract"
    CANCELLED = "cancelled"
    TIMEOUT = "timeout"
    MEMORY = "memory"
    CRASHED = "crashed"
    INTERNAL = "internal"


# The words by which a `timeout` tells which limit it was; the next step depends on it.
RUN_WAS_SILENT = "The run showed no sign of work for too long"
CODE_WAS_SILENT = "The code said nothing for"
CODE_USED_CPU = "seconds of CPU time"


class EngineError(Exception):
    """Base of everything the engine raises on purpose.

    `evidence` are short lines that back the message (a status line, an SQLSTATE, the end of a
    response body), free of secrets. `retryable` says whether trying again unchanged can help.
    """

    failure_class: ClassVar[FailureClass] = FailureClass.INTERNAL
    retryable: bool = False

    def __init__(
        self, message: str, *, evidence: tuple[str, ...] = (), retry_after: float | None = None
    ) -> None:
        super().__init__(message)
        self.message = message
        self.evidence = evidence
        self.retry_after = retry_after  # seconds, when the other side said so


EXPECTED = (
    EngineError,
    EgressError,
)  # what the engine, and what it reaches others by, raise on purpose


class Unavailable(EngineError):
    """The engine cannot answer now; what it was asked is not the reason."""

    retryable = True


class ConfigurationError(EngineError):
    """The settings cannot work as written."""

    failure_class = FailureClass.CONFIGURATION


class AuthenticationError(EngineError):
    """The other side refused the credentials."""

    failure_class = FailureClass.AUTHENTICATION


class RateLimitError(EngineError):
    """The other side asks us to slow down."""

    failure_class = FailureClass.RATE_LIMIT
    retryable = True


class SourceError(EngineError):
    """The source could not deliver."""

    failure_class = FailureClass.SOURCE
    retryable = True


class PositionGone(SourceError):
    """What the sync had reached is not there any more: it has to be read from its beginning."""


class DestinationError(EngineError):
    """The destination could not take the data."""

    failure_class = FailureClass.DESTINATION
    retryable = True


class ContractError(EngineError):
    """The data does not fit what the stream's contract allows."""

    failure_class = FailureClass.CONTRACT


class StreamTakenOver(EngineError):
    """Another attempt owns this stream now; this one must stop and write nothing more."""

    failure_class = FailureClass.CRASHED
    retryable = True


class TimedOut(EngineError):
    """It took longer than allowed."""

    failure_class = FailureClass.TIMEOUT
    retryable = True


class TooMuchMemory(EngineError):
    """It needs more memory than a child process may have; trying again unchanged cannot help."""

    failure_class = FailureClass.MEMORY


class Crashed(EngineError):
    """The process that did the work ended without a last word."""

    failure_class = FailureClass.CRASHED
    retryable = True


class Cancelled(EngineError):
    """A person or a policy stopped it."""

    failure_class = FailureClass.CANCELLED


def too_much_memory(what: str) -> str:
    """The message of a failure for want of memory; `what` needs it."""
    return (
        f"The process has not enough memory for {what}: ask for smaller pages or files, or let whoever runs"
        " Drover raise DROVER_CHILD_MEMORY_MB."
    )


def explained(error: EngineError | EgressError) -> str:
    """The message with its first line of evidence."""
    return f"{error.message} ({error.evidence[0]})" if error.evidence else error.message
