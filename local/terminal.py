"""Print short lines for the user at the terminal, one line per phase."""

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager


class Terminal:
    """Prints whole lines to standard output and standard error, even while the line of a phase is incomplete."""

    def __init__(self) -> None:
        self._is_line_open = False

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
        """Print the name of a phase, and its duration when the block ends."""
        began = time.monotonic()
        sys.stdout.write(f"  {name:<24}")
        sys.stdout.flush()
        self._is_line_open = True
        yield
        duration = f"{time.monotonic() - began:5.1f} s"
        line = duration if self._is_line_open else f"  {name:<24}{duration}"
        self._is_line_open = False
        sys.stdout.write(line + "\n")
        sys.stdout.flush()

    def _end_line(self) -> None:
        if self._is_line_open:
            self._is_line_open = False
            sys.stdout.write("\n")
            sys.stdout.flush()


_terminal = Terminal()
say, complain, phase = _terminal.say, _terminal.complain, _terminal.phase
