"""Report that this process makes progress. The supervisor ends a run that reports no progress for too long.

The code that moves data reports progress after each piece: a page, bytes of a response, rows of a COPY. No
background thread reports progress, so a process that hangs reports nothing.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from apps.engine.contract import Working

MIN_INTERVAL = 5.0  # seconds between two messages; reports in between are not sent


class ProgressReporter:
    """Reports the progress of one process. Only runs set `send`. While `send` is None, nothing is sent."""

    def __init__(self) -> None:
        self.send: Callable[[Working], None] | None = None
        self._sent_at = float("-inf")

    def report(self) -> None:
        """Report that a piece of data was moved. Fast enough to be called for each piece."""
        now = time.monotonic()
        if self.send is not None and now - self._sent_at >= MIN_INTERVAL:
            self._sent_at = now
            self.send(Working())

    @contextmanager
    def expect_silence(self, operation: str, seconds: float) -> Iterator[None]:
        """Announce that the block may take `seconds` without progress, as a wait or a long statement does."""
        self._send_if_possible(Working(operation, seconds))
        try:
            yield
        finally:
            self._send_if_possible(Working())

    def _send_if_possible(self, message: Working) -> None:
        if self.send is not None:
            self.send(message)


progress = ProgressReporter()
