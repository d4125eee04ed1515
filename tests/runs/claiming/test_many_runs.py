"""The maximum of concurrent runs and streams uses at most the database connections that `doctor` computes."""

from __future__ import annotations

from contextlib import ExitStack
from typing import Any

import psycopg
import pytest
from pytest_django import Settings

from apps.background import connections
from apps.orgs.models import Org
from tests.runs.following.test_streams import listen_to_stream
from tests.runs.own_server import OwnServer
from tests.runs.paused_api import paused_api
from tests.runs.processes import has_ended, read_run, running_worker, start_run, wait_for_run
from tests.runs.test_crashes import has_written_rows
from tests.web_server import web_server
from tests.world import World, make_world

RUNS = 50
MAX_SECONDS = 240  # longest wait for one run to start, and for one run to end
COUNT_SESSIONS = """
SELECT split_part(application_name, ' ', 1), count(*) FROM pg_stat_activity
WHERE application_name LIKE 'drover-%' AND application_name NOT LIKE 'drover-command %' GROUP BY 1"""


def count_sessions(server: OwnServer) -> dict[str, int]:
    with psycopg.connect(server.admin_url()) as admin:
        return dict(admin.execute(COUNT_SESSIONS).fetchall())


@pytest.mark.long
def test_fifty_runs_with_fifty_streams_use_at_most_the_connections_that_doctor_computes(
    own_postgres: OwnServer, settings: Settings
) -> None:
    settings.WORKER_CONCURRENCY = settings.MAX_RUNNING_PLATFORM = RUNS
    environment: Any = {
        "DROVER_WORKER_CONCURRENCY": str(RUNS),
        "DROVER_WORKER_ORG_RUNS": str(RUNS),
        "DROVER_MAX_RUNNING": str(RUNS),
        "DROVER_STREAMS_PER_MEMBER": str(RUNS),
        "DROVER_RUN_LEASE_SECONDS": "120",
    }
    acme = make_world()
    set_run_limit(acme, RUNS)
    with ExitStack() as stack:
        api = stack.enter_context(paused_api(max_pause=MAX_SECONDS))
        runs = [start_run(acme, api.create_pipeline(acme)) for _ in range(RUNS)]
        address = stack.enter_context(web_server(**environment))
        streams = [
            stack.enter_context(listen_to_stream(address, f"/api/v1/runs/{run}/events", acme))
            for run in runs
        ]
        stack.enter_context(running_worker(**environment))
        for run in runs:
            wait_for_run(acme, run, has_written_rows, MAX_SECONDS)
        assert [read_run(acme, run)["status"] for run in runs] == ["running"] * RUNS
        session_counts = count_sessions(own_postgres)
        server_counts = connections.read_server_connections()
        assert connections.check_connections().ok
        api.release()
        ended_runs = [wait_for_run(acme, run, has_ended, MAX_SECONDS) for run in runs]
        assert [stream.next()[1] for stream in streams] == ["run"] * RUNS

    assert (server_counts.web_processes, server_counts.worker_processes) == (1, 1)
    assert session_counts["drover-engine"] == RUNS
    assert RUNS < sum(session_counts.values()) <= server_counts.needed
    assert [(run["status"], run["attempt"]) for run in ended_runs] == [("succeeded", 1)] * RUNS
    assert "too many clients" not in own_postgres.log


def set_run_limit(world: World, runs: int) -> None:
    with world.scope():
        Org.objects.filter(pk=world.org.pk).update(max_running=runs)
