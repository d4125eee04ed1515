"""The reasons why the child of an attempt should stop."""

from __future__ import annotations

import threading
import time

from apps.engine.contract import StopReason


class StopReasons:
    """Collects reasons from the thread that runs the child and the one that records it. The first one is kept."""

    def __init__(self, *, seconds_left: float, shutdown: threading.Event) -> None:
        self._deadline = time.monotonic() + seconds_left
        self._shutdown = shutdown
        self._lock = threading.Lock()
        self._first: StopReason | None = None

    def give(self, reason: StopReason) -> None:
        with self._lock:
            self._first = self._first or reason

    def first(self) -> StopReason | None:
        """Return the first reason. Also checks the worker's shutdown and the run's time limit."""
        if self._shutdown.is_set():
            self.give("shutdown")
        if time.monotonic() > self._deadline:
            self.give("timeout")
        return self._first
