"""Measure the engine against stock `bizon` and against raw writers, in pairs, one after the other.

Every function prints what it ran and answers a `Figure`. Ours always goes the whole way: supervisor,
fork server, child, checkpoints, publication. The rivals run in fresh processes and, but for the
start-up figure, are timed without their imports.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from apps.engine import confinement
from apps.engine.contract import (
    DestinationSpec,
    Event,
    LogLine,
    RunSpec,
    SourceSpec,
    Started,
    StorageRoot,
    Succeeded,
)
from apps.engine.failures import EngineError
from apps.engine.forks import ROOT
from apps.engine.supervisor import EngineSupervisor

MILLION = 1_000_000
PAGE = 10_000  # rows in a frame
RECORD_PAGE = 1_000  # records in a page, as APIs have them

_STOCK_SOURCE = """
from bizon.source.config import SourceConfig
from bizon.source.models import SourceIteration, SourceRecord
from bizon.source.source import AbstractSource
from apps.engine.sources.dummy import generated

ROWS, PAGE = {rows}, {page}


class Numbers(AbstractSource):
    @staticmethod
    def streams():
        return ["numbers"]

    @staticmethod
    def get_config_class():
        return SourceConfig

    def get_authenticator(self):
        return None

    def check_connection(self):
        return True, None

    def get_total_records_count(self):
        return None

    def get(self, pagination=None):
        after = (pagination or {{}}).get("after", 0)
        rows = generated.rows(after + 1, min(PAGE, ROWS - after))
        reached = after + len(rows)
        return SourceIteration(
            records=[SourceRecord(id=row["id"], data=row) for row in rows],
            next_pagination={{"after": reached}} if reached < ROWS else {{}},
        )
"""

# Without the waits of the stock configuration (2 s before the consumer starts), to compare work with work.
_STOCK_ENGINE = {
    "engine": {
        "backend": {"type": "sqlite", "config": {"database": "state", "schema": "none"}},
        "runner": {
            "type": "thread",
            "config": {"consumer_start_delay": 0, "is_alive_check_interval": 1},
        },
    }
}


@dataclass(frozen=True, slots=True)
class Figure:
    """A paired measurement: medians, and the median of the ratios of each pair."""

    name: str
    unit: str
    ours: float
    rival: float
    ratio: float  # ours to the rival's, in the unit
    bar: str
    reached: bool
    rounds: tuple[tuple[float, float], ...]

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


@dataclass(frozen=True, slots=True)
class Taken:
    """One measured execution."""

    seconds: float
    peak: int  # bytes of memory
    started: float = 0.0  # seconds until the child was running


class Bench:
    """A warm engine and a scratch folder for the figures. Use it as `with bench(dsn) as b`."""

    def __init__(self, state_dsn: str, folder: Path, engine: EngineSupervisor) -> None:
        self._state_dsn = state_dsn
        self._folder = folder
        self._engine = engine

    # the figures

    def start_up(self, *, rounds: int = 5) -> Figure:
        """A run of five records to the log, to its end, against `bizon run` of the same."""

        def ours() -> float:
            return self._run({}, DestinationSpec("logger", {}, "tales"), stream="creatures").seconds

        def rival() -> float:
            return self._stock(_stock_tales).seconds

        return _paired("engine start-up", "s", ours, rival, rounds, at_most=0.15)

    def child_running(self, *, rounds: int = 9) -> float:
        """Median seconds from the call of `run` until the child reports that it runs."""
        target = DestinationSpec("logger", {}, "tales")
        return statistics.median(
            self._run({}, target, stream="creatures").started for _ in range(rounds)
        )

    def frames_to_parquet(self, *, rows: int = MILLION, rounds: int = 3) -> Figure:
        """Rows a second, against polars' writer fed by the same reader on a thread."""

        def ours() -> float:
            return rows / self._frames(rows, DestinationSpec("parquet", {}, "numbers")).seconds

        def rival() -> float:
            return rows / self._raw("parquet", rows, str(self._fresh_folder()))

        return _paired("frames to Parquet", "rows/s", ours, rival, rounds, at_least=0.85)

    def frames_to_postgres(
        self,
        target: Mapping[str, Any],
        dsn: str,
        *,
        rows: int = MILLION,
        rounds: int = 3,
    ) -> Figure:
        """Rows a second, against COPY fed by the same reader on a thread.

        `target` are settings of the `postgres` destination, `dsn` leads to the same database.
        """

        def ours() -> float:
            spec = DestinationSpec("postgres", target, "drover_bench")
            return rows / self._frames(rows, spec).seconds

        def rival() -> float:
            return rows / self._raw("postgres", rows, dsn)

        return _paired("frames to PostgreSQL", "rows/s", ours, rival, rounds, at_least=0.85)

    def records_to_jsonl(self, *, rows: int = MILLION, rounds: int = 3) -> tuple[Figure, Figure]:
        """Rows a second and peak memory, against stock bizon and its file destination."""
        peaks: list[tuple[int, int]] = []
        pair: list[Taken] = []

        def ours() -> float:
            config = {"rows": rows, "page_size": RECORD_PAGE, "format": "rows"}
            pair[:] = [self._run(config, DestinationSpec("jsonl", {}, "numbers"))]
            return rows / pair[0].seconds

        def rival() -> float:
            taken = self._stock(_stock_numbers, rows=rows)
            peaks.append((pair[0].peak, taken.peak))
            return rows / taken.seconds

        speed = _paired("records to JSONL", "rows/s", ours, rival, rounds, at_least=1.8)
        return speed, _figure("peak memory", "bytes", peaks, at_most=0.7)

    # ours

    def _frames(self, rows: int, target: DestinationSpec) -> Taken:
        return self._run({"rows": rows, "page_size": PAGE}, target, kind="bench_flights")

    def _run(
        self,
        config: Mapping[str, Any],
        target: DestinationSpec,
        *,
        kind: str = "dummy",
        stream: str = "generated",
    ) -> Taken:
        spec = self._spec(SourceSpec(kind, config, stream), target)
        heard: dict[str, float] = {}
        began = time.perf_counter()

        def hear(event: Event) -> None:
            if isinstance(event, Started):
                heard["started"] = time.perf_counter() - began
            if isinstance(event, LogLine) and "peak_memory_bytes" in event.fields:
                heard["peak"] = event.fields["peak_memory_bytes"]

        outcome = self._engine.run(spec, on_event=hear, should_stop=lambda: None)
        seconds = time.perf_counter() - began
        if not isinstance(outcome, Succeeded):
            raise EngineError(
                f"The measured run failed: {outcome.message}", evidence=outcome.evidence
            )
        expected = config.get("rows", outcome.written)
        if outcome.written != expected:
            raise EngineError(f"The measured run wrote {outcome.written} of {expected} rows.")
        return Taken(seconds, int(heard["peak"]), heard["started"])

    def _spec(self, source: SourceSpec, target: DestinationSpec) -> RunSpec:
        folder = self._fresh_folder()
        root = StorageRoot(folder.as_uri(), "bench")
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

    # the rivals

    def _stock(self, config: Callable[[], dict[str, Any]], *, rows: int = 0) -> Taken:
        """`bizon run` in a fresh process: wall time with imports, as its users wait for it."""
        folder = self._fresh_folder()
        (folder / "bench.yml").write_text(json.dumps(config()))
        command = [str(Path(sys.executable).with_name("bizon")), "run", "bench.yml"]
        if rows:
            source = folder / "numbers.py"
            source.write_text(_STOCK_SOURCE.format(rows=rows, page=RECORD_PAGE))
            command += ["--custom-source", str(source)]
        command += ["--log-level", "WARNING"]
        taken = _timed(command, folder)
        if rows and sum(1 for _ in (folder / "out.json").open("rb")) != rows:
            raise EngineError("Stock bizon did not write every row.")
        return taken

    def _raw(self, kind: str, rows: int, target: str) -> float:
        command = [
            *(sys.executable, "-m", "apps.engine.bench_raw"),
            *(kind, str(rows), str(PAGE), target),
        ]
        done = subprocess.run(
            command, cwd=ROOT, env=_environment(), check=True, capture_output=True, text=True
        )
        return float(done.stdout)

    def _fresh_folder(self) -> Path:
        return Path(tempfile.mkdtemp(dir=self._folder))


@contextmanager
def bench(state_dsn: str) -> Iterator[Bench]:
    """`state_dsn` is that of the engine's role; its schema is installed."""
    engine = EngineSupervisor(preload=("apps.engine.bench_flights",))
    with tempfile.TemporaryDirectory(prefix="drover-bench-") as folder:
        try:
            engine.start(wait=60)
            yield Bench(state_dsn, Path(folder), engine)
        finally:
            engine.close()


def figures(
    state_dsn: str,
    *,
    target: Mapping[str, Any],
    dsn: str,
    rows: int = MILLION,
    rounds: int = 3,
) -> list[dict[str, Any]]:
    """All figures of the engine as JSON. `target` and `dsn` as in `Bench.frames_to_postgres`."""
    with bench(state_dsn) as taking:
        taken = [
            taking.start_up(rounds=rounds),
            taking.frames_to_postgres(target, dsn, rows=rows, rounds=rounds),
            taking.frames_to_parquet(rows=rows, rounds=rounds),
            *taking.records_to_jsonl(rows=rows, rounds=rounds),
        ]
    return [figure.to_json() for figure in taken]


def _stock_tales() -> dict[str, Any]:
    token = {"type": "api_key", "params": {"token": "none"}}
    return {
        "name": "tales",
        "source": {"name": "dummy", "stream": "creatures", "authentication": token},
        "destination": {"name": "logger", "config": {}},
        **_STOCK_ENGINE,
    }


def _stock_numbers() -> dict[str, Any]:
    return {
        "name": "numbers",
        "source": {"name": "numbers", "stream": "numbers"},
        "destination": {"name": "file", "config": {"destination_id": "out"}},
        **_STOCK_ENGINE,
    }


def _paired(
    name: str,
    unit: str,
    ours: Callable[[], float],
    rival: Callable[[], float],
    rounds: int,
    **bar: float,
) -> Figure:
    taken = []
    for number in range(rounds):
        pair = ours(), rival()
        taken.append(pair)
        _say(f"  {name}, round {number + 1}: ours {pair[0]:,.3f}, rival {pair[1]:,.3f} {unit}")
    return _figure(name, unit, taken, **bar)


def _figure(
    name: str,
    unit: str,
    pairs: Sequence[tuple[float, float]],
    *,
    at_least: float | None = None,
    at_most: float | None = None,
) -> Figure:
    ratio = statistics.median(mine / other for mine, other in pairs)
    figure = Figure(
        name=name,
        unit=unit,
        ours=statistics.median(mine for mine, _ in pairs),
        rival=statistics.median(other for _, other in pairs),
        ratio=ratio,
        bar=f">= {at_least} x" if at_least is not None else f"<= {at_most} x",
        reached=ratio >= at_least if at_least is not None else ratio <= (at_most or 0),
        rounds=tuple(pairs),
    )
    _say(f"{name}: {figure.ratio:.3f} x (bar {figure.bar})")
    return figure


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")


def _timed(command: list[str], folder: Path) -> Taken:
    began = time.perf_counter()
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(
            command, cwd=folder, env=_environment(), stdout=log, stderr=subprocess.STDOUT
        )
        _, status, usage = os.wait4(process.pid, 0)
    seconds = time.perf_counter() - began
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode != 0:
        said = (folder / "log").read_text(errors="replace").splitlines()[-5:]
        raise EngineError("Stock bizon failed.", evidence=tuple(said))
    return Taken(seconds, usage.ru_maxrss * 1024)


def _environment() -> dict[str, str]:
    return {**confinement.environment(), "PYTHONPATH": str(ROOT), "HOME": tempfile.gettempdir()}
