"""Attempts of runs with real child processes: how they end, whether they are retried, and what is recorded."""

from __future__ import annotations

import os
import re
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from django.db import connection
from django.utils import timezone
from pytest_django import Settings

from apps.engine.contract import Progress
from apps.engine.failures import (
    CODE_WAS_SILENT,
    COLUMNS_CHANGED,
    LACKS_PERMISSION,
    NO_SUCH,
    RUN_WAS_SILENT,
    SECONDS_OF_CPU_TIME,
    TABLE_GONE,
    WITH_READABLE_COLUMNS,
    FailureClass,
)
from apps.engine.process import controller, silence, stream_series
from apps.engine.process.protocol import Message
from apps.engine.sandbox.limits import too_many_message
from apps.orgs.principals import SYSTEM
from apps.pipelines.models import Pipeline
from apps.runs import execute, next_steps, services
from apps.runs.claiming import retries
from apps.runs.execute import Worker
from apps.runs.models import Run
from tests.runs.conftest import make_pipeline
from tests.runs.processes import read_run, start_run, wait_for_run
from tests.world import World, make_world

HANGING_SOURCE = {"rows": 1000, "page_size": 100, "hang_after": 300}
ADVICE_FOR_CODE = "preview"  # a word of the next step after an error of the code


@pytest.fixture(autouse=True)
def quick_retries(settings: Settings) -> None:
    settings.RUN_RETRY_WAIT = timedelta(0)


@contextmanager
def working_in_background(worker: Worker) -> Iterator[threading.Thread]:
    """Let the worker execute one run in another thread until the block ends."""

    def work() -> None:
        execute.work_once(worker)
        connection.close()

    thread = threading.Thread(target=work)
    thread.start()
    try:
        yield thread
    finally:
        thread.join(30)
        assert not thread.is_alive()


def work_until_idle(worker: Worker) -> None:
    while execute.work_once(worker):
        pass


def child_pids(worker: Worker) -> list[int]:
    """Return the process ids of the fork server's running children."""
    server = worker.engine.server_pid
    return [int(pid) for pid in Path(f"/proc/{server}/task/{server}/children").read_text().split()]


def last_log_line(world: World, run_id: UUID) -> str:
    """Return the last line of the run's log."""
    answer = world.client("viewer").get(f"/api/v1/runs/{run_id}/logs").json()
    message: str = answer["lines"][-1]["message"]
    return message


def cancel_run(world: World, run_id: UUID) -> None:
    with world.scope():
        services.cancel(org=world.org, by=SYSTEM, run_id=run_id)


def has_read(count: int) -> Any:
    """Return a condition for `wait_for_run`: the run has read at least this number of records."""
    return lambda run: run["progress"]["read"] >= count


def test_a_run_whose_child_ignores_the_request_to_stop_is_cancelled(
    acme: World, this_worker: Worker, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert controller.GRACE_SECONDS + controller.KILL_SECONDS < 10
    # A shorter time is enough, because a stopped child cannot end by itself.
    monkeypatch.setattr(controller, "GRACE_SECONDS", 0.5)
    run_id = start_run(acme, make_pipeline(acme, source=HANGING_SOURCE))

    with working_in_background(this_worker):
        wait_for_run(acme, run_id, has_read(300))
        (child,) = child_pids(this_worker)
        os.kill(child, signal.SIGSTOP)  # now only SIGKILL can end the child
        cancel_run(acme, run_id)
        run = wait_for_run(acme, run_id, lambda run: run["status"] != "running")

    assert run["status"] == "cancelled"
    assert run["failure"] is None
    assert [attempt["status"] for attempt in run["attempts"]] == ["cancelled"]
    assert last_log_line(acme, run_id) == "Stopped: The run was cancelled."


def test_a_run_that_exceeds_its_time_limit_fails_and_is_not_retried(
    acme: World, this_worker: Worker
) -> None:
    run_id = start_run(acme, make_pipeline(acme, source=HANGING_SOURCE, timeout_seconds=1))

    work_until_idle(this_worker)

    run = read_run(acme, run_id)
    assert (run["status"], run["failure"]["class"], run["attempt"]) == ("failed", "timeout", 1)
    assert run["failure"]["retryable"]
    assert run["attempts"][0]["failure"]["retryable"] is True
    assert "time limit" in run["failure"]["next_step"]
    assert last_log_line(acme, run_id) == f"Failed (timeout): {run['failure']['message']}"


class ShortSilenceAtEnd(silence.SilenceWatch):
    """Allows the usual silence until the source hangs, and then only half a second."""

    def record(self, message: Message) -> None:
        super().record(message)
        if isinstance(message, Progress) and message.read >= HANGING_SOURCE["hang_after"]:
            self._max_silence, self._deadline = 0.5, min(self._deadline, time.monotonic() + 0.5)


def test_a_run_without_progress_is_retried_and_then_fails_with_timeout(
    acme: World, this_worker: Worker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stream_series, "SilenceWatch", ShortSilenceAtEnd)
    run_id = start_run(acme, make_pipeline(acme, source=HANGING_SOURCE, max_attempts=1))
    work_until_idle(this_worker)

    run = read_run(acme, run_id)
    assert (run["status"], run["failure"]["class"]) == ("failed", "timeout")
    assert "DROVER_RUN_SILENCE_SECONDS" in run["failure"]["message"]
    assert "DROVER_RUN_SILENCE_SECONDS" in run["failure"]["next_step"]
    assert "time limit" not in run["failure"]["next_step"]
    assert [attempt["records_read"] for attempt in run["attempts"]] == [300, 300]
    assert last_log_line(acme, run_id) == f"Failed (timeout): {run['failure']['message']}"
    for attempt in run["attempts"]:
        assert not re.search("retried|again|continue", attempt["failure"]["message"])


def test_a_run_whose_child_crashes_three_times_fails(acme: World, this_worker: Worker) -> None:
    crashing_source = {"rows": 1000, "fail_after": 0, "failure": "exit"}
    run_id = start_run(acme, make_pipeline(acme, source=crashing_source, max_attempts=10))

    work_until_idle(this_worker)

    run = read_run(acme, run_id)
    assert (run["status"], run["failure"]["class"], run["attempt"]) == ("failed", "crashed", 3)
    assert last_log_line(acme, run_id) == f"Failed (crashed): {run['failure']['message']}"


def test_attempts_with_progress_do_not_count_towards_the_maximum_of_attempts(
    acme: World, this_worker: Worker
) -> None:
    source = {"rows": 1000, "page_size": 100, "fail_after": 500, "failure": "source"}
    run_id = start_run(acme, make_pipeline(acme, source=source, max_attempts=2))

    work_until_idle(this_worker)

    run = read_run(acme, run_id)
    assert run["status"] == "failed"
    assert run["failure"]["class"] == "source"
    assert run["failure"]["evidence"]
    records_read = [attempt["records_read"] for attempt in run["attempts"]]
    assert records_read[0] == 500
    assert len(records_read) == 3  # one with progress, and two without


@pytest.mark.parametrize(
    ("message", "setting"),
    [
        (f"{CODE_WAS_SILENT} 300 seconds.", "DROVER_SANDBOX_SILENCE_SECONDS"),
        (f"The code used more than 3,600 {SECONDS_OF_CPU_TIME}.", "DROVER_SANDBOX_CPU_SECONDS"),
    ],
)
def test_the_next_step_for_slow_code_names_the_setting_and_not_the_time_limit(
    message: str, setting: str
) -> None:
    step = next_steps.next_step(FailureClass.TIMEOUT, message, retryable=False)
    assert setting in step
    assert "time limit," not in step


@pytest.mark.parametrize(
    ("failure", "message", "advice"),
    [
        (FailureClass.AUTHENTICATION, f"The user {LACKS_PERMISSION}", "Grant the connector's user"),
        (FailureClass.CONFIGURATION, f"{NO_SUCH} schema", "Create what is missing"),
        (FailureClass.CONFIGURATION, f"there is {WITH_READABLE_COLUMNS}", "USAGE on its schema"),
        (FailureClass.DESTINATION, TABLE_GONE, "removed the table"),
        (FailureClass.SOURCE, "the response has no records at 'items'", "the path of the records"),
        (FailureClass.SOURCE, "the API returns the same page again: all records", "the pagination"),
        (FailureClass.CONTRACT, "3 of 200 records were rejected", "Rejected records allowed"),
        (FailureClass.SOURCE, "The code ended its process with exit status 3.", ADVICE_FOR_CODE),
        (FailureClass.SOURCE, "The code raised KeyError: 'id'", ADVICE_FOR_CODE),
        (FailureClass.SOURCE, too_many_message("rows", 10_000), ADVICE_FOR_CODE),
        (FailureClass.CONTRACT, "The code wrote not JSON to the channel.", ADVICE_FOR_CODE),
        (FailureClass.CONTRACT, "The transform raised KeyError: 'id'", ADVICE_FOR_CODE),
    ],
)
def test_the_next_step_names_what_to_change(
    failure: FailureClass, message: str, advice: str
) -> None:
    assert advice in next_steps.next_step(failure, message, retryable=None)


@pytest.mark.parametrize("failure", [FailureClass.SOURCE, FailureClass.DESTINATION])
def test_a_change_outside_the_pipeline_needs_only_a_retry(failure: FailureClass) -> None:
    """A retry uses the connectors of now, and does not read streams again that are published."""
    step = next_steps.next_step(failure, "The table has gone.", retryable=False)
    assert "If the change is not in this pipeline, retry" in step
    assert "run it again" in step


def test_only_a_run_of_files_with_many_rejected_records_is_told_how_to_leave_out_bad_lines() -> (
    None
):
    def step(source_kind: str) -> str:
        return next_steps.next_step(
            FailureClass.CONTRACT,
            "3 of 200 records were rejected",
            retryable=False,
            source_kind=source_kind,
        )

    assert 'set "Bad lines" to skip' in step("files")
    assert "Bad lines" not in step("postgres")


@pytest.mark.parametrize(
    ("failure", "sides"),
    [
        (FailureClass.AUTHENTICATION, ("source", "destination")),  # either side may have refused
        (FailureClass.SOURCE, ("source",)),
        (FailureClass.DESTINATION, ("destination",)),
        (FailureClass.MEMORY, ()),
    ],
)
def test_a_failure_names_the_sides_whose_connectors_may_be_the_cause(
    failure: FailureClass, sides: tuple[str, ...]
) -> None:
    assert next_steps.sides_to_check(failure) == sides


@pytest.mark.parametrize(
    ("failure", "message", "setting"),
    [
        (FailureClass.CONFIGURATION, "The write mode merge needs a primary key", "primary_key"),
        (
            FailureClass.CONFIGURATION,
            "'note' of public.orders cannot be the cursor field, because its values (json) do not sort by time",
            "cursor_field",
        ),
        (FailureClass.CONFIGURATION, "public.orders has no column 'updated'", "cursor_field"),
        (FailureClass.CONFIGURATION, "Files do not support the write mode merge", "write_mode"),
        (
            FailureClass.CONFIGURATION,
            "main.orders contains rows of another pipeline: choose another table",
            "table",
        ),
        (
            FailureClass.CONFIGURATION,
            "there is no stream 'order'; the streams are orders",
            "stream",
        ),
        (FailureClass.CONFIGURATION, "the bucket's settings are not valid", None),
        (FailureClass.CONTRACT, "3 of 200 records were rejected", "max_rejected_share"),
        (
            FailureClass.CONTRACT,
            "Publishing 0 records would remove all rows of orders",
            "allow_empty",
        ),
        (FailureClass.CONTRACT, f"{COLUMNS_CHANGED}: note was added", "contract"),
        (FailureClass.CONTRACT, "The transform raised KeyError: 'id'", "transforms"),
        (FailureClass.TIMEOUT, "The run took longer than 3,600 seconds", "timeout_seconds"),
        (FailureClass.TIMEOUT, RUN_WAS_SILENT, None),
        (FailureClass.SOURCE, "the primary key of the source is broken", None),
    ],
)
def test_a_failure_names_the_setting_of_the_pipeline_that_it_is_about(
    failure: FailureClass, message: str, setting: str | None
) -> None:
    assert next_steps.setting_to_change(failure, message) == setting


@pytest.mark.parametrize("failure", [FailureClass.AUTHENTICATION, FailureClass.SOURCE])
def test_the_next_step_after_an_error_of_the_source_is_to_test_the_connector(
    failure: FailureClass,
) -> None:
    step = next_steps.next_step(
        failure, "The source refused: The code is not valid.", retryable=True
    )
    assert "connector" in step
    assert ADVICE_FOR_CODE not in step


def test_a_failure_that_is_not_retryable_is_not_retried(acme: World, this_worker: Worker) -> None:
    source = {"rows": 10, "fail_after": 0, "failure": "authentication"}
    run_id = start_run(acme, make_pipeline(acme, source=source))

    work_until_idle(this_worker)

    run = read_run(acme, run_id)
    assert (run["status"], run["attempt"]) == ("failed", 1)
    assert run["failure"]["class"] == "authentication"
    assert run["failure"]["next_step"]
    assert [attempt["failure"]["retryable"] for attempt in run["attempts"]] == [False]


def test_a_retry_waits_for_the_time_in_retry_after(acme: World, this_worker: Worker) -> None:
    # The failure has a Retry-After of one second.
    source = {"rows": 10, "fail_after": 0, "failure": "rate_limit"}
    run_id = start_run(acme, make_pipeline(acme, source=source))

    assert execute.work_once(this_worker)
    before = timezone.now()

    run = read_run(acme, run_id)
    assert run["status"] == "pending"
    assert run["waiting_reason"] == "waiting for the next attempt"
    assert run["failure"]["class"] == "rate_limit"
    assert run["not_before"] > before
    assert not execute.work_once(this_worker)


def test_a_run_fails_with_its_own_failure_if_the_wait_would_exceed_the_time_limit(
    acme: World, this_worker: Worker, settings: Settings
) -> None:
    settings.RUN_RETRY_WAIT = timedelta(hours=1)
    source = {"rows": 10, "fail_after": 0, "failure": "rate_limit"}
    run_id = start_run(acme, make_pipeline(acme, source=source, timeout_seconds=60))

    work_until_idle(this_worker)

    run = read_run(acme, run_id)
    assert (run["status"], run["failure"]["class"]) == ("failed", "rate_limit")
    assert "Not retried" in run["failure"]["evidence"][-1]


@pytest.mark.long
def test_a_manually_retried_run_gets_as_many_attempts_as_a_new_run(
    acme: World, this_worker: Worker
) -> None:
    source = {"rows": 10, "fail_after": 0, "failure": "source"}
    run_id = start_run(acme, make_pipeline(acme, source=source, max_attempts=2))
    for retry_count in range(1, retries.MAX_ATTEMPTS_WITH_PROGRESS // 2 + 3):
        work_until_idle(this_worker)
        assert read_run(acme, run_id)["attempt"] == 2 * retry_count
        with acme.scope():
            services.retry(org=acme.org, by=SYSTEM, run_id=run_id)


def test_a_retry_has_the_limits_that_the_pipeline_has_now(acme: World, this_worker: Worker) -> None:
    source = {"rows": 10, "fail_after": 0, "failure": "source"}
    pipeline = make_pipeline(acme, source=source, max_attempts=1)
    run_id = start_run(acme, pipeline)
    work_until_idle(this_worker)
    with acme.scope():
        Pipeline.objects.for_org(acme.org).update(max_attempts=2, timeout_seconds=77)
        services.retry(org=acme.org, by=SYSTEM, run_id=run_id)
    run = read_run(acme, run_id)
    assert (run["max_attempts"], run["timeout_seconds"]) == (2, 77)


def test_a_stopping_worker_releases_its_run_and_another_worker_continues_it(
    acme: World, this_worker: Worker
) -> None:
    slow_source = {"rows": 1000, "page_size": 100, "delay": 0.15}
    run_id = start_run(acme, make_pipeline(acme, source=slow_source))
    stopping_worker = Worker("stopping", this_worker.engine, threading.Event())

    with working_in_background(stopping_worker):
        wait_for_run(acme, run_id, has_read(100))
        stopping_worker.shutdown.set()
        released_run = wait_for_run(acme, run_id, lambda run: run["status"] == "pending")
    assert last_log_line(acme, run_id) == "Stopped: The worker is shutting down."
    assert not execute.work_once(stopping_worker)
    assert execute.work_once(this_worker)

    run = read_run(acme, run_id)
    assert run["status"] == "succeeded"
    assert [attempt["status"] for attempt in run["attempts"]] == ["released", "succeeded"]
    assert released_run["progress"]["read"] > 0
    assert run["progress"]["read"] == run["progress"]["written"] == 1000
    with acme.scope():
        assert Run.objects.for_org(acme.org).get(pk=run_id).crashes == 0


def test_the_log_can_be_read_while_the_run_is_running(acme: World, this_worker: Worker) -> None:
    run_id = start_run(acme, make_pipeline(acme, source=HANGING_SOURCE))
    client = acme.client("viewer")

    with working_in_background(this_worker):
        wait_for_run(acme, run_id, lambda run: run["log_lines"] > 0)
        page = client.get(f"/api/v1/runs/{run_id}/logs?limit=1").json()
        assert page["lines"][0]["message"]
        assert not page["complete"]
        cancel_run(acme, run_id)

    full_log = client.get(f"/api/v1/runs/{run_id}/logs").json()
    assert full_log["complete"]
    assert full_log["lines"][0] == page["lines"][0]
    assert [line["line"] for line in full_log["lines"]] == list(range(full_log["total"]))


def test_the_outputs_of_a_run_can_be_downloaded(acme: World, this_worker: Worker) -> None:
    run_id = start_run(
        acme, make_pipeline(acme, source={"rows": 250}, destination={"kind": "jsonl"})
    )
    work_until_idle(this_worker)
    client = acme.client()

    outputs = client.get(f"/api/v1/runs/{run_id}/outputs").json()["results"]

    assert sum(output["rows"] for output in outputs) == 250
    path = f"/api/v1/runs/{run_id}/outputs/{outputs[0]['name']}"
    answer: Any = client.get(path)
    assert answer.status_code == 200
    assert answer["Content-Disposition"].startswith("attachment")
    assert answer["X-Content-Type-Options"] == "nosniff"
    assert len(b"".join(answer.streaming_content)) == outputs[0]["bytes"]
    assert make_world().client().get(path).status_code == 404
    assert acme.client("viewer").get(path).status_code == 403


def test_a_run_whose_pipeline_version_does_not_exist_fails_with_configuration(
    acme: World, this_worker: Worker
) -> None:
    pipeline = make_pipeline(acme)
    run_id = start_run(acme, pipeline)
    with acme.scope():
        Run.objects.for_org(acme.org).filter(pk=run_id).update(version=99)

    work_until_idle(this_worker)

    run = read_run(acme, run_id)
    assert (run["status"], run["failure"]["class"]) == ("failed", "configuration")


def test_the_state_of_a_stream_can_be_set_and_reset_except_during_a_run(
    acme: World, this_worker: Worker
) -> None:
    pipeline = make_pipeline(acme, source={"rows": 20}, sync_mode="incremental")
    path = f"/api/v1/pipelines/{pipeline.pk}/state"
    client = acme.client()
    assert client.get(path).json() == {"streams": []}
    assert client.put(path, {"state": {"after": 5}}).status_code == 409
    start_run(acme, pipeline)
    assert client.post(f"{path}/reset", {}).status_code == 409

    work_until_idle(this_worker)

    (stream,) = client.get(path).json()["streams"]
    assert (stream["stream"], stream["status"], stream["written"]) == ("generated", "succeeded", 20)
    assert client.put(path, {"state": {"after": 5}}).json()["streams"][0]["state"] == {"after": 5}
    assert client.post(f"{path}/reset", {}).status_code == 200
    events = acme.client("owner").get("/api/v1/org/audit").json()["results"]
    assert [event["action"] for event in events[:2]] == ["state.reset", "state.put"]
    assert events[1]["changes"] == {
        "stream": ["generated", "generated"],
        "state": [{"after": 20}, {"after": 5}],
    }
    assert acme.client("viewer").post(f"{path}/reset", {}).status_code == 403
