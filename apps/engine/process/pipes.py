"""Talk with a process through pipes without waiting for any of them, in lines of bounded length.

The engine's own children and sandboxed code are both heard this way. Nothing here trusts what it reads: a line is
cut off at its limit before anybody parses it.
"""

from __future__ import annotations

import os
import selectors
import signal
from collections.abc import Callable, Iterator

READ = 1 << 18  # bytes taken from a pipe at a time
PRINTED_LINE = 8_000  # bytes of a line of standard output that are kept
SHOWN = 200  # bytes of a line that is too long
TAIL = 8  # printed or logged lines kept as evidence


class Pipes:
    """Our ends of the pipes of one process. Whoever opened them closes them, unless `tell` is asked to."""

    def __init__(self, *heard: int) -> None:
        self._selector = selectors.DefaultSelector()
        self._untold: dict[int, memoryview] = {}
        self._closing: set[int] = set()
        for fd in heard:
            os.set_blocking(fd, False)
            self._selector.register(fd, selectors.EVENT_READ)

    def tell(self, fd: int, text: bytes, *, then_close: bool = False) -> None:
        """Write the text piece by piece while `ready` is asked, then forget the pipe."""
        os.set_blocking(fd, False)
        if then_close:
            self._closing.add(fd)
        self._untold[fd] = memoryview(text)
        self._selector.register(fd, selectors.EVENT_WRITE)

    def ready(self, seconds: float) -> Iterator[int]:
        """The pipes that have something to read within `seconds`."""
        for key, _ in self._selector.select(seconds):
            if key.fd in self._untold:
                self._write(key.fd)
            elif self.is_open(key.fd):
                yield key.fd

    def read(self, fd: int) -> bytes | None:
        """None when there is nothing now; empty at the end, when the pipe is forgotten."""
        try:
            data = os.read(fd, READ)
        except BlockingIOError:
            return None
        if not data:
            self.forget(fd)
        return data

    def can_be_read(self, fd: int) -> bool:
        return any(key.fd == fd for key, _ in self._selector.select(0))

    def is_open(self, fd: int) -> bool:
        """Whether it has not been forgotten: it is still to be read, or told something."""
        return fd in (self._selector.get_map() or ())

    @property
    def are_all_forgotten(self) -> bool:
        return not self._selector.get_map()

    def forget(self, fd: int) -> None:
        """Neither read it any more nor write the rest of what it was to be told."""
        self._untold.pop(fd, None)
        if self.is_open(fd):
            self._selector.unregister(fd)

    def close(self) -> None:
        self._selector.close()

    def _write(self, fd: int) -> None:
        text = self._untold[fd]
        try:
            text = text[os.write(fd, text) :]
        except BlockingIOError:
            return
        except BrokenPipeError:  # nobody reads it; how the process ends says why
            text = text[len(text) :]
        self._untold[fd] = text
        if not text:
            self.forget(fd)
            if fd in self._closing:
                os.close(fd)


class Lines:
    """Cuts bytes into lines, and holds at most one unfinished line of `limit` bytes.

    `too_long` makes the error that is raised for a longer one, from the beginning of the line.
    """

    def __init__(self, limit: int, too_long: Callable[[bytes], Exception]) -> None:
        self._limit = limit
        self._too_long = too_long
        self._held = bytearray()
        self._searched = 0  # there is no newline before this place

    def feed(self, data: bytes) -> Iterator[bytes]:
        """The lines that are complete now, without their newlines."""
        self._held += data
        while (end := self._held.find(b"\n", self._searched)) >= 0:
            line = bytes(self._held[:end])
            del self._held[: end + 1]
            self._searched = 0
            self._check(line)
            yield line
        self._searched = len(self._held)
        self._check(self._held)

    def _check(self, line: bytes | bytearray) -> None:
        if len(line) > self._limit:
            raise self._too_long(bytes(line[:SHOWN]))


class PrintedLines:
    """Cuts standard output into lines. A line that is too long is shortened: whoever prints breaks no rule."""

    def __init__(self) -> None:
        self._rest = b""

    def feed(self, data: bytes) -> Iterator[str]:
        """The lines that are complete now; empty `data` is the end."""
        *lines, self._rest = (self._rest + data).split(b"\n")
        if len(self._rest) > PRINTED_LINE or not data:
            lines, self._rest = [*lines, self._rest], b""
        for line in lines:
            yield line[:PRINTED_LINE].decode(errors="replace")


def signal_name(number: int) -> str:
    return signal.Signals(number).name if number in set(signal.Signals) else f"signal {number}"
