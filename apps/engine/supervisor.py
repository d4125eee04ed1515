"""Run streams and connection calls in child processes of a pre-loaded fork server."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import orjson

from apps.engine import failures
from apps.engine.contract import Event, Failed, Outcome, RunSpec, StopReason
from apps.engine.conversation import Conversation
from apps.engine.failures import Crashed, EngineError, FailureClass, TimedOut
from apps.engine.forks import ForkServerGone, ForkServerProcess
from apps.engine.protocol import VERSION, Result
from apps.engine.redaction import Redactor, redactor_of, redactor_of_payload

LOOK_EVERY = 0.2  # seconds between questions whether to stop

_STOPPED: dict[StopReason, tuple[FailureClass, str, bool]] = {
    "cancelled": (FailureClass.CANCELLED, "The run was cancelled.", False),
    "timeout": (FailureClass.TIMEOUT, "The run took longer than its pipeline allows.", True),
    "lease_lost": (FailureClass.CRASHED, "Another worker took this run over.", True),
    "shutdown": (FailureClass.CRASHED, "The worker is shutting down.", True),
}
_ERRORS: dict[FailureClass, type[EngineError]] = {
    kind.failure_class: kind
    for kind in (
        EngineError,
        failures.ConfigurationError,
        failures.AuthenticationError,
        failures.RateLimitError,
        failures.SourceError,
        failures.DestinationError,
        failures.ContractError,
        failures.Cancelled,
        failures.TimedOut,
        failures.Crashed,
    )
}


class EngineSupervisor:
    """The engine as its users see it. Thread-safe; many runs and calls at once.

    Nothing is started before `start()` or the first use. With `idle_timeout` (seconds) the fork
    server ends when it was not used for so long. `preload` names modules to import in it besides
    the engine's own.
    """

    def __init__(self, idle_timeout: float | None = None, *, preload: Sequence[str] = ()) -> None:
        self._idle_timeout = idle_timeout
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
        the run ends within 10 s whatever the child does.
        """
        request = {"v": VERSION, "do": "run", "spec": spec.to_json()}
        reason: StopReason | None = None
        with self._conversation(request, redactor_of(spec)) as conversation:
            while not conversation.over:
                for message in conversation.listen(LOOK_EVERY):
                    if not isinstance(message, Result):
                        on_event(message)
                if reason is None:
                    reason = should_stop()
                    if reason is not None:
                        conversation.stop()
            outcome = conversation.outcome()
        if isinstance(outcome, Result):
            return Failed(FailureClass.INTERNAL, "The run answered like a call.")
        return _because(reason, outcome)

    def call(self, name: str, payload: Mapping[str, Any], timeout: float) -> dict[str, Any]:
        """Run `apps.engine.connect.<name>(payload)` in a child and return its answer.

        Raises the `EngineError` it ended with, `TimedOut` after `timeout` seconds.
        """
        request = {"v": VERSION, "do": "call", "name": name, "payload": payload}
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
        if late:
            raise TimedOut(f"No answer within {timeout:g} seconds.")
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
                raise Crashed("The engine was closed.")
            if self._current is None or self._current.gone.is_set():
                self._current = ForkServerProcess(
                    idle_timeout=self._idle_timeout, preload=self._preload
                )
            return self._current

    def _conversation(self, request: Mapping[str, Any], redactor: Redactor) -> Conversation:
        """With a child of the living fork server, or of a new one if that just died."""
        body = orjson.dumps(request, option=orjson.OPT_NON_STR_KEYS, default=str)
        try:
            return Conversation(self._server(), body, redactor)
        except ForkServerGone:
            return Conversation(self._server(), body, redactor)


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


def _raised(outcome: Outcome) -> EngineError:
    if not isinstance(outcome, Failed):
        return EngineError("The call answered like a run.")
    kind = _ERRORS[outcome.failure_class]
    return kind(outcome.message, evidence=outcome.evidence, retry_after=outcome.retry_after)
