"""How much a piece of code may take of this machine, and which failure says that it took too much."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from apps.engine.failures import ContractError, SourceError, TimedOut
from apps.engine.frames import json_values

MEGABYTE = 1 << 20


class LimitExceeded(SourceError):
    """The code used more than it may have; trying again unchanged cannot help."""

    retryable = False


class TookTooLong(TimedOut):
    """The code used more time than it may have; trying again unchanged cannot help."""

    retryable = False


class BrokenOutput(ContractError):
    """What came out of the sandbox is not the line protocol."""


@dataclass(frozen=True, slots=True)
class Limits:
    """Sizes in bytes, times in seconds. `wall_seconds` is None where something else keeps the time."""

    memory: int = 1024 * MEGABYTE
    cpu_seconds: int = 3600
    wall_seconds: float | None = None
    silence_seconds: float = 300.0  # without a line from the code
    disk: int = 256 * MEGABYTE
    page: int = 128 * MEGABYTE  # one answer
    values: int = json_values.MOST  # in one answer, its rows counted
    rows: int = 1_000_000  # in one answer
    output: int = 64 << 30  # all answers
    line: int = 8 * MEGABYTE
    log: int = 1 * MEGABYTE  # kept; what comes later is counted
    connections: int = 100_000
    connections_at_once: int = 32
    network: int = 64 << 30

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Limits:
        return cls(**value)


def too_many(what: str, most: int) -> str:
    """What to say of an answer that holds more than `most` of something."""
    return f"The code answered more than {most:,} {what} at once: answer smaller pages."
