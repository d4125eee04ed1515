"""Non-blocking communication with a process through pipes, in lines of bounded length.

Used for the engine's own children and for sandboxed code. The input is not trusted: the length of a line is
checked before the line is parsed.
"""

from __future__ import annotations

import os
import selectors
import signal
from collections.abc import Callable, Iterator

READ = 1 << 18  # bytes read from a pipe at a time
PRINTED_LINE = 8_000  # bytes kept of a line of standard output
SHOWN = 200  # bytes kept of a line that is too long
TAIL = 8  # printed or logged lines kept as evidence


class Pipes:
    """Our ends of one process's pipes. The caller opens and closes them; `tell` closes its pipe if asked to."""

    def __init__(self, *heard: int) -> None:
        self._selector = selectors.DefaultSelector()
        self._untold: dict[int, memoryview] = {}
        self._closing: set[int] = set()
        for fd in heard:
            os.set_blocking(fd, False)
            self._selector.register(fd, selectors.EVENT_READ)

    def tell(self, fd: int, text: bytes, *, then_close: bool = False) -> None:
        """Write the text in pieces during calls of `ready`, then forget the pipe."""
        os.set_blocking(fd, False)
        if then_close:
            self._closing.add(fd)
        self._untold[fd] = memoryview(text)
        self._selector.register(fd, selectors.EVENT_WRITE)

    def ready(self, seconds: float) -> Iterator[int]:
        """Return the pipes that have data to read within `seconds`."""
        for key, _ in self._selector.select(seconds):
            if key.fd in self._untold:
                self._write(key.fd)
            elif self.is_open(key.fd):
                yield key.fd

    def read(self, fd: int) -> bytes | None:
        """Return data, None if there is none now, or empty bytes at the end, when the pipe is forgotten."""
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
        """Whether the pipe is still in use, for reading or writing."""
        return fd in (self._selector.get_map() or ())

    @property
    def are_all_forgotten(self) -> bool:
        return not self._selector.get_map()

    def forget(self, fd: int) -> None:
        """Stop reading the pipe, or discard the rest of what was to be written to it."""
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
        except BrokenPipeError:  # The reader has exited; the exit status tells why.
            text = text[len(text) :]
        self._untold[fd] = text
        if not text:
            self.forget(fd)
            if fd in self._closing:
                os.close(fd)


class Lines:
    """Splits bytes into lines, and keeps at most one unfinished line of `limit` bytes.

    `too_long` creates the error for a longer line, from the beginning of the line.
    """

    def __init__(self, limit: int, too_long: Callable[[bytes], Exception]) -> None:
        self._limit = limit
        self._too_long = too_long
        self._held = bytearray()
        self._searched = 0  # there is no newline before this position

    def feed(self, data: bytes) -> Iterator[bytes]:
        """Return the lines that are complete now, without their newlines."""
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
    """Splits standard output into lines. A line that is too long is shortened, because printing is not an error."""

    def __init__(self) -> None:
        self._rest = b""

    def feed(self, data: bytes) -> Iterator[str]:
        """Return the lines that are complete now; empty `data` means the end."""
        *lines, self._rest = (self._rest + data).split(b"\n")
        if len(self._rest) > PRINTED_LINE or not data:
            lines, self._rest = [*lines, self._rest], b""
        for line in lines:
            yield line[:PRINTED_LINE].decode(errors="replace")


def signal_name(number: int) -> str:
    return signal.Signals(number).name if number in set(signal.Signals) else f"signal {number}"
