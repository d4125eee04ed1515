"""What was opened at PagerDuty or Opsgenie is resolved when the last alert behind it ends, in whatever way it ends."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from typing import Any
from uuid import UUID

import pytest
from django.db import connection

from apps.alerts.models import Delivery
from apps.alerts.sending import incidents
from apps.orgs.roles import Role
from apps.runs.models import Status
from tests.alerts.conftest import (
    CHANNELS,
    DELIVERIES,
    RULES,
    add_rule,
    add_webhook,
    deliver,
    end_run,
    fail,
    log_of,
    make_due,
)
from tests.alerts.incidents.test_incident_kinds import (
    SETTINGS,
    add_channel,
    bodies,
    delete_rule_of,
    resolved,
    servers,
)
from tests.alerts.receiver import Receiver, Reply
from tests.world import World, make_pipeline

__all__ = ["servers"]  # a fixture


class Burst:
    """Two pipelines with a rule each, whose alerts are one incident. The first one has recovered."""

    def __init__(self, world: World, receiver: Receiver, kind: str = "pagerduty") -> None:
        self.world, self.receiver, self.kind = world, receiver, kind
        self.channel = add_channel(world, kind, SETTINGS[kind])
        delete_rule_of(world, self.channel)
        warm_up, *self.pipelines = [make_pipeline(world, name=name) for name in "ABC"]
        self.rules = [
            add_rule(world, self.channel, scope="pipeline", scope_id=str(pipeline.pk))["id"]
            for pipeline in (warm_up, *self.pipelines)
        ][1:]
        for pipeline in (warm_up, *self.pipelines):  # The first one opens an incident of its own.
            end_run(world, pipeline)
            deliver(world, self.channel)
        self.send()
        end_run(world, warm_up, Status.SUCCEEDED)
        end_run(world, self.pipelines[0], Status.SUCCEEDED)
        self.send()
        self.incident = log_of(world, channel=self.channel)[1]["message_id"]
        assert self.incident not in resolved(receiver, kind)
        receiver.requests.clear()

    def send(self) -> None:
        make_due(self.world, self.channel)
        deliver(self.world, self.channel)

    def send_ends(self) -> None:
        """Find what has ended, twice, and send it."""
        for _ in range(2):
            incidents.tick()
        self.send()
        incidents.tick()
        self.send()


def call(world: World, method: str, path: str, body: Any = None) -> None:
    answer = getattr(world.client(Role.ADMIN), method)(path, body)
    assert answer.status_code in {200, 202, 204}, answer.content


def delete_rule(burst: Burst) -> None:
    call(burst.world, "delete", f"{RULES}/{burst.rules[1]}")


def disable_rule(burst: Burst) -> None:
    call(burst.world, "patch", f"{RULES}/{burst.rules[1]}", {"enabled": False})


def disable_rule_and_recover(burst: Burst) -> None:
    disable_rule(burst)
    end_run(burst.world, burst.pipelines[1], Status.SUCCEEDED)


def take_channel(burst: Burst) -> None:
    call(burst.world, "patch", f"{RULES}/{burst.rules[1]}", {"channel_ids": []})


def delete_pipeline(burst: Burst) -> None:
    call(burst.world, "delete", f"/api/v1/pipelines/{burst.pipelines[1].pk}")


def recover_while_the_channel_is_disabled(burst: Burst) -> None:
    path = f"{CHANNELS}/{burst.channel}"
    call(burst.world, "patch", path, {"enabled": False})
    end_run(burst.world, burst.pipelines[1], Status.SUCCEEDED)
    incidents.tick()
    call(burst.world, "patch", path, {"enabled": True})


def disable_the_channel_before_the_recovery_is_sent(burst: Burst) -> None:
    path = f"{CHANNELS}/{burst.channel}"
    end_run(burst.world, burst.pipelines[1], Status.SUCCEEDED)
    call(burst.world, "patch", path, {"enabled": False})
    call(burst.world, "patch", path, {"enabled": True})


def recover(burst: Burst) -> None:
    end_run(burst.world, burst.pipelines[1], Status.SUCCEEDED)


def recover_and_delete_rule(burst: Burst) -> None:
    recover(burst)
    delete_rule(burst)


ENDS: list[Callable[[Burst], None]] = [
    recover,
    recover_and_delete_rule,
    delete_rule,
    disable_rule,
    disable_rule_and_recover,
    take_channel,
    delete_pipeline,
    recover_while_the_channel_is_disabled,
    disable_the_channel_before_the_recovery_is_sent,
]


@pytest.mark.parametrize("kind", SETTINGS)
@pytest.mark.parametrize("end", ENDS, ids=lambda end: end.__name__)
def test_an_incident_is_resolved_once_when_its_last_alert_ends(
    world: World, receiver: Receiver, kind: str, end: Callable[[Burst], None]
) -> None:
    burst = Burst(world, receiver, kind)
    burst.send_ends()
    assert receiver.requests == [], "the second alert is open"
    end(burst)
    burst.send_ends()
    assert resolved(receiver, kind) == [burst.incident]
    assert len(receiver.requests) == 1
    row = log_of(world, channel=burst.channel)[-1]
    assert (row["kind"], row["state"]) == ("closed", "sent")


def test_an_incident_of_one_alert_is_resolved_when_its_rule_is_deleted(
    world: World, receiver: Receiver
) -> None:
    channel = add_channel(world, "opsgenie", SETTINGS["opsgenie"])
    end_run(world, make_pipeline(world, name="Orders"))
    deliver(world, channel)
    delete_rule_of(world, channel)
    incidents.tick()
    make_due(world, channel)
    deliver(world, channel)
    opened, closed = bodies(receiver)
    assert resolved(receiver, "opsgenie") == [opened["alias"]]
    assert closed["note"] == (
        "“Orders” has no open alert here any more: it is over, or its rule or pipeline was changed or deleted."
    )


def test_what_is_being_opened_while_its_rule_is_deleted_is_opened_and_then_resolved(
    world: World, receiver: Receiver
) -> None:
    channel = add_channel(world, "pagerduty", SETTINGS["pagerduty"])
    receiver.replies = [Reply(503), Reply(202), Reply(202)]
    end_run(world, make_pipeline(world))
    deliver(world, channel)
    delete_rule_of(world, channel)
    incidents.tick()
    for _ in range(2):
        make_due(world, channel)
        deliver(world, channel)
    assert [each["event_action"] for each in bodies(receiver)] == ["trigger", "trigger", "resolve"]


@pytest.mark.parametrize("kind", ["webhook", "pagerduty"])
def test_only_what_opens_incidents_gets_the_end_of_an_alert_without_recovery(
    world: World, receiver: Receiver, kind: str
) -> None:
    settings = {"url": receiver.url, "secret": "correct-horse-battery"}
    channel = add_channel(world, kind, SETTINGS.get(kind, settings))
    end_run(world, make_pipeline(world))
    deliver(world, channel)
    delete_rule_of(world, channel)
    assert incidents.tick() == (kind == "pagerduty")
    assert len(log_of(world, channel=channel)) == 1 + (kind == "pagerduty")


def test_a_stranger_does_not_see_the_end_of_an_incident_and_a_viewer_may_not(
    world: World, stranger: World, receiver: Receiver
) -> None:
    channel = add_channel(world, "pagerduty", SETTINGS["pagerduty"])
    end_run(world, make_pipeline(world))
    deliver(world, channel)
    delete_rule_of(world, channel)
    incidents.tick()
    with world.scope():
        closed = Delivery.objects.for_org(world.org).get(kind="closed")
    path = f"{DELIVERIES}/{closed.pk}"
    assert world.client(Role.MEMBER).get(path).status_code == 200
    assert stranger.client(Role.OWNER).get(path).status_code == 404
    assert world.client(Role.VIEWER).get(path).status_code == 403


def test_incidents_of_a_suspended_org_are_resolved_when_it_is_resumed(
    world: World, receiver: Receiver
) -> None:
    channel: UUID = add_channel(world, "pagerduty", SETTINGS["pagerduty"])
    end_run(world, make_pipeline(world))
    deliver(world, channel)
    delete_rule_of(world, channel)
    with world.scope():
        type(world.org).objects.filter(pk=world.org.pk).update(suspended_at="2026-01-01T00:00Z")
        assert incidents.tick() == 0
        type(world.org).objects.filter(pk=world.org.pk).update(suspended_at=None)
    assert incidents.tick() == 1


def test_incidents_that_were_open_before_the_upgrade_are_marked_by_a_migration(
    world: World, receiver: Receiver
) -> None:
    channel = add_channel(world, "pagerduty", SETTINGS["pagerduty"])
    hook = add_webhook(world, receiver)
    over, still_failing = fail(world, "Over", "Still failing")
    for each in (channel, hook):
        deliver(world, each)
    end_run(world, over, Status.SUCCEEDED)
    migration = import_module("apps.alerts.migrations.0023_find_open_incidents")
    with world.scope(), connection.cursor() as cursor:
        rows = Delivery.objects.for_org(world.org)
        rows.update(incident_open=False)
        cursor.execute(migration.MARK_OPEN)
        (marked,) = rows.filter(incident_open=True)
    assert (marked.channel_id, marked.pipeline_id) == (channel, still_failing.pk)
