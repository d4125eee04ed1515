"""Communicate with a process through pipes, without blocking, in lines of limited length.

Used for the children of the engine and for sandboxed code. The input is not trusted, so the length of a line is
checked before the line is parsed.
"""

from __future__ import annotations

import os
import selectors
import signal
from collections.abc import Callable, Iterator

READ_BYTES = 1 << 18  # bytes read from a pipe at a time
MAX_PRINTED_LINE = 8_000  # bytes of a line of standard output; a longer line is cut
SHOWN_BYTES = 200  # bytes that the error shows of a line that is too long
EVIDENCE_LINES = 8  # the last printed or logged lines that a failure shows as evidence


class Pipes:
    """Our ends of the pipes to one process. The caller opens and closes them.

    Only `write` closes a pipe, if it is called with `close_after`.
    """

    def __init__(self, *readable: int) -> None:
        self._selector = selectors.DefaultSelector()
        self._unwritten: dict[int, memoryview] = {}
        self._close_after_write: set[int] = set()
        for fd in readable:
            os.set_blocking(fd, False)
            self._selector.register(fd, selectors.EVENT_READ)

    def write(self, fd: int, text: bytes, *, close_after: bool = False) -> None:
        """Write the text in pieces during later calls of `wait_readable`, then forget the pipe."""
        os.set_blocking(fd, False)
        if close_after:
            self._close_after_write.add(fd)
        self._unwritten[fd] = memoryview(text)
        self._selector.register(fd, selectors.EVENT_WRITE)

    def wait_readable(self, seconds: float) -> Iterator[int]:
        """Wait at most `seconds`, and yield the pipes that have data to read."""
        for key, _ in self._selector.select(seconds):
            if key.fd in self._unwritten:
                self._write(key.fd)
            elif self.is_open(key.fd):
                yield key.fd

    def read(self, fd: int) -> bytes | None:
        """Return the available data, or None if there is none now.

        At the end of the data, returns empty bytes and forgets the pipe.
        """
        try:
            data = os.read(fd, READ_BYTES)
        except BlockingIOError:
            return None
        if not data:
            self.forget(fd)
        return data

    def can_be_read(self, fd: int) -> bool:
        return any(key.fd == fd for key, _ in self._selector.select(0))

    def is_open(self, fd: int) -> bool:
        """Whether the pipe is in use, for reading or writing."""
        return fd in (self._selector.get_map() or ())

    @property
    def all_closed(self) -> bool:
        return not self._selector.get_map()

    def forget(self, fd: int) -> None:
        """Stop reading the pipe, or discard the text that is not written yet."""
        self._unwritten.pop(fd, None)
        if self.is_open(fd):
            self._selector.unregister(fd)

    def close(self) -> None:
        self._selector.close()

    def _write(self, fd: int) -> None:
        text = self._unwritten[fd]
        try:
            text = text[os.write(fd, text) :]
        except BlockingIOError:
            return
        except BrokenPipeError:  # The reader has exited. Its exit status shows why.
            text = text[len(text) :]
        self._unwritten[fd] = text
        if not text:
            self.forget(fd)
            if fd in self._close_after_write:
                os.close(fd)


class LineSplitter:
    """Splits bytes into lines of at most `limit` bytes, and stores an unfinished line.

    `make_error` creates the error for a longer line from the beginning of the line.
    """

    def __init__(self, limit: int, make_error: Callable[[bytes], Exception]) -> None:
        self._limit = limit
        self._make_error = make_error
        self._buffer = bytearray()
        self._search_start = 0  # There is no newline in the buffer before this position.

    def feed(self, data: bytes) -> Iterator[bytes]:
        """Add data and yield the lines that are now complete, without their newlines."""
        self._buffer += data
        while (end := self._buffer.find(b"\n", self._search_start)) >= 0:
            line = bytes(self._buffer[:end])
            del self._buffer[: end + 1]
            self._search_start = 0
            self._check(line)
            yield line
        self._search_start = len(self._buffer)
        self._check(self._buffer)

    def _check(self, line: bytes | bytearray) -> None:
        if len(line) > self._limit:
            raise self._make_error(bytes(line[:SHOWN_BYTES]))


class PrintedLines:
    """Splits standard output into lines, and cuts a line that is too long."""

    def __init__(self) -> None:
        self._unfinished = b""

    def feed(self, data: bytes) -> Iterator[str]:
        """Add data and yield the lines that are now complete. Empty `data` means the end of the output."""
        *lines, self._unfinished = (self._unfinished + data).split(b"\n")
        if len(self._unfinished) > MAX_PRINTED_LINE or not data:
            lines, self._unfinished = [*lines, self._unfinished], b""
        for line in lines:
            yield line[:MAX_PRINTED_LINE].decode(errors="replace")


def signal_name(number: int) -> str:
    return signal.Signals(number).name if number in set(signal.Signals) else f"signal {number}"
