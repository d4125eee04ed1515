"""Who is told that a run has ended is decided in the transaction that ends it."""

from __future__ import annotations

from django.core import mail
from django.db import connection, transaction
from django.test.utils import CaptureQueriesContext

from apps.alerts.models import Alert, Delivery
from apps.orgs.members import domains
from apps.orgs.principals import SYSTEM
from apps.orgs.roles import Role
from apps.runs.models import Run, Status
from tests.alerts.conftest import (
    CHANNELS,
    SECRET,
    add_rule,
    add_webhook,
    deliver,
    end_run,
    fail,
    log_of,
)
from tests.alerts.receiver import Receiver
from tests.world import World, make_pipeline


def test_a_failed_run_is_told_once_and_the_next_success_closes_the_alert(
    world: World, receiver: Receiver
) -> None:
    channel = add_webhook(world, receiver)
    pipeline = make_pipeline(world, name="Orders")
    for status in (Status.FAILED, Status.FAILED, Status.SUCCEEDED, Status.SUCCEEDED):
        end_run(world, pipeline, status)

    events = [row["event"] for row in log_of(world, channel=channel)]

    assert [event["kind"] for event in events] == ["opened", "closed"]
    opened, closed = events
    assert opened["alert_id"] == closed["alert_id"]
    assert opened["pipeline"]["name"] == "Orders"
    assert opened["run"]["attempts"] == 3
    assert opened["failure"]["class"] == "authentication"
    assert opened["failure"]["next_step"]
    assert closed["failure"] is None
    assert closed["run"]["status"] == "succeeded"
    with world.scope():
        assert not Alert.objects.for_org(world.org).filter(closed_at=None).exists()


def test_the_end_of_a_run_needs_the_same_number_of_queries_for_many_rules_and_channels(
    world: World, receiver: Receiver
) -> None:
    pipeline = make_pipeline(world)
    add_webhook(world, receiver, kind="failed_in_a_row", settings={"threshold": 2})
    end_run(world, pipeline)
    with CaptureQueriesContext(connection) as few:
        end_run(world, pipeline)
    for number in range(3):
        settings = {"url": receiver.url, "secret": SECRET}
        channel = {"name": f"Hook {number}", "kind": "webhook", "settings": settings}
        add_rule(world, world.client(Role.MEMBER).post(CHANNELS, channel).json()["id"])
    with CaptureQueriesContext(connection) as many:
        end_run(world, pipeline)

    assert len(many) == len(few)
    with world.scope():
        opened = Delivery.objects.for_org(world.org).filter(kind="opened")
        assert opened.filter(channel__kind="webhook").count() == 1 + 3


def test_an_end_that_is_rolled_back_is_not_told(world: World, receiver: Receiver) -> None:
    add_webhook(world, receiver)
    pipeline = make_pipeline(world)
    with transaction.atomic():
        end_run(world, pipeline)
        transaction.set_rollback(True)
    with world.scope():
        assert not Delivery.objects.for_org(world.org).exists()
        assert not Alert.objects.for_org(world.org).exists()


def test_a_replay_is_not_told(world: World, receiver: Receiver) -> None:
    add_webhook(world, receiver)
    end_run(world, make_pipeline(world), trigger="replay")
    assert log_of(world) == []


def test_a_cancelled_run_neither_opens_nor_closes_an_alert(
    world: World, receiver: Receiver
) -> None:
    channel = add_webhook(world, receiver)
    pipeline = make_pipeline(world)
    for status in (Status.CANCELLED, Status.FAILED, Status.CANCELLED):
        end_run(world, pipeline, status)
    assert [row["kind"] for row in log_of(world, channel=channel)] == ["opened"]


def test_a_rule_can_wait_for_several_failures_in_a_row(world: World, receiver: Receiver) -> None:
    channel = add_webhook(world, receiver, kind="failed_in_a_row", settings={"threshold": 3})
    pipeline = make_pipeline(world)
    ends = [Status.FAILED, Status.FAILED, Status.SUCCEEDED, Status.FAILED, Status.FAILED]
    for status in ends:
        end_run(world, pipeline, status)
    assert log_of(world, channel=channel) == []
    end_run(world, pipeline)
    (row,) = log_of(world, channel=channel)
    assert row["event"]["rule"] == {
        **row["event"]["rule"],
        "kind": "failed_in_a_row",
        "settings": {"threshold": 3},
    }


def test_a_rule_applies_to_its_domain_tag_or_pipeline_only(
    world: World, receiver: Receiver
) -> None:
    with world.scope():
        domain = domains.create(org=world.org, by=SYSTEM, name="Marketing")
    in_domain = make_pipeline(world, name="In domain", domain_id=domain.pk)
    tagged = make_pipeline(world, name="Tagged", tags=["daily"])
    single = make_pipeline(world, name="Single")
    other = make_pipeline(world, name="Other", tags=["hourly"])
    channel = add_webhook(world, receiver, scope="domain", scope_id=str(domain.pk))
    add_rule(world, channel, scope="tag", tag="Daily")
    add_rule(world, channel, scope="pipeline", scope_id=str(single.pk))
    for pipeline in (in_domain, tagged, single, other):
        end_run(world, pipeline)
    told = [row["event"]["pipeline"]["name"] for row in log_of(world, channel=channel)]
    assert told == ["In domain", "Tagged", "Single"]


def test_disabled_rules_and_channels_tell_nobody(world: World, receiver: Receiver) -> None:
    channel = add_webhook(world, receiver, enabled=False)
    add_rule(world, channel)
    world.client("member").patch(f"/api/v1/alerts/channels/{channel}", {"enabled": False})
    fail(world, "Orders")
    assert log_of(world, channel=channel) == []


def test_a_new_org_tells_its_owners(world: World) -> None:
    fail(world, "Orders")
    (row,) = log_of(world)
    assert row["channel"]["name"] == "Owners"
    deliver(world, row["channel"]["id"])
    (message,) = mail.outbox
    assert message.to == [world.users[Role.OWNER].email]
    assert message.subject == "Failed: “Orders”"


def test_the_pipeline_of_a_run_of_another_org_is_never_told(
    world: World, stranger: World, receiver: Receiver
) -> None:
    add_webhook(world, receiver)
    fail(stranger, "Theirs")
    assert log_of(world) == []
    with world.scope():
        assert not Run.objects.for_org(world.org).exists()
