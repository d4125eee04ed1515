"""The reasons why the child of an attempt should stop."""

from __future__ import annotations

import threading
import time

from apps.engine.contract import StopReason


class StopReasons:
    """Collects reasons from the thread that runs the child and from the recording thread. Only the first counts."""

    def __init__(self, *, seconds_left: float, shutdown: threading.Event) -> None:
        self._deadline = time.monotonic() + seconds_left
        self._shutdown = shutdown
        self._lock = threading.Lock()
        self._first: StopReason | None = None

    def add(self, reason: StopReason) -> None:
        with self._lock:
            self._first = self._first or reason

    def first_reason(self) -> StopReason | None:
        """Return the first reason. Also checks the worker's shutdown and the run's time limit."""
        if self._shutdown.is_set():
            self.add("shutdown")
        if time.monotonic() > self._deadline:
            self.add("timeout")
        return self._first
