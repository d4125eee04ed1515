"""Detect a child that hangs, because it has reported no progress for too long."""

from __future__ import annotations

import time

from apps.engine.contract import Network, Progress, Working
from apps.engine.process.protocol import Message

SILENCE_SECONDS = 900.0  # the default for the longest time without progress


class SilenceWatch:
    """Watches the messages of a child, and expires when they show no progress for too long.

    A message with unchanged counts shows no progress, because a child sends such messages from another thread
    while its source hangs.
    """

    def __init__(self, max_silence: float) -> None:
        self.operation = ""  # the slow operation that the child has announced
        self._max_silence = max_silence
        self._last_messages: dict[type, Message] = {}
        self._deadline = time.monotonic() + max_silence

    def record(self, message: Message) -> None:
        if isinstance(message, Working):
            self.operation = message.doing
            self._deadline = time.monotonic() + self._max_silence + message.seconds
        elif self._shows_progress(message):
            self._deadline = max(self._deadline, time.monotonic() + self._max_silence)

    def _shows_progress(self, message: Message) -> bool:
        if not isinstance(message, Progress | Network):
            return True
        previous = self._last_messages.get(type(message))
        self._last_messages[type(message)] = message
        return previous != message

    @property
    def is_expired(self) -> bool:
        """Whether the child has reported no progress for longer than allowed."""
        return time.monotonic() > self._deadline
