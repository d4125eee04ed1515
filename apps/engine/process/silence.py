"""Detect a child that hangs, because it has reported no progress for too long."""

from __future__ import annotations

import time

from apps.engine.contract import Network, Progress, Working
from apps.engine.process.protocol import Message

SILENCE_SECONDS = 900.0


class SilenceWatch:
    """Watches the messages of a child, and expires when they show no progress for too long.

    A message with unchanged counts shows no progress, because a child sends such messages from another thread
    while its source hangs.
    """

    def __init__(self, silence: float) -> None:
        self.operation = ""  # the slow operation that the child has announced
        self._silence = silence
        self._counts: dict[type, Message] = {}
        self._deadline = time.monotonic() + silence

    def record(self, message: Message) -> None:
        if isinstance(message, Working):
            self.operation = message.doing
            self._deadline = time.monotonic() + self._silence + message.seconds
        elif self._shows_progress(message):
            self._deadline = max(self._deadline, time.monotonic() + self._silence)

    def _shows_progress(self, message: Message) -> bool:
        if not isinstance(message, Progress | Network):
            return True
        previous = self._counts.get(type(message))
        self._counts[type(message)] = message
        return previous != message

    @property
    def is_expired(self) -> bool:
        """Whether the child has reported no progress for longer than allowed."""
        return time.monotonic() > self._deadline
