"""Run the streams of an attempt in child processes, several side by side."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import partial

from apps.engine import EngineError, EngineSupervisor, Failed, Outcome, RunSpec
from apps.engine.contract import Progress, StopReason, Succeeded
from apps.engine.process.stream_series import StreamSeries, stop_failure
from apps.runs.attempts.recorder import Recorder
from apps.runs.positions import services as positions
from apps.runs.usage import counting as usage

STREAMS_AT_ONCE = 4  # children of one run
# For these reasons streams that have not begun stay as they are: the end of the run or another attempt decides.
LEAVES_WAITING: frozenset[StopReason] = frozenset({"cancelled", "shutdown", "lease_lost"})


def run_streams(engine: EngineSupervisor, specs: Mapping[str, RunSpec], recorder: Recorder) -> None:
    """Run the streams to their ends. The recorder gets their events and outcomes.

    When the attempt has to stop, no further stream is started: it has failed for the same reason, unless that is one of
    `LEAVES_WAITING`. If the pipeline stops when a stream fails, the streams that have not begun stay as they are.
    """
    waiting = deque(specs.items())  # Taking from a deque is thread-safe.
    if len(specs) <= 1:
        _run_waiting(engine, recorder, waiting)
        return
    threads = min(STREAMS_AT_ONCE, len(specs))
    with ThreadPoolExecutor(threads, thread_name_prefix="stream") as pool:
        futures = [pool.submit(_run_waiting, engine, recorder, waiting) for _ in range(threads)]
    for future in futures:
        future.result()  # Raises what the thread has raised.


def _run_waiting(
    engine: EngineSupervisor, recorder: Recorder, waiting: deque[tuple[str, RunSpec]]
) -> None:
    """Run the streams that wait, one after the other."""
    with engine.streams() as series:
        while waiting and not recorder.streams.has_stopped:
            reason = recorder.stop_reason()
            if reason in LEAVES_WAITING:
                return
            try:
                name, spec = waiting.popleft()
            except IndexError:  # Another thread has taken the last one.
                return
            recorder.begin_stream(name)
            if reason is not None:
                recorder.end_stream(name, _of_limit(recorder, stop_failure(reason)))
                continue
            outcome = _run_child(series, recorder, name, spec)
            recorder.end_stream(name, outcome, _committed_progress(spec, outcome))


def _run_child(series: StreamSeries, recorder: Recorder, name: str, spec: RunSpec) -> Outcome:
    """Run the stream to its end."""
    outcome: Outcome
    try:
        outcome = series.run(
            spec,
            on_event=partial(recorder.add_stream_event, name),
            should_stop=recorder.stop_reason,
        )
    except EngineError as error:  # The engine could not start a child.
        outcome = Failed(error.failure_class, error.message, error.evidence, error.retryable)
    return _of_limit(recorder, outcome)


def _of_limit(recorder: Recorder, outcome: Outcome) -> Outcome:
    """Return the outcome. If a limit of the org stopped the stream, the failure names that limit."""
    if recorder.limit_reached is not None and not isinstance(outcome, Succeeded):
        return usage.limit_failure(recorder.limit_reached)
    return outcome


def _committed_progress(spec: RunSpec, outcome: Outcome) -> Progress | None:
    """Return what a failed stream has committed, because its child may have reported rows that were not committed."""
    if isinstance(outcome, Succeeded):
        return None
    return positions.read_unfinished_progress(spec.stream_key, spec.run_id)
