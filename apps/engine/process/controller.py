"""Communicate with one child: send the request, receive its events, stop it, and report how it ended."""

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
from apps.engine.failures import FailureClass, memory_message
from apps.engine.process.forks import Child, ForkServerProcess
from apps.engine.process.pipes import EVIDENCE_LINES, Pipes, PrintedLines, signal_name
from apps.engine.process.protocol import LineReader, Message, ProtocolError, Ready, Result, decode
from apps.engine.reporting.redaction import Redactor

GRACE_SECONDS = 5.0  # seconds after which a child that does not stop is killed
END_SECONDS = 1.0  # seconds to wait until a child without further requests has ended
KILL_SECONDS = 3.0  # seconds to wait for a killed process, which may hang in the kernel
_MEMORY_ERROR = re.compile(
    r"memory allocation of \d+ bytes failed|bad_alloc|MemoryError|Cannot allocate memory"
)


class ChildController:
    """Starts one child, and controls it until it exits. Not thread-safe.

    With `may_repeat` the child can get further requests: see `is_ready`.
    """

    def __init__(
        self,
        server: ForkServerProcess,
        request: bytes,
        redactor: Redactor,
        *,
        may_repeat: bool = False,
    ) -> None:
        self.redactor = redactor
        self._server = server
        self._reader = LineReader()
        self._last_lines: deque[str] = deque(maxlen=EVIDENCE_LINES)
        self._printed_lines = PrintedLines()
        self._kill_at: float | None = None
        self._give_up_at: float | None = None
        self.result: Outcome | Result | None = None
        self.is_ready = False  # whether the child has sent its result and waits for another request
        self._broke_protocol = False
        self._is_request_open = may_repeat
        request_read, self._request_fd = os.pipe2(os.O_CLOEXEC)
        self._events_fd, events_write = os.pipe2(os.O_CLOEXEC)
        self._stderr_fd, stderr_write = os.pipe2(os.O_CLOEXEC)
        self._pipes = Pipes(self._events_fd, self._stderr_fd)
        self._pipes.write(self._request_fd, request + b"\n", close_after=not may_repeat)
        child_fds = (request_read, events_write, stderr_write)
        try:
            self._child: Child = server.fork(*child_fds)
        except BaseException:
            self._close_all()
            raise
        finally:
            for fd in child_fds:
                os.close(fd)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        error_type: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Kill the child if it is still running. A child that waits for another request may end by itself."""
        if self.can_repeat:
            self._close_request()
            self._child.ended.wait(END_SECONDS)
        if not self._child.ended.is_set():
            self._server.signal(self._child, signal.SIGKILL)
        self._close_all()

    @property
    def can_repeat(self) -> bool:
        """Whether the child waits for another request."""
        return self.is_ready and self._kill_at is None and not self._child.ended.is_set()

    def repeat(self, request: bytes, redactor: Redactor) -> None:
        """Send another request to a child that waits for it."""
        self.redactor = redactor
        self.result, self.is_ready = None, False
        self._last_lines.clear()
        self._pipes.write(self._request_fd, request + b"\n")

    @property
    def is_finished(self) -> bool:
        """Whether no more messages will arrive for this request.

        True if the child has closed its events and has sent its result or exited, if it waits for another request, and
        if it cannot be killed.
        """
        if self.is_ready:
            return True
        if self._give_up_at is not None and time.monotonic() > self._give_up_at:
            return True
        has_ended = self.result is not None or self._child.ended.is_set()
        return has_ended and not self._pipes.is_open(self._events_fd)

    def stop(self) -> None:
        """Tell the child to stop at its next checkpoint. It is killed if it does not stop within GRACE_SECONDS."""
        if self._kill_at is None:
            self._server.signal(self._child, signal.SIGTERM)
            self._kill_at = time.monotonic() + GRACE_SECONDS

    def kill(self) -> None:
        self._server.signal(self._child, signal.SIGKILL)
        self._kill_at = self._kill_at or time.monotonic()
        self._give_up_at = self._give_up_at or time.monotonic() + KILL_SECONDS

    def receive(self, seconds: float) -> Iterator[Message]:
        """Wait at most `seconds`, and yield the messages that arrive.

        The child is killed at the first invalid message.
        """
        self._enforce_grace_period()
        has_exited = self._child.ended.is_set()
        if self._pipes.all_closed:
            self._child.ended.wait(seconds)
            return
        for fd in self._pipes.wait_readable(0 if has_exited else seconds):
            if fd == self._events_fd:
                yield from self._receive_events()
            else:
                yield from self._receive_printed_lines()
        if has_exited:
            yield from self._receive_remaining()

    def outcome(self) -> Outcome | Result:
        """Return the result of the child. If it sent no result, return a failure that describes how it ended."""
        if self.result is not None:
            return self.result
        return _exit_failure(self._child, tuple(self._last_lines))

    @property
    def was_interrupted(self) -> bool:
        """Whether the child did not start, was killed or broke the protocol, so that a retry may help."""
        child, status = self._child, self._child.status
        if self.result is not None:
            return self._broke_protocol
        was_killed = (
            status is not None and os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGKILL
        )
        return child.fork_error is not None or status is None or was_killed

    # Receiving messages

    def _receive_events(self) -> Iterator[Message]:
        data = self._pipes.read(self._events_fd)
        if data == b"":
            # The child has closed the pipe. Read the output that it printed before that.
            yield from self._receive_printed_lines()
        if not data:
            return
        try:
            for line in self._reader.feed(data):
                message = decode(line)
                if isinstance(message, (Succeeded, Failed, Result)):
                    self.result = message
                    continue
                if isinstance(message, Ready):
                    yield from self._receive_printed_lines()
                    yield from self._log_lines(self._printed_lines.feed(b""))  # the unfinished one
                    self.is_ready = True
                    continue
                if isinstance(message, LogLine):
                    self._last_lines.append(message.message)
                yield message
        except ProtocolError as error:
            self.result = _crashed(error.message, error.evidence)
            self._broke_protocol = True
            self.kill()
            self._pipes.forget(self._events_fd)

    def _receive_printed_lines(self) -> Iterator[Message]:
        data = self._pipes.read(self._stderr_fd) if self._pipes.is_open(self._stderr_fd) else None
        if data is None:
            return
        yield from self._log_lines(self._printed_lines.feed(data))

    def _log_lines(self, printed: Iterator[str]) -> Iterator[LogLine]:
        for line in printed:
            if text := self.redactor.mask_text(line).rstrip():
                self._last_lines.append(text)
                yield LogLine.now("info", text, {"by": "output"})

    def _receive_remaining(self) -> Iterator[Message]:
        """Read the remaining data of the pipes after the exit. Does not wait until grandchildren close the pipes."""
        while self._pipes.is_open(self._events_fd):
            yield from self._receive_events()
            if not self._pipes.can_be_read(self._events_fd):
                self._pipes.forget(self._events_fd)
        if self._pipes.is_open(self._stderr_fd):
            yield from self._receive_printed_lines()

    def _enforce_grace_period(self) -> None:
        now = time.monotonic()
        if self._kill_at is not None and now > self._kill_at and self._give_up_at is None:
            self.kill()

    def _close_all(self) -> None:
        self._close_request()
        self._pipes.close()
        os.close(self._events_fd)
        os.close(self._stderr_fd)

    def _close_request(self) -> None:
        # If no further request may follow, it was closed after the last write.
        if self._is_request_open or self._pipes.is_open(self._request_fd):
            self._pipes.forget(self._request_fd)
            os.close(self._request_fd)
        self._is_request_open = False


def _exit_failure(child: Child, evidence: tuple[str, ...]) -> Failed:
    """Return the failure of a child that sent no result."""
    if child.fork_error is not None:
        return _crashed("The process could not be started.", (child.fork_error,))
    if child.is_orphan:
        return _crashed("The engine's fork server ended, which also ended this run.", evidence)
    if child.status is None:
        return _crashed("The process cannot be killed.", evidence)
    if not os.WIFSIGNALED(child.status):
        exit_code = os.WEXITSTATUS(child.status)
        message = f"The process ended without a result (exit code {exit_code})."
        return _out_of_memory(evidence) or _crashed(message, (f"exit code {exit_code}", *evidence))
    signal_number = os.WTERMSIG(child.status)
    name = signal_name(signal_number)
    evidence = (f"signal {signal_number} ({name})", *evidence)
    if signal_number == signal.SIGXCPU:
        message = "The process used all its CPU time."
        return Failed(FailureClass.TIMEOUT, message, evidence, retryable=False)
    if signal_number == signal.SIGKILL:
        hint = " Perhaps the machine ran out of memory."
        return _crashed(f"The process was ended by {name}.{hint}", evidence)
    return _out_of_memory(evidence) or _crashed(f"The process was ended by {name}.", evidence)


def _out_of_memory(evidence: tuple[str, ...]) -> Failed | None:
    """Return the failure if the evidence shows a lack of memory, else None.

    Libraries in Rust and C++ abort the process where Python code would raise MemoryError.
    """
    if not any(_MEMORY_ERROR.search(line) for line in evidence):
        return None
    return Failed(
        FailureClass.MEMORY, memory_message("the data it read"), evidence, retryable=False
    )


def _crashed(message: str, evidence: tuple[str, ...]) -> Failed:
    return Failed(FailureClass.CRASHED, message, evidence, retryable=True)
