"""The measurements measure what they say; how fast is not a test's business."""

from __future__ import annotations

from apps.engine.bench import figures
from local.postgres import EmbeddedPostgres
from tests.engine.runs.test_real_destinations import postgres_settings


def test_every_figure_can_be_taken(engine_postgres: EmbeddedPostgres, state_dsn: str) -> None:
    taken = figures(
        state_dsn,
        target=postgres_settings(engine_postgres),
        dsn=engine_postgres.url(),
        rows=20_000,
        rounds=1,
    )
    assert [figure["name"] for figure in taken] == [
        "engine start-up",
        "frames to PostgreSQL",
        "frames to Parquet",
        "records to JSONL",
        "peak memory",
    ]
    for figure in taken:
        assert figure["ours"] > 0
        assert figure["rival"] > 0
        assert figure["rounds"]
