"""A real worker process executes a run with real child processes."""

from __future__ import annotations

from typing import Any

import pytest
from django.conf import settings

from apps.engine.sandbox import roots, workdirs
from apps.live import events
from apps.runs import execute
from apps.runs.attempts.rows import AttemptRows
from apps.runs.execute import Worker
from apps.runs.snapshots import ProgressSnapshot
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


def test_a_progress_event_has_all_that_the_progress_of_a_run_has(
    acme: World, this_worker: Worker, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Pages merge the event into the run. What it lacks would stay as it was before the run."""
    start_run(acme, make_pipeline(acme, source={"rows": 50}))
    recorded: list[events.NewEvent] = []
    record = AttemptRows._record_progress

    def note(self: AttemptRows, *arguments: Any) -> list[events.NewEvent]:
        found = record(self, *arguments)
        recorded.extend(found)
        return found

    monkeypatch.setattr(AttemptRows, "_record_progress", note)
    assert execute.work_once(this_worker)
    assert {frozenset(event.body) for event in recorded} == {
        frozenset({"run_id", *ProgressSnapshot.__annotations__})
    }
