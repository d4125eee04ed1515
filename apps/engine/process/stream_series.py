"""Run the streams of a run one after the other, in one child as far as possible."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from apps.engine import failures
from apps.engine.contract import Event, Failed, Outcome, RunSpec, StopReason, Working
from apps.engine.failures import FailureClass
from apps.engine.process.controller import ChildController
from apps.engine.process.protocol import Ready, Result
from apps.engine.process.silence import SilenceWatch

CHECK_INTERVAL = 0.2  # seconds between calls of `should_stop`

_STOP_FAILURES: dict[StopReason, tuple[FailureClass, str, bool]] = {
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

StartStream = Callable[[RunSpec, ChildController | None], ChildController]


class StreamSeries:
    """Runs streams one after the other. A child that has run one to its end runs the next one. Not thread-safe.

    A stream that fails, runs code of users or needs much memory ends its child. `start` runs a stream in the child that
    waits for one, or in a new child. `silence` is the longest time without progress, in seconds.
    """

    def __init__(self, start: StartStream, silence: float) -> None:
        self._start = start
        self._silence = silence
        self._child: ChildController | None = None

    def run(
        self,
        spec: RunSpec,
        *,
        on_event: Callable[[Event], None],
        should_stop: Callable[[], StopReason | None],
    ) -> Outcome:
        """Run one stream, see `EngineSupervisor.run`."""
        if self._child is not None and not self._child.can_repeat:
            self.close()  # It ended while it waited.
        child = self._child = self._start(spec, self._child)
        try:
            return self._follow(child, on_event, should_stop)
        finally:
            if not child.can_repeat:
                self.close()

    def close(self) -> None:
        """End the child, if there is one."""
        child, self._child = self._child, None
        if child is not None:
            child.close()

    def _follow(
        self,
        child: ChildController,
        on_event: Callable[[Event], None],
        should_stop: Callable[[], StopReason | None],
    ) -> Outcome:
        """Follow a child until its stream has ended."""
        reason: StopReason | None = None
        watch = SilenceWatch(self._silence)
        while not child.is_finished:
            for message in child.receive(CHECK_INTERVAL):
                watch.record(message)
                if not isinstance(message, Result | Working | Ready):
                    on_event(message)
            if reason is None:
                reason = should_stop() or ("silent" if watch.is_expired else None)
                if reason is not None:
                    child.stop()
        outcome = child.outcome()
        if reason == "silent" and watch.operation and isinstance(outcome, Failed):
            outcome = replace(outcome, evidence=(f"it was {watch.operation}", *outcome.evidence))
        if isinstance(outcome, Result):
            return Failed(FailureClass.INTERNAL, "The run returned the result of a call.")
        return _apply_stop_reason(reason, outcome)


def stop_failure(reason: StopReason) -> Failed:
    """Return the failure of a run that has to stop for this reason."""
    failure_class, message, retryable = _STOP_FAILURES[reason]
    return Failed(failure_class, message, retryable=retryable)


def _apply_stop_reason(reason: StopReason | None, outcome: Outcome) -> Outcome:
    """Return a failure with the reason for the stop, unless the run has succeeded or was not stopped."""
    if reason is None or not isinstance(outcome, Failed):
        return outcome
    return replace(stop_failure(reason), evidence=outcome.evidence)
