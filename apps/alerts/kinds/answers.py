"""What the other side answered to a message."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Answer:
    """The result of one attempt. `problem` is empty if the message was accepted; it contains no secrets."""

    problem: str = ""
    retryable: bool = False
    status: int | None = None  # of HTTP
    text: str = ""  # the beginning of the body
    retry_after: float | None = None  # seconds that the other side wants us to wait

    @property
    def accepted(self) -> bool:
        return not self.problem
