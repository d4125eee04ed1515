"""Connections that are cut repeatedly: to Drover's database, to a destination, to a source."""

from __future__ import annotations

from urllib.parse import urlsplit

import psycopg
import pytest

from tests.storms.proxy import proxy
from tests.storms.stage import Stage

pytestmark = pytest.mark.long
CUTS = 4  # per round


def test_every_session_of_the_database_is_ended(stage: Stage, rounds: range) -> None:
    ended = 0

    def terminate() -> None:
        nonlocal ended
        with psycopg.connect(stage.warehouse, autocommit=True) as admin:
            (count,) = admin.execute(
                "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity"
                " WHERE backend_type = 'client backend' AND pid <> pg_backend_pid()"
            ).fetchone() or (0,)
        ended += count

    for _ in rounds:
        for _ in range(CUTS):
            stage.api.at(stage.moment(runs=4), terminate)
        for kind in ("rest", "rest", "rest", "custom"):
            stage.start(stage.pipeline(kind))
        assert {run["status"] for run in stage.settle()} == {"succeeded"}
    assert ended > CUTS * len(rounds)


def test_the_line_to_a_destination_is_cut(stage: Stage, rounds: range) -> None:
    with proxy(stage.postgres_settings()["port"]) as line:
        for _ in rounds:
            for _ in range(CUTS):
                stage.api.at(stage.moment(runs=3), line.cut)
            for mode in ("replace", "append", "merge"):
                stage.start(stage.pipeline(place=("postgres", mode), port=line.port))
            assert {run["status"] for run in stage.settle()} == {"succeeded"}
        assert line.cuts > 0


def test_the_line_to_a_source_is_cut(stage: Stage, rounds: range) -> None:
    with proxy(urlsplit(stage.api.url).port or 0) as line:
        for _ in rounds:
            for _ in range(CUTS):
                stage.api.at(stage.moment(runs=4), line.cut)
            for kind in ("rest", "rest", "rest", "custom"):
                stage.start(stage.pipeline(kind, api=f"http://127.0.0.1:{line.port}"))
            assert {run["status"] for run in stage.settle()} == {"succeeded"}
        assert line.cuts >= CUTS * len(rounds)
