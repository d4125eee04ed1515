"""Print the progress of a backup or a restore every few seconds."""

import time
from pathlib import Path

from local.terminal import say

PRINT_INTERVAL = 5.0  # seconds


class Progress:
    """Counts processed bytes and prints them. Call it with a number of bytes. `total` is 0 if unknown."""

    def __init__(self, label: str, total: int = 0) -> None:
        self._label, self._total, self._done = label, total, 0
        self._last_print = time.monotonic()

    def __call__(self, count: int) -> None:
        self._done += count
        self._print_if_due()

    def watch(self, path: Path) -> None:
        """Use the size of a file that another program writes as the count."""
        self._done = path.stat().st_size if path.exists() else 0
        self._print_if_due()

    def _print_if_due(self) -> None:
        if time.monotonic() - self._last_print < PRINT_INTERVAL:
            return
        self._last_print = time.monotonic()
        total = f" of {megabytes(self._total)}" if self._total else ""
        say(f"    {self._label}: {megabytes(self._done)}{total}")


def megabytes(count: int) -> str:
    return f"{count / 1e6:,.1f} MB"
