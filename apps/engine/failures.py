"""The classes of failures, and the engine's exceptions, each of which belongs to one class."""

from __future__ import annotations

from enum import StrEnum
from typing import ClassVar

from apps.egress.exceptions import EgressError


class FailureClass(StrEnum):
    """The class of a failure. Its values are part of the API."""

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


# The next step of a failure depends on these texts in its message, see apps/runs/next_steps.py. These texts show which limit a `timeout` has reached.
RUN_WAS_SILENT = "The run showed no sign of work for too long"
CODE_WAS_SILENT = "The code said nothing for"
SECONDS_OF_CPU_TIME = "seconds of CPU time"
# These texts show why PostgreSQL failed.
LACKS_PERMISSION = "lacks a permission"
NO_SUCH = "no such"
RESET_STREAM = "reset the stream"
WITH_READABLE_COLUMNS = "with columns that the user may read"
TABLE_GONE = "A table no longer exists"
# These texts show that the run has reached a limit of its organization.
LIMITS_OF_ORG = ("The organization's limit of", "a limit of its organization")
# These texts show why a result was not published.
REMOVES_ALL_ROWS = "would remove all rows"
TOO_MANY_REJECTED = "records were rejected"
IS_PINNED = "its column is pinned as"
COLUMNS_CHANGED = "The columns have changed, which the contract of the stream does not allow"
# The message of a failure that a user's own code caused begins with one of these texts.
USER_CODE_PREFIXES = ("The code ", "The transform ")


class EngineError(Exception):
    """Base of all exceptions that the engine raises on purpose.

    `evidence` are short lines that support the message (a status line, an SQLSTATE, the end of a response
    body), free of secrets. `retryable` is true if a retry without changes can succeed.
    """

    failure_class: ClassVar[FailureClass] = FailureClass.INTERNAL
    retryable: bool = False

    def __init__(
        self, message: str, *, evidence: tuple[str, ...] = (), retry_after: float | None = None
    ) -> None:
        super().__init__(message)
        self.message = message
        self.evidence = evidence
        self.retry_after = retry_after  # seconds to wait, if the source or destination sent a time


# Exceptions that the engine and its network code raise on purpose.
EXPECTED_ERRORS = (EngineError, EgressError)


class Unavailable(EngineError):
    """The engine is not available now; the request itself is not the reason."""

    retryable = True


class ConfigurationError(EngineError):
    """The settings cannot work as written."""

    failure_class = FailureClass.CONFIGURATION


class StreamMissing(ConfigurationError):
    """The source does not have the stream, or the user cannot read it."""


class ResetNeeded(ConfigurationError):
    """The saved position of the stream is not valid any more."""


class AuthenticationError(EngineError):
    """The source or destination refused the credentials."""

    failure_class = FailureClass.AUTHENTICATION


class RateLimitError(EngineError):
    """The source or destination limits the rate of our requests."""

    failure_class = FailureClass.RATE_LIMIT
    retryable = True


class SourceError(EngineError):
    """The source could not deliver its records."""

    failure_class = FailureClass.SOURCE
    retryable = True


class PositionGone(SourceError):
    """The sync's position does not exist any more, so the stream has to be read from the beginning.

    The runner does so once per attempt. The message completes "Reading from the beginning, since ...".
    """


class DestinationError(EngineError):
    """The destination could not take the data."""

    failure_class = FailureClass.DESTINATION
    retryable = True


class ContractError(EngineError):
    """The data violates the stream's contract."""

    failure_class = FailureClass.CONTRACT


class StreamTakenOver(EngineError):
    """Another attempt owns this stream now; this attempt must stop and write nothing more."""

    failure_class = FailureClass.CRASHED
    retryable = True


class TimedOut(EngineError):
    """The operation took longer than allowed."""

    failure_class = FailureClass.TIMEOUT
    retryable = True


class TooMuchMemory(EngineError):
    """More memory is needed than a child process may use; retrying without changes cannot help."""

    failure_class = FailureClass.MEMORY


class Crashed(EngineError):
    """The process ended without reporting a result."""

    failure_class = FailureClass.CRASHED
    retryable = True


class Cancelled(EngineError):
    """A user or a policy stopped the run."""

    failure_class = FailureClass.CANCELLED


def memory_message(data: str) -> str:
    """Return the message for a lack of memory; `data` names the data that did not fit."""
    return (
        f"The process does not have enough memory for {data}: request smaller pages or files, or ask the operator"
        " of Drover to raise DROVER_CHILD_MEMORY_MB."
    )


def message_with_evidence(error: EngineError | EgressError) -> str:
    """Return the message with its first line of evidence."""
    return f"{error.message} ({error.evidence[0]})" if error.evidence else error.message
