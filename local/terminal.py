"""What the person at the terminal reads: short lines, one for each phase."""

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager


def say(line: str = "") -> None:
    """One line on standard output, at once."""
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def complain(line: str) -> None:
    """One line on standard error."""
    sys.stderr.write(line + "\n")
    sys.stderr.flush()


@contextmanager
def phase(name: str) -> Iterator[None]:
    """Says what begins, and how long it took once it is done."""
    began = time.monotonic()
    sys.stdout.write(f"  {name:<34}")
    sys.stdout.flush()
    try:
        yield
    except BaseException:
        say("")
        raise
    say(f"{time.monotonic() - began:5.1f} s")
