"""Run the streams of an attempt, each in its own child process, several side by side."""

from __future__ import annotations

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import partial

from apps.engine import EngineError, EngineSupervisor, Failed, Outcome, RunSpec
from apps.engine.contract import Progress, Succeeded
from apps.engine.process.supervisor import stop_failure
from apps.runs.attempts.recorder import Recorder
from apps.runs.positions import services as positions
from apps.runs.usage import counting as usage

STREAMS_AT_ONCE = 4  # children of one run


def run_streams(engine: EngineSupervisor, specs: Mapping[str, RunSpec], recorder: Recorder) -> None:
    """Run the streams to their ends. The recorder gets their events and outcomes.

    When the attempt has to stop, no further stream is started: it has failed for the same reason.
    """
    run = partial(_run_stream, engine, recorder)
    if len(specs) == 1:
        run(*next(iter(specs.items())))
        return
    with ThreadPoolExecutor(STREAMS_AT_ONCE, thread_name_prefix="stream") as pool:
        # Reading the results raises what a thread has raised.
        list(pool.map(run, specs.keys(), specs.values()))


def _run_stream(engine: EngineSupervisor, recorder: Recorder, name: str, spec: RunSpec) -> None:
    recorder.begin_stream(name)
    outcome = _run_child(engine, recorder, name, spec)
    recorder.end_stream(name, outcome, _committed_progress(spec, outcome))


def _run_child(engine: EngineSupervisor, recorder: Recorder, name: str, spec: RunSpec) -> Outcome:
    """Run the child to its end. If a limit of the org stopped it, the failure names that limit."""
    outcome: Outcome
    try:
        if (reason := recorder.stop_reason()) is not None:
            outcome = stop_failure(reason)
        else:
            outcome = engine.run(
                spec,
                on_event=partial(recorder.add_stream_event, name),
                should_stop=recorder.stop_reason,
            )
    except EngineError as error:  # The engine could not start a child.
        outcome = Failed(error.failure_class, error.message, error.evidence, error.retryable)
    if recorder.limit_reached is not None and not isinstance(outcome, Succeeded):
        return usage.limit_failure(recorder.limit_reached)
    return outcome


def _committed_progress(spec: RunSpec, outcome: Outcome) -> Progress | None:
    """Return what a failed stream has committed, because its child may have reported rows that were not committed."""
    if isinstance(outcome, Succeeded):
        return None
    return positions.read_unfinished_progress(spec.stream_key, spec.run_id)
