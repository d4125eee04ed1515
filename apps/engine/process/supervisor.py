"""Run streams and connection calls in child processes of a pre-loaded fork server."""

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

LOOK_EVERY = 0.2  # seconds between questions whether to stop
START_SECONDS = 20.0  # a question waits for a fork server that is starting

_STOPPED: dict[StopReason, tuple[FailureClass, str, bool]] = {
    "cancelled": (FailureClass.CANCELLED, "The run was cancelled.", False),
    "timeout": (FailureClass.TIMEOUT, "The run took longer than its pipeline allows.", True),
    "limit": (FailureClass.CONFIGURATION, "The run reached a limit of its organization.", False),
    "silent": (
        FailureClass.TIMEOUT,
        f"{failures.RUN_WAS_SILENT} (DROVER_RUN_SILENCE_SECONDS): no page, no write, no"
        " line of the log. It is ended and tried again; see whether the source or the destination hangs.",
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
    """The engine as its users see it. Thread-safe; many runs and calls at once.

    Nothing is started before `start()` or the first use. With `idle_timeout` (seconds) the fork
    server ends when it was not used for so long. `preload` names modules to import in it besides
    the engine's own. `memory` limits the address space of each child, in bytes; `silence` is how long
    a run may show no sign of work, in seconds.
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
        """Start the fork server, waiting at most `wait` seconds until it is warm.

        Raises `ForkServerGone` when it ends meanwhile.
        """
        server = self._server()
        server.ready.wait(wait)
        if server.gone.is_set():
            raise server.why_gone()

    def run(
        self,
        spec: RunSpec,
        *,
        on_event: Callable[[Event], None],
        should_stop: Callable[[], StopReason | None],
    ) -> Outcome:
        """Run one attempt to its end.

        `on_event` gets everything but the outcome, in this thread; what it raises kills the child
        and is raised here. `should_stop` is asked every 0.25 s or less; after it gives a reason
        the run ends within 10 s whatever the child does. A child that is silent for too long ends
        with the class `timeout`.
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
            return Failed(FailureClass.INTERNAL, "The run answered like a call.")
        return _because(reason, outcome)

    def call(
        self,
        name: str,
        payload: JsonObject,
        timeout: float,
        *,
        cpu_seconds: int | None = None,
    ) -> dict[str, JsonValue]:
        """Run one of the calls of `apps.engine.process.child` in a child and return its answer (`apps.engine.answers`).

        Raises the `EngineError` it ended with, `TimedOut` after `timeout` seconds, `Unavailable` when
        no child could be started.
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
            raise EngineError("The call answered like a run.")
        if late:
            raise TimedOut(f"No answer within {timeout:g} seconds.")
        if conversation.cut_off:
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
        """The fork server's process id while it lives."""
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
        """The time a fork server takes to start is not the question's. Raises `Unavailable`."""
        with _starting():
            server = self._server()
            if server.ready.wait(START_SECONDS) and server.gone.is_set():
                server = self._server()  # the one before was idle for too long, and ended
            if not server.ready.wait(START_SECONDS):
                raise Unavailable("The engine is still starting; ask again in a few seconds.")
            if server.gone.is_set():
                raise server.why_gone()

    def _conversation(self, request: Mapping[str, Any], redactor: Redactor) -> Conversation:
        """With a child of the living fork server, or of a new one if that just died."""
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
        raise ConfigurationError(
            f"The settings cannot be handed to the engine: {error}."
        ) from error


@contextmanager
def _starting() -> Iterator[None]:
    """What the machine refuses, memory or processes or descriptors, is not the fault of what was asked."""
    try:
        yield
    except (OSError, MemoryError) as error:
        raise Unavailable(
            "The engine could not start a process.", evidence=(str(error),)
        ) from error


def _because(reason: StopReason | None, outcome: Outcome) -> Outcome:
    """A run that was told to stop ended for that reason, unless it had finished before it heard."""
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
