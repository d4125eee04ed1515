"""Runs executed by a real worker process and real children."""

from __future__ import annotations

from django.conf import settings

from apps.engine.sandbox import roots, workdirs
from tests.runs.conftest import make_pipeline
from tests.runs.processes import ended, start, wait_for, worker
from tests.world import World


def test_a_run_ends_with_its_rows_its_log_and_its_outputs(acme: World) -> None:
    run_id = start(acme, make_pipeline(acme, source={"rows": 5000, "page_size": 1000}))
    left = settings.SANDBOX_HOME / roots.WORK_FOLDER / f"{workdirs.WORK_PREFIX}left"
    left.mkdir(parents=True)

    with worker():
        run = wait_for(acme, run_id, ended)

    assert not left.exists(), "a worker begins by removing what killed code left"
    assert run["status"] == "succeeded", run
    assert run["failure"] is None
    progress = run["progress"]
    assert progress["read"] == progress["written"] + progress["rejected"] == 5000
    assert [attempt["status"] for attempt in run["attempts"]] == ["succeeded"]
    assert run["attempts"][0]["launched_at"] is not None
    client = acme.client("viewer")
    log = client.get(f"/api/v1/runs/{run_id}/logs").json()
    assert log["complete"]
    assert log["total"] == len(log["lines"]) == run["log_lines"]
    assert [line["line"] for line in log["lines"]] == list(range(log["total"]))
    assert any("Published" in line["message"] for line in log["lines"])
