"""Every benchmark of the engine runs and returns figures. The figures themselves are not checked."""

from __future__ import annotations

import pytest

from bench.engine import (
    measure_frames_to_parquet,
    measure_frames_to_postgres,
    measure_records_to_jsonl,
    measure_start_up,
    warm_engine,
)
from local.database.postgres import EmbeddedPostgres
from tests.engine.runs.test_real_destinations import postgres_settings

ROWS = 5_000


@pytest.mark.long
def test_every_engine_benchmark_returns_positive_figures(
    engine_postgres: EmbeddedPostgres, state_dsn: str
) -> None:
    settings, dsn = postgres_settings(engine_postgres), engine_postgres.url()
    with warm_engine(state_dsn) as engine:
        figures = [
            measure_start_up(engine, rounds=1),
            measure_frames_to_postgres(engine, settings, dsn, rounds=1, rows=ROWS),
            measure_frames_to_parquet(engine, rounds=1, rows=ROWS),
            *measure_records_to_jsonl(engine, rounds=1, rows=ROWS),
        ]
    for figure in figures:
        assert float(figure.value.removesuffix(" x")) > 0
        assert figure.all_values
