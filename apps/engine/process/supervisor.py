"""Run streams and connection calls in child processes of a preloaded fork server."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, replace
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
    Working,
)
from apps.engine.failures import (
    ConfigurationError,
    Crashed,
    EngineError,
    FailureClass,
    TimedOut,
    Unavailable,
)
from apps.engine.process.conversation import Conversation
from apps.engine.process.forks import ForkServerGone, ForkServerProcess
from apps.engine.process.protocol import VERSION, Result
from apps.engine.process.silence import SILENCE, Watch
from apps.engine.reporting.redaction import Redactor, redactor_of, redactor_of_payload
from apps.json import JsonObject, JsonValue

LOOK_EVERY = 0.2  # seconds between calls of `should_stop`
START_SECONDS = 20.0  # how long a call waits for a fork server that is starting

_STOPPED: dict[StopReason, tuple[FailureClass, str, bool]] = {
    "cancelled": (FailureClass.CANCELLED, "The run was cancelled.", False),
    "timeout": (FailureClass.TIMEOUT, "The run took longer than its pipeline allows.", True),
    "limit": (FailureClass.CONFIGURATION, "The run reached a limit of its organization.", False),
    "silent": (
        FailureClass.TIMEOUT,
        f"{failures.RUN_WAS_SILENT} (DROVER_RUN_SILENCE_SECONDS): no page, no write, no"
        " log line. Check whether the source or the destination hangs.",
        True,
    ),
    "lease_lost": (FailureClass.CRASHED, "Another worker took this run over.", True),
    "shutdown": (FailureClass.CRASHED, "The worker is shutting down.", True),
}
_ERRORS: dict[FailureClass, type[EngineError]] = {
    kind.failure_class: kind
    for kind in (
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
    """The public interface of the engine. Thread-safe; runs any number of runs and calls at once.

    Nothing is started before `start()` or the first use. With `idle_timeout` (seconds) the fork server ends
    when it was not used for so long. `preload` names additional modules to import in it. `memory` limits the
    address space of each child, in bytes; `silence` is how long a run may make no progress, in seconds.
    """

    def __init__(
        self,
        idle_timeout: float | None = None,
        *,
        preload: Sequence[str] = (),
        memory: int = CHILD_MEMORY,
        silence: float = SILENCE,
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

        Raises `ForkServerGone` if it ends meanwhile.
        """
        server = self._server()
        server.ready.wait(wait)
        if server.gone.is_set():
            raise server.exit_error()

    def run(
        self,
        spec: RunSpec,
        *,
        on_event: Callable[[Event], None],
        should_stop: Callable[[], StopReason | None],
    ) -> Outcome:
        """Run one attempt to its end and return the result.

        `on_event` gets all other events, in this thread; an exception from it kills the child and is raised
        here. `should_stop` is called every 0.25 s or less; after it returns a reason, the run ends within 10 s
        whatever the child does. A child that reports no progress for too long fails with the class `timeout`.
        """
        request = {"do": "run", "spec": spec.to_json(), **self._limits()}
        reason: StopReason | None = None
        watch = Watch(self._silence)
        with self._conversation(request, redactor_of(spec)) as conversation:
            while not conversation.over:
                for message in conversation.listen(LOOK_EVERY):
                    watch.hear(message)
                    if not isinstance(message, Result | Working):
                        on_event(message)
                if reason is None:
                    reason = should_stop() or ("silent" if watch.is_over else None)
                    if reason is not None:
                        conversation.stop()
            outcome = conversation.outcome()
        if reason == "silent" and watch.doing and isinstance(outcome, Failed):
            outcome = replace(outcome, evidence=(f"it was {watch.doing}", *outcome.evidence))
        if isinstance(outcome, Result):
            return Failed(FailureClass.INTERNAL, "The run returned the result of a call.")
        return _because(reason, outcome)

    def call(
        self,
        name: str,
        payload: JsonObject,
        timeout: float,
        *,
        cpu_seconds: int | None = None,
    ) -> dict[str, JsonValue]:
        """Call a function of `apps.engine.process.child` in a child and return its result (`apps.engine.answers`).

        Raises the child's `EngineError`, `TimedOut` after `timeout` seconds, or `Unavailable` when no child
        could be started.
        """
        request = {"do": "call", "name": name, "payload": payload, **self._limits(cpu_seconds)}
        self._wait_for_server()
        deadline = time.monotonic() + timeout
        late = False
        with self._conversation(request, redactor_of_payload(payload)) as conversation:
            while not conversation.over:
                for _ in conversation.listen(LOOK_EVERY):
                    pass
                if not late and time.monotonic() > deadline:
                    late = True
                    conversation.kill()
            outcome = conversation.outcome()
        if isinstance(outcome, Result):
            return dict(outcome.value)
        if isinstance(outcome, Succeeded):
            raise EngineError("The call returned the result of a run.")
        if late:
            raise TimedOut(f"No result within {timeout:g} seconds.")
        if conversation.was_interrupted:
            raise Unavailable(outcome.message, evidence=outcome.evidence)
        raise _raised(outcome)

    def close(self) -> None:
        """End the fork server and every child. The supervisor cannot be used again."""
        with self._lock:
            self._closed = True
            server, self._current = self._current, None
        if server is not None:
            server.close()

    @property
    def server_pid(self) -> int | None:
        """The fork server's process id while it is alive."""
        with self._lock:
            alive = self._current is not None and not self._current.gone.is_set()
            return self._current.pid if self._current is not None and alive else None

    def _server(self) -> ForkServerProcess:
        with self._lock:
            if self._closed:
                raise Unavailable("The engine was closed.")
            if self._current is None or self._current.gone.is_set():
                self._current = ForkServerProcess(
                    idle_timeout=self._idle_timeout, preload=self._preload
                )
            return self._current

    def _limits(self, cpu_seconds: int | None = None) -> dict[str, Any]:
        return {"limits": asdict(ChildLimits(self._memory, cpu_seconds))}

    def _wait_for_server(self) -> None:
        """Wait for the fork server to start; this does not count against the call's timeout.

        Raises `Unavailable`.
        """
        with _starting():
            server = self._server()
            if server.ready.wait(START_SECONDS) and server.gone.is_set():
                server = self._server()  # The previous one ended because it was idle.
            if not server.ready.wait(START_SECONDS):
                raise Unavailable("The engine is still starting; try again in a few seconds.")
            if server.gone.is_set():
                raise server.exit_error()

    def _conversation(self, request: Mapping[str, Any], redactor: Redactor) -> Conversation:
        """A conversation with a child of the running fork server, or of a new one if that has just died."""
        body = _written({"v": VERSION, **request})
        with _starting():
            try:
                return Conversation(self._server(), body, redactor)
            except ForkServerGone:
                return Conversation(self._server(), body, redactor)


def _written(request: Mapping[str, Any]) -> bytes:
    try:
        return orjson.dumps(request, option=orjson.OPT_NON_STR_KEYS, default=str)
    except orjson.JSONEncodeError as error:
        raise ConfigurationError(f"The settings cannot be sent to the engine: {error}.") from error


@contextmanager
def _starting() -> Iterator[None]:
    """Convert a lack of memory, processes or descriptors to `Unavailable`: the request is not to blame."""
    try:
        yield
    except (OSError, MemoryError) as error:
        raise Unavailable(
            "The engine could not start a process.", evidence=(str(error),)
        ) from error


def _because(reason: StopReason | None, outcome: Outcome) -> Outcome:
    """Return the reason of the stop as the result of a stopped run, unless the run had finished before."""
    if reason is None or not isinstance(outcome, Failed):
        return outcome
    failure_class, message, retryable = _STOPPED[reason]
    return replace(
        outcome,
        failure_class=failure_class,
        message=message,
        retryable=retryable,
        retry_after=None,
    )


def _raised(outcome: Failed) -> EngineError:
    kind = _ERRORS[outcome.failure_class]
    error = kind(outcome.message, evidence=outcome.evidence, retry_after=outcome.retry_after)
    error.retryable = outcome.retryable
    return error
