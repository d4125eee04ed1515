"""The engine compared with plain `bizon` and raw writers, in pairs, one after the other.

Ours always uses all parts: supervisor, fork server, child, checkpoints, publication.
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
    RunSpec,
    SourceSpec,
    StorageRoot,
    Succeeded,
)
from apps.engine.process.supervisor import EngineSupervisor
from apps.engine.sync.state import install
from bench.engine_rivals import raw_seconds, stock_numbers, stock_tales
from bench.figures import Figure, Taken, ratio
from bench.scratch import Scratch
from config.env import database_parts

MILLION = 1_000_000
PAGE = 10_000  # rows per frame
RECORD_PAGE = 1_000  # records per page, as is common in APIs
T = TypeVar("T")


def measure(place: Scratch, rounds: int) -> Iterator[Figure]:
    """Yield paired rounds of a million rows each."""
    install(place.owner_url(), role="app_engine")
    with psycopg.connect(place.database_url, autocommit=True) as admin:
        admin.execute("CREATE SCHEMA bench")
    parts = database_parts(place.database_url)
    settings = {
        "host": parts["HOST"],
        "port": int(parts["PORT"]),
        "database": parts["NAME"],
        "user": parts["USER"],
        "password": parts["PASSWORD"],
        "schema": "bench",
    }
    with warm_engine(place.engine_url()) as engine:
        yield start_up(engine, rounds=rounds)
        yield frames_to_postgres(engine, settings, place.database_url, rounds=rounds)
        yield frames_to_parquet(engine, rounds=rounds)
        yield from records_to_jsonl(engine, rounds=rounds)


class WarmEngine:
    """A started engine that runs each measurement in a new folder."""

    def __init__(self, supervisor: EngineSupervisor, state_dsn: str, folder: Path) -> None:
        self._supervisor = supervisor
        self._state_dsn = state_dsn
        self._folder = folder

    def run(self, source: SourceSpec, target: DestinationSpec) -> Taken:
        """Run once to the end. Raises RuntimeError unless every row was written."""
        spec = self._spec(source, target)
        peaks: list[int] = []

        def hear(event: Event) -> None:
            if isinstance(event, LogLine) and "peak_memory_bytes" in event.fields:
                peaks.append(int(event.fields["peak_memory_bytes"]))

        began = time.perf_counter()
        outcome = self._supervisor.run(spec, on_event=hear, should_stop=lambda: None)
        seconds = time.perf_counter() - began
        if not isinstance(outcome, Succeeded):
            raise RuntimeError("\n".join([outcome.message, *outcome.evidence]))
        expected = source.config.get("rows", outcome.written)
        if outcome.written != expected:
            raise RuntimeError(f"the measured run wrote {outcome.written} of {expected} rows")
        return Taken(seconds, max(peaks))

    def fresh_folder(self) -> Path:
        return Path(tempfile.mkdtemp(dir=self._folder))

    def _spec(self, source: SourceSpec, target: DestinationSpec) -> RunSpec:
        root = StorageRoot(self.fresh_folder().as_uri(), "bench")
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
    """Start an engine; `state_dsn` is that of the engine's role, whose schema is installed."""
    supervisor = EngineSupervisor(preload=("bench.flights",))
    with tempfile.TemporaryDirectory(prefix="drover-bench-") as folder:
        try:
            supervisor.start(wait=60)
            yield WarmEngine(supervisor, state_dsn, Path(folder))
        finally:
            supervisor.close()


def start_up(engine: WarmEngine, *, rounds: int) -> Figure:
    """Measure the seconds of a run of five records to the log, from the call to its end."""
    source = SourceSpec("dummy", {}, "creatures")

    def ours() -> float:
        return engine.run(source, DestinationSpec("logger", {}, "tales")).seconds

    def rival() -> float:
        return stock_tales(engine.fresh_folder()).seconds

    against = "`bizon run` of the same config as a fresh process"
    pairs = _pairs(ours, rival, rounds)
    return ratio("engine start-up", against, *pairs, at_most=0.15, unit="s")


def frames_to_parquet(engine: WarmEngine, *, rounds: int, rows: int = MILLION) -> Figure:
    """Measure rows per second."""

    def ours() -> float:
        return rows / engine.run(_frames(rows), DestinationSpec("parquet", {}, "numbers")).seconds

    def rival() -> float:
        folder = str(engine.fresh_folder())
        return rows / raw_seconds("parquet", rows=rows, page=PAGE, target=folder)

    against = "polars write_parquet, same reader on a thread"
    pairs = _pairs(ours, rival, rounds)
    return ratio("frames to Parquet", against, *pairs, at_least=0.85, unit="rows/s")


def frames_to_postgres(
    engine: WarmEngine,
    settings: Mapping[str, Any],
    dsn: str,
    *,
    rounds: int,
    rows: int = MILLION,
) -> Figure:
    """Measure rows per second. `settings` of the `postgres` destination and `dsn` refer to the same database."""

    def ours() -> float:
        target = DestinationSpec("postgres", settings, "drover_bench")
        return rows / engine.run(_frames(rows), target).seconds

    def rival() -> float:
        return rows / raw_seconds("postgres", rows=rows, page=PAGE, target=dsn)

    against = "raw COPY, same reader on a thread"
    pairs = _pairs(ours, rival, rounds)
    return ratio("frames to PostgreSQL", against, *pairs, at_least=0.85, unit="rows/s")


def records_to_jsonl(
    engine: WarmEngine, *, rounds: int, rows: int = MILLION
) -> tuple[Figure, Figure]:
    """Measure rows per second, and the peak memory in bytes."""
    config = {"rows": rows, "page_size": RECORD_PAGE, "format": "rows"}
    source = SourceSpec("dummy", config, "generated")

    def ours() -> Taken:
        return engine.run(source, DestinationSpec("jsonl", {}, "numbers"))

    def rival() -> Taken:
        return stock_numbers(engine.fresh_folder(), rows=rows, page=RECORD_PAGE)

    mine, theirs = _pairs(ours, rival, rounds)
    speed = ratio(
        "records to JSONL",
        "stock bizon with its file destination",
        [rows / taken.seconds for taken in mine],
        [rows / taken.seconds for taken in theirs],
        at_least=1.8,
        unit="rows/s",
    )
    peak = ratio(
        "peak memory",
        "stock bizon, same input",
        [taken.peak for taken in mine],
        [taken.peak for taken in theirs],
        at_most=0.7,
        unit="bytes",
    )
    return speed, peak


def _frames(rows: int) -> SourceSpec:
    """A kind that only the preloaded fork server knows: importing it here would add it to our catalogue."""
    return SourceSpec("bench_flights", {"rows": rows, "page_size": PAGE}, "generated")


def _pairs(ours: Callable[[], T], rival: Callable[[], T], rounds: int) -> tuple[list[T], list[T]]:
    pairs = [(ours(), rival()) for _ in range(rounds)]
    return [mine for mine, _ in pairs], [other for _, other in pairs]
