"""Limits on what sandboxed code may use, and the failures for exceeding them."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from apps.engine.failures import ContractError, SourceError, TimedOut
from apps.engine.frames import json_values
from apps.json import JsonObject

MEGABYTE = 1 << 20


class LimitExceeded(SourceError):
    """The code exceeded a limit. A retry of the same code cannot help."""

    retryable = False


class TookTooLong(TimedOut):
    """The code exceeded its time limit. A retry of the same code cannot help."""

    retryable = False


class BrokenOutput(ContractError):
    """The output of the sandbox does not follow the line protocol."""


@dataclass(frozen=True, slots=True)
class Limits:
    """The limits of one sandbox: sizes in bytes, times in seconds.

    `wall_seconds` is None if the caller limits the time itself.
    """

    memory: int = 1024 * MEGABYTE
    cpu_seconds: int = 3600
    wall_seconds: float | None = None
    silence_seconds: float = 300.0  # the longest time without a line from the code
    disk: int = 256 * MEGABYTE
    page: int = 128 * MEGABYTE  # bytes of one answer
    values: int = json_values.MAX_VALUES  # values in one answer, rows included
    rows: int = 1_000_000  # rows in one answer
    output: int = 64 << 30  # bytes of all answers
    line: int = 8 * MEGABYTE  # bytes of one line
    log: int = 1 * MEGABYTE  # bytes of log lines that are reported; later lines are only counted
    connections: int = 100_000
    connections_at_once: int = 32
    network: int = 64 << 30  # bytes sent and received

    def to_json(self) -> JsonObject:
        return asdict(self)

    @classmethod
    def from_json(cls, value: JsonObject) -> Limits:
        fields: dict[str, Any] = dict(value)
        return cls(**fields)


def too_many_message(items: str, limit: int) -> str:
    """Return the message for an answer that has more than `limit` items."""
    return f"The code returned more than {limit:,} {items} at once: return smaller pages."
