"""Web processes tell orgs that no worker starts their runs, once each, and deliver their other alerts meanwhile."""

from __future__ import annotations

from datetime import timedelta
from threading import Barrier
from typing import Any
from uuid import UUID

import pytest
from django.db import connection
from django.utils import timezone

from apps.alerts.deciding import by_subject
from apps.alerts.installation.for_orgs import tell_without_workers
from apps.alerts.models import Channel, InstallationProblem, Rule
from apps.orgs.roles import Role
from tests.alerts.conftest import CHANNELS, add_webhook, deliver, fail, log_of, make_due
from tests.alerts.receiver import Receiver
from tests.runs.claiming.test_scheduling import create_schedule
from tests.threads import DatabaseThread
from tests.world import World, make_pipeline, make_world

LONG = timedelta(minutes=20)


def never_stopped() -> bool:
    return False


def lose_workers(*, told: bool = True) -> None:
    """Let the operators know that no worker is alive."""
    now = timezone.now()
    InstallationProblem.objects.create(
        part="workers", seen="never", began_at=now, seen_at=now, told_at=now if told else None
    )


def revive_worker() -> None:
    with connection.cursor() as cursor:
        cursor.execute("INSERT INTO procrastinate_workers DEFAULT VALUES")
    InstallationProblem.objects.all().delete()


def watch_runs(world: World, receiver: Receiver, **fields: Any) -> UUID:
    """Let a webhook be told, and nobody else."""
    with world.scope():
        Rule.objects.for_org(world.org).delete()
        Channel.objects.for_org(world.org).delete()
    return add_webhook(world, receiver, kind="no_worker", **fields)


def test_an_org_is_told_once_that_its_due_runs_do_not_start_and_once_that_they_do(
    world: World, receiver: Receiver
) -> None:
    channel = watch_runs(world, receiver)
    create_schedule(world, make_pipeline(world), overdue_by=LONG)
    lose_workers()
    assert tell_without_workers(never_stopped) == 1
    assert tell_without_workers(never_stopped) == 0
    (message,) = receiver.messages
    (event,) = message["events"]
    assert (event["kind"], event["rule"]["kind"]) == ("opened", "no_worker")
    assert event["subject"]["kind"] == "runs"
    assert event["subject"]["url"].endswith("/queue")
    assert event["summary"].startswith("do not start: one waits since ")

    revive_worker()
    assert tell_without_workers(never_stopped) == 0
    by_subject.tick()
    make_due(world, channel)
    deliver(world, channel)
    assert receiver.messages[1]["events"][0]["kind"] == "closed"


def test_a_run_that_waits_for_any_worker_is_told_too(world: World, receiver: Receiver) -> None:
    watch_runs(world, receiver, settings={"minutes": 3})
    pipeline = make_pipeline(world)
    started = world.client(Role.MEMBER).post(f"/api/v1/pipelines/{pipeline.pk}/run")
    assert started.status_code == 201, started.content
    lose_workers()
    assert tell_without_workers(never_stopped) == 0, "it waits for less than 3 minutes"
    with connection.cursor() as cursor, world.scope():
        cursor.execute("UPDATE runs_run SET created_at = created_at - interval '4 minutes'")
    assert tell_without_workers(never_stopped) == 1


@pytest.mark.parametrize(
    "what", ["nothing due", "paused", "not told", "worker", "soon", "disabled"]
)
def test_an_org_without_this_problem_is_told_nothing(
    world: World, receiver: Receiver, what: str
) -> None:
    watch_runs(world, receiver, enabled=what != "disabled")
    if what != "nothing due":
        overdue_by = timedelta(minutes=14) if what == "soon" else LONG
        paused_at = timezone.now() if what == "paused" else None
        create_schedule(world, make_pipeline(world), overdue_by=overdue_by, paused_at=paused_at)
    lose_workers(told=what != "not told")
    if what == "worker":  # It was alive 14 minutes ago.
        with connection.cursor() as cursor:
            cursor.execute(
                "INSERT INTO procrastinate_workers (last_heartbeat) VALUES (now() - interval '14 min')"
            )
    tell_without_workers(never_stopped)
    assert receiver.messages == []


def test_other_alerts_are_delivered_while_no_worker_is_alive(
    world: World, receiver: Receiver
) -> None:
    add_webhook(world, receiver)
    fail(world, "Orders")
    assert tell_without_workers(never_stopped) == 0
    lose_workers()
    tell_without_workers(never_stopped)
    assert receiver.pipelines() == [[("opened", "Orders")]]


def test_a_process_that_stops_sends_nothing_more(world: World, receiver: Receiver) -> None:
    watch_runs(world, receiver)
    create_schedule(world, make_pipeline(world), overdue_by=LONG)
    lose_workers()
    assert tell_without_workers(lambda: True) == 0
    assert tell_without_workers(never_stopped) == 1


def test_several_web_processes_at_the_same_time_tell_it_once(
    committed_db: None, receiver: Receiver
) -> None:
    worlds = [make_world(f"Org {number}") for number in range(3)]
    for world in worlds:
        watch_runs(world, receiver)
        create_schedule(world, make_pipeline(world), overdue_by=LONG)
    lose_workers()
    barrier = Barrier(4)

    def process() -> None:
        barrier.wait()
        tell_without_workers(never_stopped)

    threads = [DatabaseThread(target=process) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    tell_without_workers(never_stopped)
    told = [message["organization"]["id"] for message in receiver.messages]
    assert sorted(told) == sorted(str(world.org.pk) for world in worlds)


def test_a_viewer_and_a_stranger_do_not_see_it_and_members_do(
    world: World, stranger: World, receiver: Receiver
) -> None:
    channel = watch_runs(world, receiver)
    create_schedule(world, make_pipeline(world), overdue_by=LONG)
    lose_workers()
    tell_without_workers(never_stopped)
    (row,) = log_of(world, channel=channel)
    assert (row["kind"], row["state"]) == ("opened", "sent")
    for path in ("/api/v1/alerts/open", CHANNELS):
        assert world.client(Role.VIEWER).get(path).status_code == 403
    assert stranger.client(Role.OWNER).get("/api/v1/alerts/open").json()["results"] == []
    (found,) = world.client(Role.MEMBER).get("/api/v1/alerts/open").json()["results"]
    assert found["event"]["subject"]["name"] == "Runs"
    refused = world.client(Role.MEMBER).post(
        "/api/v1/alerts/rules",
        {"kind": "no_worker", "scope": "tag", "tag": "daily", "channel_ids": []},
    )
    assert refused.json()["errors"][0]["field"] == "scope"
