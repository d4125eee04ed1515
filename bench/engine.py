"""Compare the engine with plain `bizon` and raw writers, in pairs of runs, one after the other.

The runs of the engine use all its parts: supervisor, fork server, child, checkpoints and publishing.
"""

from __future__ import annotations

import tempfile
import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

import psycopg

from apps.engine.contract import (
    DestinationSpec,
    Event,
    LogLine,
    Outcome,
    RunSpec,
    SourceSpec,
    StorageRoot,
    Succeeded,
)
from apps.engine.process.supervisor import EngineSupervisor
from bench.engine_rivals import run_plain_bizon_to_file, run_plain_bizon_to_log, run_raw_writer
from bench.figures import Execution, Figure, figure_of_ratio
from bench.scratch import Installation
from config.env import database_settings

MILLION = 1_000_000
PAGE_SIZE = 10_000  # rows per frame
RECORD_PAGE_SIZE = 1_000  # records per page, as is common in APIs
Result = TypeVar("Result")


def measure(installation: Installation, rounds: int) -> Iterator[Figure]:
    """Yield the figures of the engine. Most rounds move a million rows."""
    with psycopg.connect(installation.database_url, autocommit=True) as admin:
        admin.execute("CREATE SCHEMA bench")
    parts = database_settings(installation.database_url)
    settings = {
        "host": parts["HOST"],
        "port": int(parts["PORT"]),
        "database": parts["NAME"],
        "user": parts["USER"],
        "password": parts["PASSWORD"],
        "schema": "bench",
    }
    with warm_engine(installation.engine_url()) as engine:
        yield measure_start_up(engine, rounds=rounds)
        yield measure_frames_to_postgres(engine, settings, installation.database_url, rounds=rounds)
        yield measure_frames_to_parquet(engine, rounds=rounds)
        yield from measure_records_to_jsonl(engine, rounds=rounds)


class WarmEngine:
    """An engine that has started. It runs each measurement in a new folder."""

    def __init__(self, supervisor: EngineSupervisor, state_dsn: str, folder: Path) -> None:
        self._supervisor = supervisor
        self._state_dsn = state_dsn
        self._folder = folder

    def run(self, source: SourceSpec, target: DestinationSpec) -> Execution:
        """Run a stream to its end and measure it. Raises RuntimeError if the run fails or a row was not written."""
        expected = source.config.get("rows")
        outcome, execution = self.attempt(self.build_run_spec(source, target))
        if not isinstance(outcome, Succeeded):
            raise RuntimeError("\n".join([outcome.message, *outcome.evidence]))
        if expected is not None and outcome.written != expected:
            raise RuntimeError(f"the measured run wrote {outcome.written} of {expected} rows")
        return execution

    def attempt(
        self, spec: RunSpec, on_event: Callable[[Event], None] = lambda event: None
    ) -> tuple[Outcome, Execution]:
        """Make one attempt, and measure it. A child that was killed has no peak memory."""
        peaks = [0]

        def collect_peak(event: Event) -> None:
            if isinstance(event, LogLine) and "peak_memory_bytes" in event.fields:
                peaks.append(int(event.fields["peak_memory_bytes"]))
            on_event(event)

        started = time.perf_counter()
        outcome = self._supervisor.run(spec, on_event=collect_peak, should_stop=lambda: None)
        return outcome, Execution(time.perf_counter() - started, max(peaks))

    def create_folder(self) -> Path:
        return Path(tempfile.mkdtemp(dir=self._folder))

    def build_run_spec(self, source: SourceSpec, target: DestinationSpec) -> RunSpec:
        root = StorageRoot(self.create_folder().as_uri(), "bench")
        return RunSpec(
            run_id=str(uuid.uuid4()),
            org_id="bench",
            pipeline_id=str(uuid.uuid4()),
            attempt=1,
            lease=uuid.uuid4().hex,
            source=source,
            destination=target,
            state_dsn=self._state_dsn,
            data=root,
            files=root,
            allow_private_networks=True,
            log_level="debug",
        )


@contextmanager
def warm_engine(state_dsn: str) -> Iterator[WarmEngine]:
    """Start an engine. `state_dsn` is the database URL of the engine's role. Its schema must be installed."""
    supervisor = EngineSupervisor(preload=("bench.flights",))
    with tempfile.TemporaryDirectory(prefix="drover-bench-") as folder:
        try:
            supervisor.start(wait=60)
            yield WarmEngine(supervisor, state_dsn, Path(folder))
        finally:
            supervisor.close()


def measure_start_up(engine: WarmEngine, *, rounds: int) -> Figure:
    """Measure the seconds of a run of five records to the log."""
    source = SourceSpec("dummy", {}, "creatures")

    def run_ours() -> float:
        return engine.run(source, DestinationSpec("logger", {}, "tales")).seconds

    def run_rival() -> float:
        return run_plain_bizon_to_log(engine.create_folder()).seconds

    comparison = "`bizon run` of the same config as a fresh process"
    pairs = _run_pairs(run_ours, run_rival, rounds)
    return figure_of_ratio("engine start-up", comparison, *pairs, at_most=0.15, unit="s")


def measure_frames_to_parquet(engine: WarmEngine, *, rounds: int, rows: int = MILLION) -> Figure:
    """Measure the rows per second to the `parquet` destination."""

    def run_ours() -> float:
        return (
            rows
            / engine.run(_flights_source(rows), DestinationSpec("parquet", {}, "numbers")).seconds
        )

    def run_rival() -> float:
        folder = str(engine.create_folder())
        return rows / run_raw_writer("parquet", rows=rows, page_size=PAGE_SIZE, target=folder)

    comparison = "polars write_parquet, same reader on a thread"
    pairs = _run_pairs(run_ours, run_rival, rounds)
    return figure_of_ratio("frames to Parquet", comparison, *pairs, at_least=0.85, unit="rows/s")


def measure_frames_to_postgres(
    engine: WarmEngine,
    settings: Mapping[str, Any],
    dsn: str,
    *,
    rounds: int,
    rows: int = MILLION,
) -> Figure:
    """Measure the rows per second to the `postgres` destination. `settings` and `dsn` name the same database."""

    def run_ours() -> float:
        target = DestinationSpec("postgres", settings, "drover_bench")
        return rows / engine.run(_flights_source(rows), target).seconds

    def run_rival() -> float:
        return rows / run_raw_writer("postgres", rows=rows, page_size=PAGE_SIZE, target=dsn)

    comparison = "raw COPY, same reader on a thread"
    pairs = _run_pairs(run_ours, run_rival, rounds)
    return figure_of_ratio("frames to PostgreSQL", comparison, *pairs, at_least=0.85, unit="rows/s")


def measure_records_to_jsonl(
    engine: WarmEngine, *, rounds: int, rows: int = MILLION
) -> tuple[Figure, Figure]:
    """Measure the rows per second to the `jsonl` destination, and the peak memory in bytes."""
    config = {"rows": rows, "page_size": RECORD_PAGE_SIZE, "format": "rows"}
    source = SourceSpec("dummy", config, "generated")

    def run_ours() -> Execution:
        return engine.run(source, DestinationSpec("jsonl", {}, "numbers"))

    def run_rival() -> Execution:
        return run_plain_bizon_to_file(
            engine.create_folder(), rows=rows, page_size=RECORD_PAGE_SIZE
        )

    our_executions, their_executions = _run_pairs(run_ours, run_rival, rounds)
    speed_figure = figure_of_ratio(
        "records to JSONL",
        "plain bizon with its file destination",
        [rows / execution.seconds for execution in our_executions],
        [rows / execution.seconds for execution in their_executions],
        at_least=1.8,
        unit="rows/s",
    )
    peak_figure = figure_of_ratio(
        "peak memory",
        "plain bizon, same input",
        [execution.peak_memory for execution in our_executions],
        [execution.peak_memory for execution in their_executions],
        at_most=0.7,
        unit="bytes",
    )
    return speed_figure, peak_figure


def _flights_source(rows: int) -> SourceSpec:
    """Return a source of the kind `bench_flights`.

    Only the fork server imports `bench.flights`. An import here would add the kind to the catalogue of this process.
    """
    return SourceSpec("bench_flights", {"rows": rows, "page_size": PAGE_SIZE}, "generated")


def _run_pairs(
    run_ours: Callable[[], Result], run_rival: Callable[[], Result], rounds: int
) -> tuple[list[Result], list[Result]]:
    pairs = [(run_ours(), run_rival()) for _ in range(rounds)]
    return [our_result for our_result, _ in pairs], [their_result for _, their_result in pairs]
