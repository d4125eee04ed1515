"""Talk to one child: send the request, receive its events, stop it, and report how it ended."""

from __future__ import annotations

import os
import re
import signal
import time
from collections import deque
from collections.abc import Iterator
from types import TracebackType
from typing import Self

from apps.engine.contract import Failed, LogLine, Outcome, Succeeded
from apps.engine.failures import FailureClass, too_much_memory
from apps.engine.process.forks import Child, ForkServerProcess
from apps.engine.process.pipes import TAIL, Pipes, PrintedLines, signal_name
from apps.engine.process.protocol import LineReader, Message, ProtocolError, Result, decode
from apps.engine.reporting.redaction import Redactor

GRACE = 5.0  # seconds between the request to stop and the kill
UNKILLABLE = 3.0  # seconds after the kill before we stop waiting for a process stuck in the kernel
_NO_MEMORY = re.compile(
    r"memory allocation of \d+ bytes failed|bad_alloc|MemoryError|Cannot allocate memory"
)


class Conversation:
    """One child from request to exit. Not thread-safe: only the thread that runs it may use it."""

    def __init__(self, server: ForkServerProcess, request: bytes, redactor: Redactor) -> None:
        self._redactor = redactor
        self._server = server
        self._reader = LineReader()
        self._tail: deque[str] = deque(maxlen=TAIL)
        self._printed = PrintedLines()
        self._kill_at: float | None = None
        self._give_up_at: float | None = None
        self.last_word: Outcome | Result | None = None
        self._garbled = False
        request_read, self._request_fd = os.pipe2(os.O_CLOEXEC)
        self._events_fd, events_write = os.pipe2(os.O_CLOEXEC)
        self._stderr_fd, stderr_write = os.pipe2(os.O_CLOEXEC)
        self._pipes = Pipes(self._events_fd, self._stderr_fd)
        self._pipes.tell(self._request_fd, request, then_close=True)
        theirs = (request_read, events_write, stderr_write)
        try:
            self._child: Child = server.fork(*theirs)
        except BaseException:
            self._close_all()
            raise
        finally:
            for fd in theirs:
                os.close(fd)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if not self._child.ended.is_set():
            self._server.signal(self._child, signal.SIGKILL)
        self._close_all()

    @property
    def over(self) -> bool:
        """Whether nothing more will be received: the result has arrived, the child has exited, or it cannot be
        killed.
        """
        if self._give_up_at is not None and time.monotonic() > self._give_up_at:
            return True
        ended = self.last_word is not None or self._child.ended.is_set()
        return ended and not self._pipes.is_open(self._events_fd)

    def stop(self) -> None:
        """Ask the child to stop at its next checkpoint. It is killed if it does not stop in time."""
        if self._kill_at is None:
            self._server.signal(self._child, signal.SIGTERM)
            self._kill_at = time.monotonic() + GRACE

    def kill(self) -> None:
        self._server.signal(self._child, signal.SIGKILL)
        self._kill_at = self._kill_at or time.monotonic()
        self._give_up_at = self._give_up_at or time.monotonic() + UNKILLABLE

    def listen(self, seconds: float) -> Iterator[Message]:
        """Yield the messages that arrive within `seconds`.

        An invalid message ends the conversation and kills the child.
        """
        self._enforce_grace()
        was_over = self._child.ended.is_set()
        if self._pipes.are_all_forgotten:
            self._child.ended.wait(seconds)
            return
        for fd in self._pipes.ready(0 if was_over else seconds):
            if fd == self._events_fd:
                yield from self._hear_events()
            else:
                yield from self._hear_standard()
        if was_over:
            yield from self._hear_rest()

    def outcome(self) -> Outcome | Result:
        """Return the child's result. A child that sent none has crashed."""
        if self.last_word is not None:
            return self.last_word
        return _ended(self._child, tuple(self._tail))

    @property
    def was_interrupted(self) -> bool:
        """Whether the child did not start, was killed from outside or broke the protocol, so the request is not to
        blame.
        """
        child, status = self._child, self._child.status
        if self.last_word is not None:
            return self._garbled
        killed = (
            status is not None and os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGKILL
        )
        return child.refused is not None or status is None or killed

    # Receiving.

    def _hear_events(self) -> Iterator[Message]:
        data = self._pipes.read(self._events_fd)
        if data == b"":
            yield from self._hear_standard()  # Read what it printed before.
        if not data:
            return
        try:
            for line in self._reader.feed(data):
                message = decode(line)
                if isinstance(message, (Succeeded, Failed, Result)):
                    self.last_word = message
                    continue
                if isinstance(message, LogLine):
                    self._tail.append(message.message)
                yield message
        except ProtocolError as error:
            self.last_word = _crashed(error.message, error.evidence)
            self._garbled = True
            self.kill()
            self._pipes.forget(self._events_fd)

    def _hear_standard(self) -> Iterator[Message]:
        data = self._pipes.read(self._stderr_fd) if self._pipes.is_open(self._stderr_fd) else None
        if data is None:
            return
        for line in self._printed.feed(data):
            if text := self._redactor.text(line).rstrip():
                self._tail.append(text)
                yield LogLine.now("info", text, {"stream": "output"})

    def _hear_rest(self) -> Iterator[Message]:
        """Read the rest of the pipes after the exit, without waiting for grandchildren to close them."""
        while self._pipes.is_open(self._events_fd):
            yield from self._hear_events()
            if not self._pipes.can_be_read(self._events_fd):
                self._pipes.forget(self._events_fd)
        if self._pipes.is_open(self._stderr_fd):
            yield from self._hear_standard()

    def _enforce_grace(self) -> None:
        now = time.monotonic()
        if self._kill_at is not None and now > self._kill_at and self._give_up_at is None:
            self.kill()

    def _close_all(self) -> None:
        if self._pipes.is_open(
            self._request_fd
        ):  # Otherwise it was closed after the request was sent.
            os.close(self._request_fd)
        self._pipes.close()
        os.close(self._events_fd)
        os.close(self._stderr_fd)


def _ended(child: Child, tail: tuple[str, ...]) -> Failed:
    """Return the reason why the child sent no result."""
    if child.refused is not None:
        return _crashed("The process could not be started.", (child.refused,))
    if child.orphaned:
        return _crashed("The engine's fork server ended, which also ended this run.", tail)
    if child.status is None:
        return _crashed("The process cannot be killed.", tail)
    if not os.WIFSIGNALED(child.status):
        code = os.WEXITSTATUS(child.status)
        how = f"The process ended without a result (exit code {code})."
        return _out_of_memory(tail) or _crashed(how, (f"exit code {code}", *tail))
    number = os.WTERMSIG(child.status)
    name = signal_name(number)
    tail = (f"signal {number} ({name})", *tail)
    if number == signal.SIGXCPU:
        message = "The process used all its CPU time."
        return Failed(FailureClass.TIMEOUT, message, tail, retryable=False)
    if number == signal.SIGKILL:
        hint = " Perhaps the machine ran out of memory."
        return _crashed(f"The process was ended by {name}.{hint}", tail)
    return _out_of_memory(tail) or _crashed(f"The process was ended by {name}.", tail)


def _out_of_memory(tail: tuple[str, ...]) -> Failed | None:
    """Libraries in Rust and C++ abort the process where Python raises MemoryError."""
    if not any(_NO_MEMORY.search(line) for line in tail):
        return None
    return Failed(FailureClass.MEMORY, too_much_memory("the data it read"), tail, retryable=False)


def _crashed(message: str, evidence: tuple[str, ...]) -> Failed:
    return Failed(FailureClass.CRASHED, message, evidence, retryable=True)
