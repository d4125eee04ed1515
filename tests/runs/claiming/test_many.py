"""As many concurrent runs and streams as the platform allows, compared with the connections that `doctor` computes."""

from __future__ import annotations

from contextlib import ExitStack
from typing import Any

import psycopg
import pytest
from pytest_django import Settings

from apps.background import connections
from apps.orgs.models import Org
from tests.runs.following.test_streams import listen
from tests.runs.held_api import held_api
from tests.runs.own_server import OwnServer
from tests.runs.processes import ended, shown, start, wait_for, worker
from tests.runs.test_crashes import is_under_way
from tests.web_server import web_server
from tests.world import World, make_world

RUNS = 50
PATIENCE = 240  # seconds until all of them have started, and until all have ended
OURS = """
SELECT split_part(application_name, ' ', 1), count(*) FROM pg_stat_activity
WHERE application_name LIKE 'drover-%' AND application_name NOT LIKE 'drover-command %' GROUP BY 1"""


def our_sessions(server: OwnServer) -> dict[str, int]:
    with psycopg.connect(server.admin_url()) as admin:
        return dict(admin.execute(OURS).fetchall())


@pytest.mark.long
def test_fifty_runs_with_fifty_streams_use_at_most_the_connections_that_doctor_computes(
    own_postgres: OwnServer, settings: Settings
) -> None:
    settings.WORKER_CONCURRENCY = settings.MAX_RUNNING_PLATFORM = RUNS
    many: Any = {
        "DROVER_WORKER_CONCURRENCY": str(RUNS),
        "DROVER_WORKER_ORG_RUNS": str(RUNS),
        "DROVER_MAX_RUNNING": str(RUNS),
        "DROVER_STREAMS_PER_MEMBER": str(RUNS),
        "DROVER_RUN_LEASE_SECONDS": "120",
    }
    acme = make_world()
    allow(acme, RUNS)
    with ExitStack() as stack:
        api = stack.enter_context(held_api(patience=PATIENCE))
        runs = [start(acme, api.pipeline(acme)) for _ in range(RUNS)]
        address = stack.enter_context(web_server(**many))
        streams = [
            stack.enter_context(listen(address, f"/api/v1/runs/{run}/events", acme)) for run in runs
        ]
        stack.enter_context(worker(**many))
        for run in runs:
            wait_for(acme, run, is_under_way, PATIENCE)
        assert [shown(acme, run)["status"] for run in runs] == ["running"] * RUNS
        held = our_sessions(own_postgres)
        counted = connections.read_server()
        assert connections.check_connections().ok
        api.release()
        done = [wait_for(acme, run, ended, PATIENCE) for run in runs]
        assert [stream.next()[1] for stream in streams] == ["run"] * RUNS

    assert (counted.web_processes, counted.worker_processes) == (1, 1)
    assert held["drover-engine"] == RUNS
    assert RUNS < sum(held.values()) <= counted.needed
    assert [(run["status"], run["attempt"]) for run in done] == [("succeeded", 1)] * RUNS
    assert "too many clients" not in own_postgres.log


def allow(world: World, runs: int) -> None:
    with world.scope():
        Org.objects.filter(pk=world.org.pk).update(max_running=runs)
