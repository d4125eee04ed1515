"""Limits on what sandboxed code may use, and the failures for exceeding them."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from apps.engine.failures import ContractError, SourceError, TimedOut
from apps.engine.frames import json_values
from apps.json import JsonObject

MEGABYTE = 1 << 20


class LimitExceeded(SourceError):
    """The code exceeded a limit; retrying without changes cannot help."""

    retryable = False


class TookTooLong(TimedOut):
    """The code exceeded its time; retrying without changes cannot help."""

    retryable = False


class BrokenOutput(ContractError):
    """The output of the sandbox does not follow the line protocol."""


@dataclass(frozen=True, slots=True)
class Limits:
    """Sizes in bytes, times in seconds. `wall_seconds` is None where the caller limits the time."""

    memory: int = 1024 * MEGABYTE
    cpu_seconds: int = 3600
    wall_seconds: float | None = None
    silence_seconds: float = 300.0  # without a line from the code
    disk: int = 256 * MEGABYTE
    page: int = 128 * MEGABYTE  # bytes of one answer
    values: int = json_values.MOST  # values in one answer, rows included
    rows: int = 1_000_000  # rows in one answer
    output: int = 64 << 30  # rows in all answers
    line: int = 8 * MEGABYTE
    log: int = 1 * MEGABYTE  # log lines kept; later ones are only counted
    connections: int = 100_000
    connections_at_once: int = 32
    network: int = 64 << 30

    def to_json(self) -> JsonObject:
        return asdict(self)

    @classmethod
    def from_json(cls, value: JsonObject) -> Limits:
        given: dict[str, Any] = dict(value)
        return cls(**given)


def too_many(what: str, most: int) -> str:
    """Return the message for an answer that has more than `most` of something."""
    return f"The code returned more than {most:,} {what} at once: return smaller pages."
