"""A fault in deciding keeps no run from ending. What was not decided is decided later, in order."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from django.db import connection
from structlog.testing import capture_logs

from apps.alerts.deciding import decisions, undecided
from apps.alerts.models import Alert, UndecidedRun
from apps.runs.models import Run, Status
from tests.alerts.conftest import add_webhook, deliver, end_run, log_of
from tests.alerts.receiver import Receiver
from tests.world import World, make_pipeline


@contextmanager
def faulty_statement() -> Iterator[None]:
    """Let a statement of deciding fail. Without a savepoint, the transaction that ends the run could not be committed."""

    def fail(*_: object) -> None:
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1 / 0")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(decisions, "open_alerts", fail)
        yield


def undecided_count(world: World) -> int:
    with world.scope():
        return UndecidedRun.objects.for_org(world.org).count()


def test_a_run_ends_although_deciding_fails_and_is_decided_later(
    world: World, receiver: Receiver
) -> None:
    channel = add_webhook(world, receiver)
    pipeline = make_pipeline(world, name="Orders")
    with faulty_statement(), capture_logs() as logs:
        run = end_run(world, pipeline)
        undecided.tick()
    with world.scope():
        assert Run.objects.for_org(world.org).get(pk=run.pk).status == Status.FAILED
        row = UndecidedRun.objects.for_org(world.org).get()
        assert (row.pipeline_id, row.tries) == (pipeline.pk, 2)
    assert log_of(world, channel=channel) == []
    (first, _) = logs
    assert (first["run"], first["exc_info"]) == (str(run.pk), True)

    assert undecided.tick() == 1
    (event,) = [row["event"] for row in log_of(world, channel=channel)]
    assert (event["kind"], event["run"]["id"]) == ("opened", str(run.pk))
    assert event["failure"]["class"] == "authentication"
    assert (undecided_count(world), undecided.tick()) == (0, 0)


def test_a_success_is_decided_after_the_failure_that_it_ends(
    world: World, receiver: Receiver
) -> None:
    channel = add_webhook(world, receiver)
    pipeline = make_pipeline(world)
    with faulty_statement():
        end_run(world, pipeline)
    end_run(world, pipeline, Status.SUCCEEDED)
    assert undecided_count(world) == 2
    assert undecided.tick() == 2
    assert [row["kind"] for row in log_of(world, channel=channel)] == ["opened", "closed"]
    with world.scope():
        assert not Alert.objects.for_org(world.org).filter(closed_at=None).exists()


def test_other_pipelines_do_not_wait_for_one_that_is_undecided(
    world: World, receiver: Receiver
) -> None:
    channel = add_webhook(world, receiver)
    with faulty_statement():
        end_run(world, make_pipeline(world, name="Waits"))
    end_run(world, make_pipeline(world, name="Goes on"))
    assert [row["event"]["pipeline"]["name"] for row in log_of(world, channel=channel)] == [
        "Goes on"
    ]
    deliver(world, channel)


def test_failures_in_a_row_are_counted_up_to_the_undecided_run(
    world: World, receiver: Receiver
) -> None:
    channel = add_webhook(world, receiver, kind="failed_in_a_row", settings={"threshold": 2})
    pipeline = make_pipeline(world)
    with world.scope():
        Alert.objects.for_org(world.org).delete()
    end_run(world, pipeline)
    with faulty_statement():
        second = end_run(world, pipeline)
    end_run(world, pipeline, Status.SUCCEEDED)
    undecided.tick()
    opened, _ = [row["event"] for row in log_of(world, channel=channel)]
    assert opened["run"]["id"] == str(second.pk)


def test_undecided_runs_of_another_org_are_not_touched(world: World, stranger: World) -> None:
    with faulty_statement():
        end_run(stranger, make_pipeline(stranger))
    assert (undecided_count(world), undecided_count(stranger)) == (0, 1)


def test_a_replay_is_never_undecided(world: World) -> None:
    with faulty_statement():
        end_run(world, make_pipeline(world), trigger="replay")
    assert undecided_count(world) == 0
