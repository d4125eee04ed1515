"""A real worker process executes a run with real child processes."""

from __future__ import annotations

from django.conf import settings

from apps.engine.sandbox import roots, workdirs
from tests.runs.conftest import make_pipeline
from tests.runs.processes import has_ended, running_worker, start_run, wait_for_run
from tests.world import World


def test_a_worker_executes_a_run_and_stores_its_log(acme: World) -> None:
    run_id = start_run(acme, make_pipeline(acme, source={"rows": 5000, "page_size": 1000}))
    leftover = settings.SANDBOX_HOME / roots.WORK_FOLDER / f"{workdirs.WORK_PREFIX}left"
    leftover.mkdir(parents=True)

    with running_worker():
        run = wait_for_run(acme, run_id, has_ended)

    assert not leftover.exists(), (
        "the worker did not remove the work folder of killed code at its start"
    )
    assert run["status"] == "succeeded", run
    assert run["failure"] is None
    progress = run["progress"]
    assert (
        progress["read"] == progress["written"] + progress["rejected"] + progress["skipped"] == 5000
    )
    assert [attempt["status"] for attempt in run["attempts"]] == ["succeeded"]
    assert run["attempts"][0]["launched_at"] is not None
    client = acme.client("viewer")
    log = client.get(f"/api/v1/runs/{run_id}/logs").json()
    assert log["complete"]
    assert log["total"] == len(log["lines"]) == run["log_lines"]
    assert [line["line"] for line in log["lines"]] == list(range(log["total"]))
    assert any("Published" in line["message"] for line in log["lines"])
