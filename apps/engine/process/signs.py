"""Report that this process makes progress: its supervisor ends a run that reports none for too long.

Code that moves data reports it from its own thread after each piece: a page, bytes of a response, rows of a
COPY. There is no background thread for this, so a process that hangs reports nothing.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from apps.engine.contract import Working

EVERY = 5.0  # seconds between two messages; further reports in between are dropped


class Signs:
    """The activity of one process. Nothing is sent until `tell` is set, as in tests and in calls."""

    def __init__(self) -> None:
        self.tell: Callable[[Working], None] | None = None
        self._told = float("-inf")

    def moved(self) -> None:
        """Report that some data was moved. Cheap enough to call for each piece."""
        now = time.monotonic()
        if self.tell is not None and now - self._told >= EVERY:
            self._told = now
            self.tell(Working())

    @contextmanager
    def waiting(self, what: str, seconds: float) -> Iterator[None]:
        """The block may take `seconds` without progress: an intended wait, or a long statement of another system."""
        self._say(Working(what, seconds))
        try:
            yield
        finally:
            self._say(Working())

    def _say(self, sign: Working) -> None:
        if self.tell is not None:
            self.tell(sign)


signs = Signs()
