"""Tools for runs: list, show, cancel, retry, and the log."""

from __future__ import annotations

import time
from typing import Any
from uuid import UUID

import pytest

from apps.agent.tools.record_values import HIDDEN, hide_values
from apps.orgs.exceptions import Conflict
from apps.orgs.roles import Role
from apps.runs.models import Run, Status
from tests.agent.tools.runs import TIMEOUT, end_run, ended_run, line, start_run, write_log
from tests.agent.tools.use import card, context_of, error_code, use
from tests.world import World, make_pipeline

VALUE = "ada@example.com"
HOBBY = "collects stamps"  # a value without a pattern
each_write = pytest.mark.parametrize("name", ["cancel_run", "retry_run"])


def status_of(world: World, run_id: UUID) -> str:
    with world.scope():
        return str(Run.objects.for_org(world.org).get(pk=run_id).status)


def test_runs_are_listed_newest_first_with_a_short_label(world: World) -> None:
    pipeline = make_pipeline(world, name="flights")
    failed = ended_run(world, pipeline, Status.FAILED, **TIMEOUT)
    waiting = start_run(world, pipeline)
    answer = use(world, "list_runs", Role.VIEWER, pipeline_id=str(pipeline.pk))

    assert [run["id"] for run in answer.content["runs"]] == [waiting, failed]
    assert answer.content["runs"][0]["waiting_reason"] == "waiting for a worker"
    assert answer.content["runs"][1]["failure_class"] == "timeout"
    assert answer.content["runs"][1]["label"] == failed.hex[-6:]
    assert use(world, "list_runs", status="failed").content["count"] == 1


def test_a_failed_run_is_shown_with_its_evidence_and_the_next_step(world: World) -> None:
    run_id = ended_run(world, make_pipeline(world), Status.FAILED, **TIMEOUT)
    answer = use(world, "show_run", Role.VIEWER, run_id=str(run_id))

    failure = answer.content["failure"]
    assert failure["evidence"] == TIMEOUT["failure_evidence"]
    assert failure["next_step"].startswith("Raise the pipeline's time limit")
    assert answer.links == ({"label": f"Run {run_id.hex[-6:]}", "path": f"/runs/{run_id}"},)


def test_a_waiting_run_is_cancelled_after_its_card_was_shown(world: World) -> None:
    run_id = start_run(world, make_pipeline(world, name="flights"))
    assert card(world, "cancel_run", run_id=str(run_id))["title"] == "Cancel a run of flights"
    assert status_of(world, run_id) == Status.PENDING

    assert use(world, "cancel_run", run_id=str(run_id)).ok
    assert status_of(world, run_id) == Status.CANCELLED


def test_a_failed_run_is_retried_and_a_waiting_run_is_not(world: World) -> None:
    run_id = ended_run(world, make_pipeline(world), Status.FAILED, **TIMEOUT)
    facts: Any = card(world, "retry_run", run_id=str(run_id))["facts"]
    assert {"label": "State", "value": "failed"} in facts
    assert status_of(world, run_id) == Status.FAILED

    assert use(world, "retry_run", run_id=str(run_id)).ok
    assert status_of(world, run_id) == Status.PENDING
    assert error_code(use(world, "retry_run", run_id=str(run_id))) == "not_retryable"
    with pytest.raises(Conflict):
        card(world, "retry_run", run_id=str(run_id))


def test_a_run_that_has_ended_is_not_cancelled(world: World) -> None:
    run_id = start_run(world, make_pipeline(world))
    end_run(world, run_id)

    assert error_code(use(world, "cancel_run", run_id=str(run_id))) == "already_ended"


def test_the_last_lines_of_a_log_are_read_without_record_values(world: World) -> None:
    run_id = start_run(world, make_pipeline(world))
    write_log(
        world,
        run_id,
        line("Starting a new sync"),
        line("Sample row: {'email': 'ada@example.com'}", row={"email": VALUE}),
        line("Rejected a record: not a number (ada@example.com)", "warning"),
        line(f"my code saw {VALUE}, {HOBBY}", by="code"),
        line(f"printed {VALUE}, {HOBBY}", stream="output"),
        line("The end", "error"),
    )
    answer = use(world, "read_log", Role.VIEWER, run_id=str(run_id), limit=5)

    assert [shown["line"] for shown in answer.content["lines"]] == [1, 2, 3, 4, 5]
    assert VALUE not in str(answer.content)
    assert HOBBY not in str(answer.content)
    assert answer.content["lines"][-1]["message"] == "The end"
    allowed = use(world, "read_log", run_id=str(run_id), values_allowed=True)
    assert str(allowed.content).count(VALUE) == 4


def test_lines_about_one_of_several_streams_are_read_and_what_its_process_printed_is_hidden(
    world: World,
) -> None:
    run_id = start_run(world, make_pipeline(world))
    write_log(
        world,
        run_id,
        line("Reading public.orders page by page", stream="public.orders"),
        line(f"printed {HOBBY}", by="output", stream="public.orders"),
    )
    lines = use(world, "read_log", run_id=str(run_id)).content["lines"]
    assert lines[0]["message"] == "Reading public.orders page by page"
    assert HOBBY not in str(lines)


def test_a_log_is_read_by_level_and_from_an_offset(world: World) -> None:
    run_id = start_run(world, make_pipeline(world))
    write_log(world, run_id, line("one"), line("two", "error"), line("three"))

    errors = use(world, "read_log", run_id=str(run_id), level="error").content["lines"]
    first = use(world, "read_log", run_id=str(run_id), offset=0, limit=1).content
    assert [shown["message"] for shown in errors] == ["two"]
    assert [shown["message"] for shown in first["lines"]] == ["one"]
    assert first["next_offset"] == 1


@each_write
def test_a_viewer_may_not_write(world: World, name: str) -> None:
    run_id = start_run(world, make_pipeline(world))

    assert error_code(use(world, name, Role.VIEWER, run_id=str(run_id))) == "not_allowed"


@pytest.mark.parametrize("name", ["cancel_run", "retry_run", "show_run", "read_log"])
def test_a_stranger_finds_no_run(world: World, stranger: World, name: str) -> None:
    run_id = start_run(world, make_pipeline(world))

    assert error_code(use(stranger, name, run_id=str(run_id))) == "not_found"


def test_a_stranger_lists_no_runs(world: World, stranger: World) -> None:
    pipeline = make_pipeline(world)
    start_run(world, pipeline)

    assert use(stranger, "list_runs").content["runs"] == []
    assert error_code(use(stranger, "list_runs", pipeline_id=str(pipeline.pk))) == "not_found"


def test_an_address_in_a_very_long_line_is_hidden_in_time(world: World) -> None:
    line = "a" * 200_000 + " from ada.b+c@mail.example.com!"
    with world.scope():
        context = context_of(world)
    began = time.process_time()

    assert hide_values(context, line) == "a" * 200_000 + f" from {HIDDEN}!"
    assert time.process_time() - began < 10.0  # with a quadratic pattern it was minutes


def test_the_first_rejected_record_is_hidden_in_the_failure_of_a_run(world: World) -> None:
    message = (
        "1 of 4 records were rejected, which is 25%; this pipeline allows 0%. The first:"
        " line 3 has 2 fields: ada,lovelace (a.csv, line 3)."
    )
    with world.scope():
        context = context_of(world)
    assert hide_values(context, message) == message[: message.index(" line")] + f" {HIDDEN}"


@pytest.mark.parametrize(
    ("message", "shown"),
    [
        (
            "The window of shop.events may end at 2026-01-04 at the latest, its saved position: its runs read on",
            f"The window of shop.events may end at {HIDDEN} at the latest, its saved position: its runs read on",
        ),
        (
            "`from` (2026-01-05) must be before the saved position (2026-01-04), where a window without `to` ends",
            f"`from` (2026-01-05) must be before the saved position ({HIDDEN}), where a window without `to` ends",
        ),
        (
            'the saved position "O\'Brien" of n is not a value of the type integer: reset the stream',
            f"the saved position {HIDDEN} is not a value of the type integer: reset the stream",
        ),
        (
            "the saved position '2099-01-04' of at hides all rows that are added later: reset the stream",
            f"the saved position {HIDDEN} hides all rows that are added later: reset the stream",
        ),
        (
            "created anew since the last sync, and its greatest at \"it's\" is below the saved position 'x', so its rows would not"
            " be read",
            f"created anew since the last sync, and its greatest {HIDDEN}, so its rows would not be read",
        ),
        # A hostile source may repeat the beginnings: a pattern for them would need hours.
        ("the saved position ' ' of " * 50_000, "the saved position ' ' of " * 50_000),
    ],
)
def test_a_saved_position_is_hidden_in_messages(world: World, message: str, shown: str) -> None:
    with world.scope():
        context = context_of(world)
    assert hide_values(context, message) == shown
