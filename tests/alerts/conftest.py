"""A receiver of messages, and pipelines whose runs end as a test says."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest
from django.utils import timezone

from apps.alerts.models import Channel, Delivery
from apps.alerts.sending import delivering
from apps.orgs.roles import Role
from apps.runs import states
from apps.runs.models import Run, Status
from tests.alerts.receiver import Receiver, running_receiver
from tests.world import World, make_pipeline

SECRET = "correct-horse-battery"
CHANNELS, RULES, DELIVERIES = (
    f"/api/v1/alerts/{name}" for name in ("channels", "rules", "deliveries")
)


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with running_receiver() as running:
        yield running


@pytest.fixture(autouse=True)
def private_networks(settings: Any) -> None:
    """The receiver listens on loopback."""
    settings.ALLOW_PRIVATE_NETWORKS = True


def add_webhook(world: World, receiver: Receiver, **rule: Any) -> UUID:
    """Create a webhook and a rule that uses it, and return the id of the channel."""
    client = world.client(Role.MEMBER)
    settings = {"url": receiver.url, "secret": SECRET}
    body = {"name": f"Hook {receiver.url}", "kind": "webhook", "settings": settings}
    created = client.post(CHANNELS, body)
    assert created.status_code == 201, created.content
    add_rule(world, created.json()["id"], **rule)
    return UUID(created.json()["id"])


def add_rule(world: World, channel_id: Any, **fields: Any) -> dict[str, Any]:
    body = {"kind": "run_failed", "channel_ids": [str(channel_id)], **fields}
    created = world.client(Role.MEMBER).post(RULES, body)
    assert created.status_code == 201, created.content
    rule: dict[str, Any] = created.json()
    return rule


def end_run(world: World, pipeline: Any, status: Status = Status.FAILED, **columns: Any) -> Run:
    """Let a run of the pipeline end."""
    now = timezone.now()
    with world.scope():
        run = Run.unscoped.create(
            org=world.org,
            pipeline=pipeline,
            version=1,
            status=Status.RUNNING,
            trigger=columns.pop("trigger", "schedule"),
            attempt=3,
            lease=uuid4(),
            lease_until=now + timedelta(minutes=1),
            started_at=now - timedelta(minutes=1),
        )
        failure = {
            "failure_class": "authentication",
            "failure_message": "The source refused the password.",
            "failure_retryable": False,
        }
        moved = states.move(
            org_id=world.org.pk,
            run_id=run.pk,
            before=Status.RUNNING,
            after=status,
            finished_at=now,
            **{**(failure if status == Status.FAILED else {}), **columns},
        )
        assert moved
    return run


def fail(world: World, *names: str) -> list[Any]:
    """Create pipelines with these names whose runs fail, and return them."""
    pipelines = [make_pipeline(world, name=name) for name in names]
    for pipeline in pipelines:
        end_run(world, pipeline)
    return pipelines


def deliver(world: World, channel_id: UUID) -> None:
    delivering.deliver(org_id=world.org.pk, channel_id=channel_id)


def make_due(world: World, channel_id: UUID) -> None:
    """Let the waits before the next attempt, and of the grouping, end."""
    now = timezone.now()
    with world.scope():
        rows = Delivery.objects.for_org(world.org).filter(channel_id=channel_id)
        rows.update(next_attempt_at=now)
        Channel.objects.for_org(world.org).filter(pk=channel_id).update(grouped_until=now)


def log_of(world: World, **filters: Any) -> list[dict[str, Any]]:
    """Return the log of deliveries, oldest first."""
    answer = world.client(Role.MEMBER).get(DELIVERIES, filters)
    assert answer.status_code == 200, answer.content
    rows: list[dict[str, Any]] = answer.json()["results"]
    return rows[::-1]
