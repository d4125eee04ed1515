"""Ask questions of sandboxed code: enforce every limit, and explain why the code ended."""

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
from apps.engine.process.pipes import TAIL, Pipes, PrintedLines, signal_name
from apps.engine.process.signs import signs
from apps.engine.sandbox import process, syscalls, typed
from apps.engine.sandbox.limits import BrokenOutput, LimitExceeded, Limits, TookTooLong, too_many
from apps.engine.sandbox.process import SandboxSite
from apps.engine.sandbox.reader import TEXT, BoundedReader, Line

LOOK_EVERY = 0.25  # seconds between checks of disk and clock
LOG_FLOOD = 64 << 20  # printed bytes above which the code is ended
DEATH_SECONDS = 2.0

_ERRORS: dict[str, type[EngineError]] = {
    "authentication": failures.AuthenticationError,
    "rate_limit": failures.RateLimitError,
    "configuration": failures.ConfigurationError,
    "contract": failures.ContractError,
    "memory": LimitExceeded,
}


class CodeFailed(SourceError):
    """The code raised an exception; retrying without changes cannot help."""

    retryable = False


@dataclass(frozen=True, slots=True)
class Request:
    """An HTTP request that the code reports; `ms` is the time until the response's headers."""

    method: str
    url: str
    status: int
    ms: float


@dataclass(slots=True)
class Callbacks:
    """Callbacks for messages besides the answers. Called from the asking thread, except those for connections."""

    log: Callable[[str, str], None] = lambda level, message: None
    request: Callable[[Request], None] = lambda request: None
    passage: Callable[[ConnectionAttempt], None] = lambda passage: None


@dataclass(frozen=True, slots=True)
class Answer:
    """The fields of an answer, and the rows that preceded it."""

    values: Mapping[str, Any]
    rows: list[dict[str, Any]] = field(default_factory=list)


class Sandbox:
    """One sandboxed process from start to end. One question at a time; close it, or use it as a context manager.

    Raises EngineError when the code fails: LimitExceeded, TookTooLong, BrokenOutput, TooWeak and others.
    """

    def __init__(
        self,
        code: str,
        *,
        ground: SandboxSite,
        limits: Limits,
        door: EgressLimits | None = None,
        heard: Callbacks | None = None,
    ) -> None:
        self._limits = limits
        self._heard = heard or Callbacks()
        self._lock = threading.Lock()
        self._over: EngineError | None = None
        self._ready = False
        self._started = time.monotonic()
        self._last_sign = self._started
        self._reader = BoundedReader(limits.line, limits.values)
        self._tail: deque[str] = deque(maxlen=TAIL)
        self._printed = PrintedLines()
        self._logged = self._printed_bytes = self._output = 0
        self._cpu = 0.0  # seconds, at the last check
        self._broker = Broker(door, self._heard.passage) if door is not None else None
        try:
            control = self._broker.theirs.fileno() if self._broker else None
            self._confined = process.start(code, ground=ground, limits=limits, control_fd=control)
        except BaseException:
            self._close_broker()
            raise
        if self._broker:
            self._broker.theirs.close()
        self._process = self._confined.process
        self._watch = self._confined.watched(limits.disk)
        self.isolation = self._confined.isolation
        self._output_fd = self._confined.output_fd
        self._standard_fd = _fd(self._process.stdout)
        self._request_fd = _fd(self._process.stdin)
        self._pipes = Pipes(self._output_fd, self._standard_fd)
        self._closed = False

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    @property
    def pid(self) -> int:
        return self._process.pid

    def wait_ready(self) -> None:
        """Wait until the process is confined and the code is about to be loaded."""
        for line in self._lines(b""):
            self._aside(line)
            if line.kind == "ready":
                return
        raise self._death()

    def ask(self, operation: str, **values: Any) -> Answer:
        """Ask one question and return the answer. Values are JSON, or `orjson.Fragment`s of it."""
        rows: list[dict[str, Any]] = []
        before, counted = self._output, 0
        question = orjson.dumps({"op": operation, **values}) + b"\n"
        for line in self._lines(question):
            if line.kind == "rows":
                typed.restore(line.values["rows"], line.values["types"])
                rows += line.values["rows"]
                counted += line.size
                self._look_at_answer(self._output - before, counted, len(rows))
            elif line.kind == "answer":
                self._hear_what_is_printed()
                return Answer(line.values, rows)
            elif line.kind == "error":
                self._hear_what_is_printed()
                self._look_at_what_it_took()  # Closing the network was the reason of the failure.
                raise _raised(line.values)
            else:
                self._aside(line)
        raise self._death()

    def conclude(self) -> None:
        """Call after the last question. Raises if the code exceeded a limit, even after its last answer."""
        self._look_at_what_it_took()
        self._kill()

    def close(self) -> None:
        """Kill the process if it still runs and remove its files. Safe to call twice."""
        with self._lock:
            if self._closed:
                return
            self._closed = True
        self._kill()
        self._watch.stop()
        self._pipes.close()
        for stream in (self._process.stdin, self._process.stdout):
            if stream is not None:
                with contextlib.suppress(BrokenPipeError):
                    stream.close()
        os.close(self._output_fd)
        self._close_broker()
        self._confined.remove()

    # Receiving.

    def _lines(self, question: bytes) -> Iterator[Line]:
        """Yield the messages that arrive while the question is written and until the process ends."""
        if question:
            self._last_sign = time.monotonic()
            self._pipes.tell(self._request_fd, question)
        next_look = time.monotonic() + LOOK_EVERY
        try:
            while self._pipes.is_open(self._output_fd):
                for fd in self._pipes.ready(LOOK_EVERY):
                    if fd == self._standard_fd:
                        self._hear_standard()
                    else:
                        yield from self._hear_output()
                if time.monotonic() >= next_look:
                    self._look()
                    next_look = time.monotonic() + LOOK_EVERY
        except (BrokenOutput, LimitExceeded) as error:
            raise self._end(error) from None
        finally:
            self._pipes.forget(self._request_fd)

    def _hear_output(self) -> Iterator[Line]:
        data = self._pipes.read(self._output_fd)
        if not data:
            return
        self._last_sign = time.monotonic()
        signs.moved()
        self._output += len(data)
        if self._output > self._limits.output:
            raise self._end(_too_much("all answers", self._limits.output))
        for line in self._reader.feed(data):
            self._ready = self._ready or line.kind == "ready"
            yield line

    def _hear_what_is_printed(self) -> None:
        """What the code printed before it answered or ended is in the pipe by now."""
        if self._pipes.is_open(self._standard_fd):
            self._hear_standard()

    def _hear_standard(self) -> None:
        data = self._pipes.read(self._standard_fd)
        if data is None:
            return
        self._printed_bytes += len(data)
        if self._printed_bytes > LOG_FLOOD:
            raise self._end(_too_much("standard output", LOG_FLOOD))
        for line in self._printed.feed(data):
            if text := line.rstrip():
                self._log("info", text)

    def _aside(self, line: Line) -> None:
        if line.kind == "ready":
            self._watch.start()  # The code is loaded with the first question, not before.
        elif line.kind == "log":
            self._log(line.values["level"], line.values["message"][:TEXT])
        elif line.kind == "request":
            values = line.values
            self._heard.request(
                Request(values["method"][:20], values["url"][:500], values["status"], values["ms"])
            )

    def _log(self, level: str, message: str) -> None:
        self._tail.append(message)
        before = self._logged
        self._logged += len(message)
        if self._logged <= self._limits.log:
            self._heard.log(level, message)
        elif before <= self._limits.log:
            self._heard.log("warning", "The code has logged too much; further lines are dropped.")

    # Limits.

    def _look(self) -> None:
        """Raise if the code has exceeded a limit."""
        now, limits = time.monotonic(), self._limits
        self._cpu = process.cpu_seconds(self.pid) or self._cpu
        if limits.wall_seconds is not None and now - self._started > limits.wall_seconds:
            message = f"The code did not finish within {limits.wall_seconds:g} seconds."
            raise self._end(TookTooLong(message, evidence=tuple(self._tail)))
        if now - self._last_sign > limits.silence_seconds:
            message = f"{failures.CODE_WAS_SILENT} {limits.silence_seconds:g} seconds."
            raise self._end(TookTooLong(message, evidence=tuple(self._tail)))
        self._look_at_network()
        self._look_at_disk()

    def _look_at_answer(self, size: int, values: int, rows: int) -> None:
        limits = self._limits
        if size > limits.page:
            raise self._end(_too_much("one answer", limits.page))
        for what, found, most in (("values", values, limits.values), ("rows", rows, limits.rows)):
            if found > most:
                raise self._end(LimitExceeded(too_many(what, most)))

    def _look_at_network(self) -> None:
        if self._broker is not None and self._broker.totals.over:
            message = f"The code made {self._broker.totals.over}."
            raise self._end(LimitExceeded(message))

    def _look_at_disk(self) -> None:
        if self._watch.over:
            raise self._end(LimitExceeded(self._watch.over))

    def _look_at_what_it_took(self) -> None:
        self._watch.look()
        self._look_at_network()
        self._look_at_disk()

    def _end(self, error: EngineError) -> EngineError:
        self._kill()
        return error

    def _kill(self) -> None:
        if self._process.poll() is None:
            self._process.kill()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(DEATH_SECONDS)

    def _death(self) -> EngineError:
        """Return the reason why the process ended without an answer."""
        try:
            code = self._process.wait(DEATH_SECONDS)
        except subprocess.TimeoutExpired:
            self._kill()
            return LimitExceeded("The code closed its output but kept running.")
        self._hear_what_is_printed()
        evidence = tuple(self._tail)
        if self._watch.over:
            return LimitExceeded(self._watch.over, evidence=evidence)
        number = self._signal(code)
        if not self._ready and not number:  # Later messages come from the code itself.
            return ConfigurationError("The sandbox could not be set up.", evidence=evidence)
        if number == signal.SIGXCPU or self._cpu >= self._limits.cpu_seconds:
            message = (
                f"The code used more than {self._limits.cpu_seconds:,} {failures.CODE_USED_CPU}."
            )
            return TookTooLong(message, evidence=evidence)
        if number == signal.SIGXFSZ:
            return _too_much("files", self._limits.disk)
        if number == signal.SIGSYS:
            return LimitExceeded("The code made a forbidden system call.", evidence=evidence)
        if number == signal.SIGKILL:
            message = "The code was killed; the machine may have run out of memory."
            return SourceError(message, evidence=evidence)
        if not number:
            message = f"The code ended its process with exit status {code}."
            return CodeFailed(message, evidence=evidence)
        how = f"The code ended without an answer ({signal_name(number)})."
        return CodeFailed(how, evidence=evidence)

    def _signal(self, code: int) -> int:
        """Return the signal that ended the process, 0 if none.

        The filter prevents the code from faking bubblewrap's status.
        """
        if code < 0:
            return -code
        if "bwrap" in self.isolation.layers and code > syscalls.RELAYED_SIGNAL:
            return code - syscalls.RELAYED_SIGNAL
        return 0

    def _close_broker(self) -> None:
        if self._broker is not None:
            self._broker.close()


def _fd(stream: Any) -> int:
    number: int = stream.fileno()
    return number


def _too_much(what: str, limit: int) -> LimitExceeded:
    return LimitExceeded(f"The code wrote more than {limit:,} bytes of {what}.")


def _raised(values: Mapping[str, Any]) -> EngineError:
    kind = _ERRORS.get(values["failure"])
    if kind is None:
        kind = SourceError if values["retryable"] else CodeFailed
    evidence = tuple(line[:500] for line in values["evidence"])
    return kind(values["message"][:500], evidence=evidence, retry_after=values["retry_after"])
