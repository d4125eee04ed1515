"""The figures of copying lineitem: rows per second, memory, and going on after a kill."""

from __future__ import annotations

import os
import signal
import uuid
from collections.abc import Callable, Iterator
from dataclasses import replace

from apps.engine.contract import DestinationSpec, Event, Progress, SourceSpec, Started, Succeeded
from bench.data.lineitem import Databases, create_databases
from bench.data.rivals import run_pg_dump, run_rival
from bench.engine import WarmEngine, warm_engine
from bench.figures import Execution, Figure, figure_of_ratio, figure_with_upper_bound
from bench.scratch import Installation

ROWS = 2_000_000
KILLED_AT = 0.9  # of the rows


def measure(installation: Installation, rounds: int, rows: int = ROWS) -> Iterator[Figure]:
    databases = create_databases(installation.database_url, rows)
    with warm_engine(installation.engine_url()) as engine:
        copying = Copying(engine, databases)
        yield from copying.measure_postgres(rounds)
        yield from copying.measure_parquet(rounds)
        yield copying.measure_resuming(rounds)


class Copying:
    """Copies the table with the engine and with other tools, in turn."""

    def __init__(self, engine: WarmEngine, databases: Databases) -> None:
        self._engine = engine
        self._databases = databases
        self._source = SourceSpec("postgres", databases.settings(databases.source), "lineitem")

    def measure_postgres(self, rounds: int) -> Iterator[Figure]:
        """Compare with tools that copy to PostgreSQL. The engine passes the rows on as they are."""
        rivals = {"`pg_dump --data-only | psql`": self._pg_dump, "dlt": self._dlt_to_postgres}
        name = "PostgreSQL to PostgreSQL"
        yield from self._compare(name, self._to_postgres, rivals, (1.0, 3.5), 150, rounds)

    def measure_parquet(self, rounds: int) -> Iterator[Figure]:
        rivals = {"ADBC and pyarrow": self._adbc, "dlt": self._dlt_to_parquet}
        name = "PostgreSQL to Parquet"
        yield from self._compare(name, self._to_parquet, rivals, (0.9, 1.6), 300, rounds)

    def measure_resuming(self, rounds: int) -> Figure:
        """Measure the attempt after a kill, relative to a run that is not killed."""
        pairs = [(self._resume(), self._to_postgres().seconds) for _ in range(rounds)]
        return figure_of_ratio(
            f"the attempt after a kill at {KILLED_AT:.0%}",
            "the whole run",
            [resumed for resumed, _ in pairs],
            [whole for _, whole in pairs],
            at_most=0.2,
            unit="s",
        )

    def _compare(
        self,
        name: str,
        run_ours: Callable[[], Execution],
        rivals: dict[str, Callable[[], float]],
        targets: tuple[float, float],
        megabytes: int,
        rounds: int,
    ) -> Iterator[Figure]:
        rounds_of_all = [(run_ours(), [run() for run in rivals.values()]) for _ in range(rounds)]
        rows = self._databases.rows
        ours = [rows / execution.seconds for execution, _ in rounds_of_all]
        for position, (rival, target) in enumerate(zip(rivals, targets, strict=True)):
            theirs = [rows / seconds[position] for _, seconds in rounds_of_all]
            yield figure_of_ratio(name, rival, ours, theirs, at_least=target, unit="rows/s")
        peaks = [execution.peak_memory / 1e6 for execution, _ in rounds_of_all]
        yield figure_with_upper_bound(
            f"{name}, memory", f"{rows:,} rows", peaks, at_most=megabytes, unit="MB"
        )

    # The ways of copying

    def _to_postgres(self) -> Execution:
        self._databases.empty_target()
        return self._engine.run(self._source, self._postgres_target())

    def _to_parquet(self) -> Execution:
        return self._engine.run(self._source, DestinationSpec("parquet", {}, "lineitem"))

    def _pg_dump(self) -> float:
        self._databases.empty_target()
        return run_pg_dump(self._databases.source, self._databases.target)

    def _dlt_to_postgres(self) -> float:
        self._databases.empty_target()
        return run_rival("dlt-postgres", self._databases.source, self._databases.target)

    def _dlt_to_parquet(self) -> float:
        folder = str(self._engine.create_folder())
        return run_rival("dlt-parquet", self._databases.source, folder)

    def _adbc(self) -> float:
        folder = str(self._engine.create_folder())
        return run_rival("adbc-parquet", self._databases.source, folder)

    def _resume(self) -> float:
        """Kill a run when most rows are staged, and return the seconds of the next attempt."""
        self._databases.empty_target()
        spec = self._engine.build_run_spec(self._source, self._postgres_target())
        children: list[int] = []

        def kill_late(event: Event) -> None:
            if isinstance(event, Started):
                children.append(event.pid)
            is_late = isinstance(event, Progress) and (
                event.written >= KILLED_AT * self._databases.rows
            )
            if is_late and children:
                os.kill(children.pop(), signal.SIGKILL)

        self._engine.attempt(spec, kill_late)
        outcome, execution = self._engine.attempt(replace(spec, attempt=2, lease=uuid.uuid4().hex))
        if not isinstance(outcome, Succeeded) or outcome.written != self._databases.rows:
            raise RuntimeError(f"the run was not continued: {outcome}")
        return execution.seconds

    def _postgres_target(self) -> DestinationSpec:
        settings = self._databases.settings(self._databases.target)
        return DestinationSpec("postgres", {**settings, "schema": "public"}, "lineitem")
