"""Run attempts and calls in child processes of a fork server."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from functools import partial
from typing import Any

import orjson

from apps.engine import failures
from apps.engine.contract import (
    CHILD_MEMORY,
    ChildLimits,
    Event,
    Failed,
    Outcome,
    RunSpec,
    StopReason,
    Succeeded,
)
from apps.engine.failures import (
    Cancelled,
    ConfigurationError,
    Crashed,
    EngineError,
    FailureClass,
    TimedOut,
    Unavailable,
)
from apps.engine.process.controller import ChildController
from apps.engine.process.forks import ForkServerGone, ForkServerProcess
from apps.engine.process.protocol import VERSION, Result
from apps.engine.process.silence import SILENCE_SECONDS
from apps.engine.process.stream_series import CHECK_INTERVAL, StreamSeries
from apps.engine.reporting.redaction import Redactor, redactor_of, redactor_of_payload
from apps.json import JsonObject, JsonValue

START_SECONDS = 20.0  # the longest time that a call waits for the start of the fork server

_ERROR_CLASSES: dict[FailureClass, type[EngineError]] = {
    error_class.failure_class: error_class
    for error_class in (
        EngineError,
        ConfigurationError,
        failures.AuthenticationError,
        failures.RateLimitError,
        failures.SourceError,
        failures.DestinationError,
        failures.ContractError,
        failures.Cancelled,
        failures.TooMuchMemory,
        TimedOut,
        Crashed,
    )
}


class EngineSupervisor:
    """The public interface of the engine. Thread-safe: any number of runs and calls may run at the same time.

    The fork server starts with `start()` or at the first use. With `idle_timeout` (seconds) it ends if it is not
    used for that time. `preload` names additional modules that it imports. `memory` limits the address space of
    each child, in bytes. `silence` is the longest time that a run may make no progress, in seconds.
    """

    def __init__(
        self,
        idle_timeout: float | None = None,
        *,
        preload: Sequence[str] = (),
        memory: int = CHILD_MEMORY,
        silence: float = SILENCE_SECONDS,
    ) -> None:
        self._idle_timeout = idle_timeout
        self._silence = silence
        self._memory = memory
        self._preload = tuple(preload)
        self._lock = threading.Lock()
        self._current: ForkServerProcess | None = None
        self._closed = False

    def start(self, *, wait: float = 0) -> None:
        """Start the fork server and wait at most `wait` seconds until it is ready.

        Raises `ForkServerGone` if it ends during that time.
        """
        server = self._running_server()
        server.ready.wait(wait)
        if server.ended.is_set():
            raise server.exit_error()

    def run(
        self,
        spec: RunSpec,
        *,
        on_event: Callable[[Event], None],
        should_stop: Callable[[], StopReason | None],
    ) -> Outcome:
        """Run one attempt to its end and return the result.

        `on_event` receives each event before the result, in this thread. If it raises an exception, the child is
        killed, and this method raises the exception. `should_stop` is called at least every 0.25 s. After it has
        returned a reason, the run ends within 10 s, whatever the child does. A child that reports no progress for
        too long fails with the class `timeout`.
        """
        with self.streams(may_repeat=False) as series:
            return series.run(spec, on_event=on_event, should_stop=should_stop)

    @contextmanager
    def streams(self, *, may_repeat: bool = True) -> Iterator[StreamSeries]:
        """Run streams of one run one after the other, in the same child as far as possible."""
        series = StreamSeries(partial(self._start_stream, may_repeat=may_repeat), self._silence)
        try:
            yield series
        finally:
            series.close()

    def call(
        self,
        name: str,
        payload: JsonObject,
        timeout: float,
        *,
        cpu_seconds: int | None = None,
        module: str | None = None,
        should_stop: Callable[[], bool] = lambda: False,
    ) -> dict[str, JsonValue]:
        """Call one of the functions in `apps.engine.process.child.CALLS` in a child, and return its result.

        With `module` it is a function of that module, which belongs to another app and is imported in the child.
        `apps.engine.answers` has the types of the results. Raises the `EngineError` of the child, `TimedOut` after
        `timeout` seconds, `Cancelled` after `should_stop` has returned True, or `Unavailable` if the child could not
        start, was killed or broke the protocol.
        """
        request = {
            "do": "call",
            "name": name,
            "module": module,
            "payload": payload,
            **self._request_limits(cpu_seconds),
        }
        self._wait_for_server()
        with self._start_child(request, redactor_of_payload(payload)) as child:
            wait = _CallWait(timeout, should_stop)
            while not child.is_finished:
                wait.receive(child)
        return wait.result(child)

    @contextmanager
    def hold(
        self,
        name: str,
        payload: JsonObject,
        timeout: float,
        *,
        should_stop: Callable[[], bool] = lambda: False,
    ) -> Iterator[dict[str, JsonValue]]:
        """Call one of the functions in `apps.engine.process.child.HOLDS`, and yield its result.

        The child keeps what the function has opened until the block ends. If the child ends earlier, nobody is told: who
        uses the result finds out. Raises what `call` raises, before the block.
        """
        request = {"do": "hold", "name": name, "payload": payload, **self._request_limits()}
        self._wait_for_server()
        with self._start_child(request, redactor_of_payload(payload)) as child:
            wait = _CallWait(timeout, should_stop)
            while child.result is None and not child.is_finished:
                wait.receive(child)
            yield wait.result(child)

    def close(self) -> None:
        """End the fork server and every child. Later uses of the supervisor raise `Unavailable`."""
        with self._lock:
            self._closed = True
            server, self._current = self._current, None
        if server is not None:
            server.close()

    @property
    def server_pid(self) -> int | None:
        """The process id of the fork server, or None if it is not running."""
        with self._lock:
            is_alive = self._current is not None and not self._current.ended.is_set()
            return self._current.pid if self._current is not None and is_alive else None

    def _running_server(self) -> ForkServerProcess:
        with self._lock:
            if self._closed:
                raise Unavailable("The engine was closed.")
            if self._current is None or self._current.ended.is_set():
                self._current = ForkServerProcess(
                    idle_timeout=self._idle_timeout, preload=self._preload
                )
            return self._current

    def _start_stream(
        self, spec: RunSpec, waiting: ChildController | None, *, may_repeat: bool
    ) -> ChildController:
        """Run the stream in the child that is `waiting`, or in a new one. Code of users always gets a new one."""
        has_code = spec.source.code is not None or spec.transform is not None
        may_repeat = may_repeat and not has_code
        if has_code and waiting is not None:
            waiting.close()
            waiting = None
        fields = {"do": "run", "spec": spec, "may_repeat": may_repeat}
        request = {**fields, **self._request_limits()}
        if waiting is None:
            return self._start_child(request, redactor_of(spec), may_repeat=may_repeat)
        waiting.repeat(_encode_request(request), redactor_of(spec, waiting.redactor))
        return waiting

    def _request_limits(self, cpu_seconds: int | None = None) -> dict[str, Any]:
        return {"limits": asdict(ChildLimits(self._memory, cpu_seconds))}

    def _wait_for_server(self) -> None:
        """Wait until the fork server has started. This wait is not part of the call's timeout.

        Raises `Unavailable`.
        """
        with _converting_start_errors():
            server = self._running_server()
            if server.ready.wait(START_SECONDS) and server.ended.is_set():
                server = self._running_server()  # The previous server ended because it was idle.
            if not server.ready.wait(START_SECONDS):
                raise Unavailable("The engine is still starting; try again in a few seconds.")
            if server.ended.is_set():
                raise server.exit_error()

    def _start_child(
        self, request: Mapping[str, Any], redactor: Redactor, *, may_repeat: bool = False
    ) -> ChildController:
        """Start a child. Starts a new fork server first if the current one has ended."""
        body = _encode_request(request)
        start = partial(ChildController, request=body, redactor=redactor, may_repeat=may_repeat)
        with _converting_start_errors():
            try:
                return start(self._running_server())
            except ForkServerGone:
                return start(self._running_server())


class _CallWait:
    """The wait for the result of a call, which is killed after `timeout` seconds or if `should_stop` returns True."""

    def __init__(self, timeout: float, should_stop: Callable[[], bool]) -> None:
        self._deadline = time.monotonic() + timeout
        self._timeout = timeout
        self._should_stop = should_stop
        self._killed_because: EngineError | None = None

    def receive(self, child: ChildController) -> None:
        """Receive messages for a moment, and kill the child if it is too late."""
        for _ in child.receive(CHECK_INTERVAL):
            pass
        if self._killed_because is None:
            self._killed_because = _reason_to_kill(self._deadline, self._timeout, self._should_stop)
            if self._killed_because is not None:
                child.kill()

    def result(self, child: ChildController) -> dict[str, JsonValue]:
        """Return the result of the child. Raises its EngineError, or why there is none."""
        outcome = child.outcome()
        if isinstance(outcome, Result):
            return dict(outcome.value)
        if isinstance(outcome, Succeeded):
            raise EngineError("The call returned the result of a run.")
        if self._killed_because is not None:
            raise self._killed_because
        if child.was_interrupted:
            raise Unavailable(outcome.message, evidence=outcome.evidence)
        raise _error_of(outcome)


def _encode_request(request: Mapping[str, Any]) -> bytes:
    try:
        return orjson.dumps({"v": VERSION, **request}, option=orjson.OPT_NON_STR_KEYS, default=str)
    except orjson.JSONEncodeError as error:
        raise ConfigurationError(f"The settings cannot be sent to the engine: {error}.") from error


@contextmanager
def _converting_start_errors() -> Iterator[None]:
    """Convert a lack of memory, processes or descriptors to `Unavailable`, because the request did not cause it."""
    try:
        yield
    except (OSError, MemoryError) as error:
        raise Unavailable(
            "The engine could not start a process.", evidence=(str(error),)
        ) from error


def _reason_to_kill(
    deadline: float, timeout: float, should_stop: Callable[[], bool]
) -> EngineError | None:
    """Return why the child of a call has to be killed now, or None."""
    if time.monotonic() > deadline:
        return TimedOut(f"No result within {timeout:g} seconds.")
    return Cancelled("Nobody waits for the result any more.") if should_stop() else None


def _error_of(outcome: Failed) -> EngineError:
    error_class = _ERROR_CLASSES[outcome.failure_class]
    error = error_class(outcome.message, evidence=outcome.evidence, retry_after=outcome.retry_after)
    error.retryable = outcome.retryable
    return error
