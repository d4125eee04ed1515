"""How long a child may say nothing before it counts as hung."""

from __future__ import annotations

import time

from apps.engine.contract import Network, Progress, Working
from apps.engine.process.protocol import Message

SILENCE = 900.0  # seconds


class Watch:
    """Hears what a child says, and knows until when it has to say something new.

    Counts that are repeated although nothing moved are no news: a child tells them from a thread that
    does not hang along with its source.
    """

    def __init__(self, silence: float) -> None:
        self.doing = ""  # what it said it would take long for
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
        """It has been silent for longer than it may."""
        return time.monotonic() > self._until
