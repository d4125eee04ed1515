"""Detect a child that hangs: it has sent no news for too long."""

from __future__ import annotations

import time

from apps.engine.contract import Network, Progress, Working
from apps.engine.process.protocol import Message

SILENCE = 900.0  # seconds


class Watch:
    """Watches a child's messages, and knows the time by which the next news is due.

    Repeated counts without a change are not news: a child sends them from a thread that keeps running when its
    source hangs.
    """

    def __init__(self, silence: float) -> None:
        self.doing = ""  # the operation that the child announced as slow
        self._silence = silence
        self._counts: dict[type, Message] = {}
        self._until = time.monotonic() + silence

    def hear(self, message: Message) -> None:
        if isinstance(message, Working):
            self.doing = message.doing
            self._until = time.monotonic() + self._silence + message.seconds
        elif self._is_news(message):
            self._until = max(self._until, time.monotonic() + self._silence)

    def _is_news(self, message: Message) -> bool:
        if not isinstance(message, Progress | Network):
            return True
        before = self._counts.get(type(message))
        self._counts[type(message)] = message
        return before != message

    @property
    def is_over(self) -> bool:
        """Whether the child has sent no news for longer than allowed."""
        return time.monotonic() > self._until
