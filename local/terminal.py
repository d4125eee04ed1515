"""Output for the user at the terminal: short lines, one per phase."""

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager


class Terminal:
    """Standard output and error, in whole lines even while a phase is running."""

    def __init__(self) -> None:
        self._mid_line = False

    def say(self, line: str = "") -> None:
        """Print one line to standard output at once."""
        self._end_line()
        sys.stdout.write(line + "\n")
        sys.stdout.flush()

    def complain(self, line: str) -> None:
        """Print one line to standard error."""
        self._end_line()
        sys.stderr.write(line + "\n")
        sys.stderr.flush()

    @contextmanager
    def phase(self, name: str) -> Iterator[None]:
        """Print the name of a phase, and its duration when it is done."""
        began = time.monotonic()
        sys.stdout.write(f"  {name:<24}")
        sys.stdout.flush()
        self._mid_line = True
        yield
        took = f"{time.monotonic() - began:5.1f} s"
        line = took if self._mid_line else f"  {name:<24}{took}"
        self._mid_line = False
        sys.stdout.write(line + "\n")
        sys.stdout.flush()

    def _end_line(self) -> None:
        if self._mid_line:
            self._mid_line = False
            sys.stdout.write("\n")
            sys.stdout.flush()


_terminal = Terminal()
say, complain, phase = _terminal.say, _terminal.complain, _terminal.phase
