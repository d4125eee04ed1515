"""Call operations of sandboxed code, enforce every limit, and explain why the code ended."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Self

import orjson

from apps.egress.broker import Broker, ConnectionAttempt, EgressLimits
from apps.engine import failures
from apps.engine.failures import ConfigurationError, EngineError, SourceError
from apps.engine.process.pipes import EVIDENCE_LINES, Pipes, PrintedLines, signal_name
from apps.engine.process.progress import progress
from apps.engine.sandbox import process, syscalls, type_tags
from apps.engine.sandbox.limits import (
    BrokenOutput,
    LimitExceeded,
    Limits,
    TookTooLong,
    too_many_message,
)
from apps.engine.sandbox.process import SandboxSite
from apps.engine.sandbox.reader import MAX_TEXT, BoundedReader, Line

CHECK_INTERVAL = 0.25  # seconds between checks of the limits
MAX_PRINTED = 64 << 20  # bytes that the code may print
EXIT_SECONDS = 2.0  # seconds to wait for the exit of the process

_ERROR_CLASSES: dict[str, type[EngineError]] = {
    "authentication": failures.AuthenticationError,
    "rate_limit": failures.RateLimitError,
    "configuration": failures.ConfigurationError,
    "contract": failures.ContractError,
    "memory": LimitExceeded,
}


class CodeFailed(SourceError):
    """The code raised an exception. A retry of the same code cannot help."""

    retryable = False


@dataclass(frozen=True, slots=True)
class Request:
    """An HTTP request that the code reported. `ms` is the time until the headers of the response arrived."""

    method: str
    url: str
    status: int
    ms: float


@dataclass(slots=True)
class Callbacks:
    """Functions that receive the log lines, HTTP requests and connections of the code.

    `connection` is called in the thread of the broker, `log` and `request` in the thread that calls the sandbox.
    """

    log: Callable[[str, str], None] = lambda level, message: None
    request: Callable[[Request], None] = lambda request: None
    connection: Callable[[ConnectionAttempt], None] = lambda connection: None


@dataclass(frozen=True, slots=True)
class Answer:
    """The fields of an answer, and the rows that were sent before it."""

    values: Mapping[str, Any]
    rows: list[dict[str, Any]] = field(default_factory=list)


class Sandbox:
    """One sandboxed process, from its start to its end. Use it as a context manager, or close it.

    Only one call may run at a time. Calls raise an EngineError if the code fails: LimitExceeded, TookTooLong,
    BrokenOutput and others. The constructor raises IsolationTooWeak.
    """

    def __init__(
        self,
        code: str,
        *,
        site: SandboxSite,
        limits: Limits,
        egress_limits: EgressLimits | None = None,
        callbacks: Callbacks | None = None,
    ) -> None:
        self._limits = limits
        self._callbacks = callbacks or Callbacks()
        self._lock = threading.Lock()
        self._is_ready = False
        self._started_at = time.monotonic()
        self._last_message_at = self._started_at
        self._reader = BoundedReader(limits.line, limits.values)
        self._last_lines: deque[str] = deque(maxlen=EVIDENCE_LINES)
        self._printed_lines = PrintedLines()
        self._logged_characters = self._printed_bytes = self._output_bytes = 0
        self._cpu_seconds = 0.0  # CPU time at the last check
        self._broker = (
            Broker(egress_limits, self._callbacks.connection) if egress_limits is not None else None
        )
        try:
            control_fd = self._broker.code_socket.fileno() if self._broker else None
            self._confined_process = process.start(
                code, site=site, limits=limits, control_fd=control_fd
            )
        except BaseException:
            self._close_broker()
            raise
        if self._broker:
            self._broker.code_socket.close()
        self._process = self._confined_process.process
        self._disk_watch = self._confined_process.disk_watch(limits.disk)
        self.isolation = self._confined_process.isolation
        self._output_fd = self._confined_process.output_fd
        self._printed_fd = _descriptor_of(self._process.stdout)
        self._request_fd = _descriptor_of(self._process.stdin)
        self._pipes = Pipes(self._output_fd, self._printed_fd)
        self._closed = False

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        error_type: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    @property
    def pid(self) -> int:
        return self._process.pid

    def wait_until_ready(self) -> None:
        """Wait until the process is confined. It has not loaded the code yet."""
        for line in self._send_and_receive(b""):
            self._handle_message(line)
            if line.kind == "ready":
                return
        raise self._exit_error()

    def call(self, operation: str, **values: Any) -> Answer:
        """Call one operation and return its answer. The values must be JSON values or `orjson.Fragment`s."""
        rows: list[dict[str, Any]] = []
        output_before, value_count = self._output_bytes, 0
        request = orjson.dumps({"op": operation, **values}) + b"\n"
        for line in self._send_and_receive(request):
            if line.kind == "rows":
                type_tags.decode_rows(line.values["rows"], line.values["types"])
                rows += line.values["rows"]
                value_count += line.size
                self._check_answer_size(self._output_bytes - output_before, value_count, len(rows))
            elif line.kind == "answer":
                self._receive_remaining_printed_lines()
                return Answer(line.values, rows)
            elif line.kind == "error":
                self._receive_remaining_printed_lines()
                self._check_final_usage()  # A limit that closed the network may be the cause of the error.
                raise _error_of(line.values)
            else:
                self._handle_message(line)
        raise self._exit_error()

    def conclude(self) -> None:
        """End the process after the last operation. Raises LimitExceeded if the code exceeded a limit."""
        self._check_final_usage()
        self._kill()

    def close(self) -> None:
        """Kill the process if it still runs, and remove its files. A second call does nothing."""
        with self._lock:
            if self._closed:
                return
            self._closed = True
        self._kill()
        self._disk_watch.stop()
        self._pipes.close()
        for stream in (self._process.stdin, self._process.stdout):
            if stream is not None:
                with contextlib.suppress(BrokenPipeError):
                    stream.close()
        os.close(self._output_fd)
        self._close_broker()
        self._confined_process.remove_resources()

    # Receiving messages

    def _send_and_receive(self, request: bytes) -> Iterator[Line]:
        """Write the request, and yield the messages that arrive until the process ends."""
        if request:
            self._last_message_at = time.monotonic()
            self._pipes.write(self._request_fd, request)
        next_check = time.monotonic() + CHECK_INTERVAL
        try:
            while self._pipes.is_open(self._output_fd):
                for fd in self._pipes.wait_readable(CHECK_INTERVAL):
                    if fd == self._printed_fd:
                        self._receive_printed_lines()
                    else:
                        yield from self._receive_output()
                if time.monotonic() >= next_check:
                    self._check_limits()
                    next_check = time.monotonic() + CHECK_INTERVAL
        except (BrokenOutput, LimitExceeded) as error:
            raise self._kill_and_return(error) from None
        finally:
            self._pipes.forget(self._request_fd)

    def _receive_output(self) -> Iterator[Line]:
        data = self._pipes.read(self._output_fd)
        if not data:
            return
        self._last_message_at = time.monotonic()
        progress.report()
        self._output_bytes += len(data)
        if self._output_bytes > self._limits.output:
            raise self._kill_and_return(_too_much_output("all answers", self._limits.output))
        for line in self._reader.feed(data):
            self._is_ready = self._is_ready or line.kind == "ready"
            yield line

    def _receive_remaining_printed_lines(self) -> None:
        """Read the remaining output that the code printed before it answered or ended."""
        if self._pipes.is_open(self._printed_fd):
            self._receive_printed_lines()

    def _receive_printed_lines(self) -> None:
        data = self._pipes.read(self._printed_fd)
        if data is None:
            return
        self._printed_bytes += len(data)
        if self._printed_bytes > MAX_PRINTED:
            raise self._kill_and_return(_too_much_output("standard output", MAX_PRINTED))
        for line in self._printed_lines.feed(data):
            if text := line.rstrip():
                self._log("info", text)

    def _handle_message(self, line: Line) -> None:
        if line.kind == "ready":
            self._disk_watch.start()  # The code is not loaded before the first call.
        elif line.kind == "log":
            self._log(line.values["level"], line.values["message"][:MAX_TEXT])
        elif line.kind == "request":
            values = line.values
            self._callbacks.request(
                Request(values["method"][:20], values["url"][:500], values["status"], values["ms"])
            )

    def _log(self, level: str, message: str) -> None:
        self._last_lines.append(message)
        logged_before = self._logged_characters
        self._logged_characters += len(message)
        if self._logged_characters <= self._limits.log:
            self._callbacks.log(level, message)
        elif logged_before <= self._limits.log:
            self._callbacks.log(
                "warning", "The code has logged too much. Its next lines are not stored."
            )

    # Limits

    def _check_limits(self) -> None:
        """Raise if the code has exceeded a limit."""
        now, limits = time.monotonic(), self._limits
        self._cpu_seconds = process.cpu_seconds(self.pid) or self._cpu_seconds
        if limits.wall_seconds is not None and now - self._started_at > limits.wall_seconds:
            message = f"The code did not finish within {limits.wall_seconds:g} seconds."
            raise self._kill_and_return(TookTooLong(message, evidence=tuple(self._last_lines)))
        if now - self._last_message_at > limits.silence_seconds:
            message = f"{failures.CODE_WAS_SILENT} {limits.silence_seconds:g} seconds."
            raise self._kill_and_return(TookTooLong(message, evidence=tuple(self._last_lines)))
        self._check_network()
        self._check_disk()

    def _check_answer_size(self, size: int, value_count: int, row_count: int) -> None:
        limits = self._limits
        if size > limits.page:
            raise self._kill_and_return(_too_much_output("one answer", limits.page))
        for items, count, limit in (
            ("values", value_count, limits.values),
            ("rows", row_count, limits.rows),
        ):
            if count > limit:
                raise self._kill_and_return(LimitExceeded(too_many_message(items, limit)))

    def _check_network(self) -> None:
        if self._broker is not None and self._broker.totals.exceeded_limit:
            message = f"The code made {self._broker.totals.exceeded_limit}."
            raise self._kill_and_return(LimitExceeded(message))

    def _check_disk(self) -> None:
        if self._disk_watch.kill_reason:
            raise self._kill_and_return(LimitExceeded(self._disk_watch.kill_reason))

    def _check_final_usage(self) -> None:
        self._disk_watch.measure_now()
        self._check_network()
        self._check_disk()

    def _kill_and_return(self, error: EngineError) -> EngineError:
        """Kill the process and return the error, which the caller raises."""
        self._kill()
        return error

    def _kill(self) -> None:
        if self._process.poll() is None:
            self._process.kill()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(EXIT_SECONDS)

    def _exit_error(self) -> EngineError:
        """Return the error that says why the process ended without an answer."""
        try:
            status = self._process.wait(EXIT_SECONDS)
        except subprocess.TimeoutExpired:
            self._kill()
            return LimitExceeded("The code closed its output but kept running.")
        self._receive_remaining_printed_lines()
        evidence = tuple(self._last_lines)
        if self._disk_watch.kill_reason:
            return LimitExceeded(self._disk_watch.kill_reason, evidence=evidence)
        signal_number = self._signal_number(status)
        if not self._is_ready and not signal_number:  # After `ready` the code itself may exit.
            return ConfigurationError("The sandbox could not be set up.", evidence=evidence)
        if signal_number == signal.SIGXCPU or self._cpu_seconds >= self._limits.cpu_seconds:
            message = f"The code used more than {self._limits.cpu_seconds:,} {failures.SECONDS_OF_CPU_TIME}."
            return TookTooLong(message, evidence=evidence)
        if signal_number == signal.SIGXFSZ:
            return _too_much_output("files", self._limits.disk)
        if signal_number == signal.SIGSYS:
            return LimitExceeded("The code made a forbidden system call.", evidence=evidence)
        if signal_number == signal.SIGKILL:
            message = "The code was killed; the machine may have run out of memory."
            return SourceError(message, evidence=evidence)
        if not signal_number:
            message = f"The code ended its process with exit status {status}."
            return CodeFailed(message, evidence=evidence)
        message = f"The code ended without an answer ({signal_name(signal_number)})."
        return CodeFailed(message, evidence=evidence)

    def _signal_number(self, status: int) -> int:
        """Return the number of the signal that ended the process, or 0.

        The seccomp filter prevents the code from exiting with a status that bubblewrap uses for signals.
        """
        if status < 0:
            return -status
        if "bwrap" in self.isolation.layers and status > syscalls.SIGNAL_STATUS_BASE:
            return status - syscalls.SIGNAL_STATUS_BASE
        return 0

    def _close_broker(self) -> None:
        if self._broker is not None:
            self._broker.close()


def _descriptor_of(stream: Any) -> int:
    descriptor: int = stream.fileno()
    return descriptor


def _too_much_output(output: str, limit: int) -> LimitExceeded:
    return LimitExceeded(f"The code wrote more than {limit:,} bytes of {output}.")


def _error_of(values: Mapping[str, Any]) -> EngineError:
    error_class = _ERROR_CLASSES.get(values["failure"])
    if error_class is None:
        error_class = SourceError if values["retryable"] else CodeFailed
    evidence = tuple(line[:500] for line in values["evidence"])
    return error_class(
        values["message"][:500], evidence=evidence, retry_after=values["retry_after"]
    )
