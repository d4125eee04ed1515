"""Print the progress of a backup or a restore every few seconds."""

import time
from pathlib import Path

from local.terminal import say

EVERY = 5.0  # seconds


class Progress:
    """Call it with the number of bytes that were processed. `total` is 0 if unknown."""

    def __init__(self, what: str, total: int = 0) -> None:
        self._what, self._total, self._done = what, total, 0
        self._said = time.monotonic()

    def __call__(self, count: int) -> None:
        self._done += count
        self._say_now_and_then()

    def watch(self, path: Path) -> None:
        """Follow the size of a file that another program writes."""
        self._done = path.stat().st_size if path.exists() else 0
        self._say_now_and_then()

    def _say_now_and_then(self) -> None:
        if time.monotonic() - self._said < EVERY:
            return
        self._said = time.monotonic()
        of = f" of {megabytes(self._total)}" if self._total else ""
        say(f"    {self._what}: {megabytes(self._done)}{of}")


def megabytes(count: int) -> str:
    return f"{count / 1e6:,.1f} MB"
