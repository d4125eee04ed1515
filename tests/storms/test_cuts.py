"""Cut connections repeatedly: to Drover's database, to a destination and to a source."""

from __future__ import annotations

from urllib.parse import urlsplit

import psycopg
import pytest

from tests.storms.proxy import run_proxy
from tests.storms.stage import Stage

pytestmark = pytest.mark.long
CUTS_PER_ROUND = 4


def test_runs_succeed_although_every_database_session_is_ended(stage: Stage, rounds: range) -> None:
    ended_sessions = 0

    def end_all_sessions() -> None:
        nonlocal ended_sessions
        with psycopg.connect(stage.warehouse_url, autocommit=True) as admin:
            (count,) = admin.execute(
                "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity"
                " WHERE backend_type = 'client backend' AND pid <> pg_backend_pid()"
            ).fetchone() or (0,)
        ended_sessions += count

    for _ in rounds:
        for _ in range(CUTS_PER_ROUND):
            stage.api.call_at_request(stage.random_request_number(runs=4), end_all_sessions)
        for kind in ("rest", "rest", "rest", "custom"):
            stage.start_run(stage.create_pipeline(kind))
        assert {run["status"] for run in stage.wait_and_check_runs()} == {"succeeded"}
    assert ended_sessions > CUTS_PER_ROUND * len(rounds)


def test_runs_succeed_although_connections_to_the_destination_are_cut(
    stage: Stage, rounds: range
) -> None:
    with run_proxy(stage.postgres_settings()["port"]) as proxy:
        for _ in rounds:
            for _ in range(CUTS_PER_ROUND):
                stage.api.call_at_request(
                    stage.random_request_number(runs=3), proxy.cut_connections
                )
            for mode in ("replace", "append", "merge"):
                stage.start_run(
                    stage.create_pipeline(destination_mode=("postgres", mode), port=proxy.port)
                )
            assert {run["status"] for run in stage.wait_and_check_runs()} == {"succeeded"}
        assert proxy.cut_count > 0


def test_runs_succeed_although_connections_to_the_source_are_cut(
    stage: Stage, rounds: range
) -> None:
    with run_proxy(urlsplit(stage.api.url).port or 0) as proxy:
        for _ in rounds:
            for _ in range(CUTS_PER_ROUND):
                stage.api.call_at_request(
                    stage.random_request_number(runs=4), proxy.cut_connections
                )
            for kind in ("rest", "rest", "rest", "custom"):
                stage.start_run(
                    stage.create_pipeline(kind, api_url=f"http://127.0.0.1:{proxy.port}")
                )
            assert {run["status"] for run in stage.wait_and_check_runs()} == {"succeeded"}
        assert proxy.cut_count >= CUTS_PER_ROUND * len(rounds)
