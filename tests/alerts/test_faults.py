"""A channel that answers with errors, hangs or redirects loses no event, and gets events in order."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import pytest
from django.db import connection
from django.utils import timezone

from apps.alerts.kinds import posting
from apps.alerts.models import Channel, Delivery
from apps.alerts.sending import attempts, delivering
from apps.orgs.models import AuditEvent, Org
from apps.orgs.roles import Role
from apps.runs.models import Status
from tests import mailbox
from tests.alerts.conftest import (
    CHANNELS,
    RULES,
    add_webhook,
    deliver,
    end_run,
    fail,
    log_of,
    make_due,
)
from tests.alerts.receiver import Receiver, Reply, running_receiver
from tests.engine.sandbox.remote_server import write_certificate
from tests.world import World, make_pipeline

WhileSending = Callable[[Callable[[], object]], None]


def state(world: World, channel: UUID) -> tuple[str, int, int | None]:
    (row,) = log_of(world, channel=channel)
    return row["state"], row["attempts"], row["answer_status"]


@pytest.mark.parametrize("status", [500, 503, 408, 429])
def test_a_message_that_was_not_accepted_is_sent_again_with_the_same_ids(
    world: World, receiver: Receiver, status: int
) -> None:
    receiver.replies = [Reply(status, b"busy")]
    channel = add_webhook(world, receiver)
    fail(world, "Orders")
    deliver(world, channel)
    assert state(world, channel) == ("pending", 1, status)
    deliver(world, channel)
    assert len(receiver.requests) == 1, "it did not wait"
    make_due(world, channel)
    deliver(world, channel)
    assert state(world, channel) == ("sent", 2, 200)
    first, second = receiver.messages
    assert (first["id"], first["events"]) == (second["id"], second["events"])


@pytest.mark.parametrize("status", [400, 401, 404, 410])
def test_a_refused_message_is_not_sent_again(world: World, receiver: Receiver, status: int) -> None:
    receiver.replies = [Reply(status, b"no such hook")]
    channel = add_webhook(world, receiver)
    fail(world, "Orders")
    deliver(world, channel)
    make_due(world, channel)
    deliver(world, channel)
    assert len(receiver.requests) == 1
    (row,) = log_of(world, channel=channel)
    assert (row["state"], row["answer"]) == ("failed", "no such hook")
    assert row["problem"] == f"The server answered {status}."


def test_a_server_that_hangs_is_given_up_and_tried_again(
    world: World, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(posting, "ANSWER_TIMEOUT", 0.3)
    receiver.replies = [Reply(wait=30)]
    channel = add_webhook(world, receiver)
    fail(world, "Orders")
    deliver(world, channel)
    (row,) = log_of(world, channel=channel)
    assert (row["state"], row["problem"]) == ("pending", "The server did not answer in time.")


def test_a_server_that_is_away_is_tried_again(world: World) -> None:
    with running_receiver() as gone:
        pass
    channel = add_webhook(world, gone)
    fail(world, "Orders")
    deliver(world, channel)
    (row,) = log_of(world, channel=channel)
    assert (row["state"], row["attempts"]) == ("pending", 1)
    assert "could not be reached" in row["problem"]


def test_a_server_whose_certificate_is_not_valid_gets_nothing_and_is_tried_again(
    world: World, tmp_path: Path
) -> None:
    certificate = tmp_path / "certificate.pem"
    write_certificate("localhost", certificate)
    with running_receiver(certificate) as unknown:
        channel = add_webhook(world, unknown)
        fail(world, "Orders")
        deliver(world, channel)
        assert unknown.requests == []
    (row,) = log_of(world, channel=channel)
    assert (row["state"], row["attempts"]) == ("pending", 1)
    assert row["problem"] == "The certificate of the server is not valid."


def test_a_redirect_is_not_followed(world: World, receiver: Receiver) -> None:
    with running_receiver() as private:
        receiver.replies = [Reply(307, headers={"Location": private.url})]
        channel = add_webhook(world, receiver)
        fail(world, "Orders")
        deliver(world, channel)
        assert private.requests == []
    (row,) = log_of(world, channel=channel)
    assert (row["state"], row["answer_status"]) == ("failed", 307)
    assert "redirect" in row["problem"]


def test_a_redirect_to_an_invalid_address_is_refused(world: World, receiver: Receiver) -> None:
    receiver.replies = [Reply(302, headers={"Location": "http://[::1"})]
    channel = add_webhook(world, receiver)
    fail(world, "Orders")
    deliver(world, channel)
    (row,) = log_of(world, channel=channel)
    assert (row["state"], row["answer_status"]) == ("failed", 302)


def test_a_private_address_is_refused(world: World, receiver: Receiver, settings: Any) -> None:
    channel = add_webhook(world, receiver)
    fail(world, "Orders")
    settings.ALLOW_PRIVATE_NETWORKS = False
    deliver(world, channel)
    (row,) = log_of(world, channel=channel)
    assert (row["state"], receiver.requests) == ("failed", [])
    assert "not a public address" in row["problem"]
    assert row["problem"].startswith("Host ")
    assert row["problem"].endswith(".")


def test_a_long_answer_is_cut_and_cleaned(world: World, receiver: Receiver) -> None:
    receiver.replies = [Reply(200, b"\0\xff" + b"x" * 1_000_000)]
    channel = add_webhook(world, receiver)
    fail(world, "Orders")
    deliver(world, channel)
    (row,) = log_of(world, channel=channel)
    assert row["state"] == "sent"
    assert row["answer"] == "\ufffd" + "x" * 499


def test_a_worker_that_dies_before_the_answer_is_stored_sends_again_with_the_same_ids(
    world: World, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    channel = add_webhook(world, receiver)
    fail(world, "Orders")

    def die(*_: object) -> None:
        raise SystemExit

    with monkeypatch.context() as patch:
        patch.setattr(delivering, "_record", die)
        with pytest.raises(SystemExit):
            deliver(world, channel)
    assert state(world, channel) == ("pending", 1, None)
    assert delivering.tick() == 1, "only the channel of the owners is due"
    make_due(world, channel)
    deliver(world, channel)
    assert state(world, channel) == ("sent", 2, 200)
    assert len({message["id"] for message in receiver.messages}) == 1


def test_a_message_whose_workers_all_die_is_given_up(world: World, receiver: Receiver) -> None:
    channel = add_webhook(world, receiver)
    fail(world, "Orders")
    with world.scope():
        rows = Delivery.objects.for_org(world.org).filter(channel_id=channel)
        rows.update(attempts=attempts.MAX_ATTEMPTS, message_id=uuid4())
    deliver(world, channel)
    (row,) = log_of(world, channel=channel)
    assert (row["state"], row["problem"]) == ("failed", "Each attempt was interrupted.")
    assert receiver.requests == []


def test_a_secret_that_cannot_be_decrypted_fails_the_message(
    world: World, receiver: Receiver
) -> None:
    channel = add_webhook(world, receiver)
    fail(world, "Orders")
    with world.scope():
        Channel.objects.for_org(world.org).filter(pk=channel).update(sealed="sealed by a lost key")
    deliver(world, channel)
    (row,) = log_of(world, channel=channel)
    assert (row["state"], receiver.requests) == ("failed", [])
    assert "enter it again" in row["problem"]


def test_a_job_that_runs_twice_sends_once(world: World, receiver: Receiver) -> None:
    channel = add_webhook(world, receiver)
    fail(world, "Orders")
    deliver(world, channel)
    deliver(world, channel)
    assert len(receiver.requests) == 1


def test_the_first_event_goes_at_once_and_those_that_follow_are_grouped(
    world: World, receiver: Receiver
) -> None:
    channel = add_webhook(world, receiver)
    fail(world, "First")
    deliver(world, channel)
    fail(world, *(f"Pipeline {n:02}" for n in range(25)))
    deliver(world, channel)
    assert [m["count"] for m in receiver.messages] == [1]
    make_due(world, channel)
    deliver(world, channel)
    assert [m["count"] for m in receiver.messages] == [1, 25]
    assert len(receiver.messages[1]["events"]) == 20
    assert {row["state"] for row in log_of(world, channel=channel)} == {"sent"}


def test_the_events_of_a_pipeline_arrive_in_order_and_others_do_not_wait_for_them(
    world: World, receiver: Receiver
) -> None:
    receiver.replies = [Reply(500)]
    channel = add_webhook(world, receiver)
    (orders,) = fail(world, "Orders")
    deliver(world, channel)
    end_run(world, orders, Status.SUCCEEDED)
    fail(world, "Customers")
    with world.scope():  # the window of the grouping ends before the next attempt is due
        Channel.objects.for_org(world.org).filter(pk=channel).update(grouped_until=timezone.now())
    deliver(world, channel)
    make_due(world, channel)
    deliver(world, channel)
    assert receiver.pipelines() == [
        [("opened", "Orders")],
        [("opened", "Customers")],
        [("opened", "Orders")],
        [("closed", "Orders")],
    ]


def test_a_message_fails_after_a_day_and_can_be_sent_again(
    world: World, receiver: Receiver
) -> None:
    channel = add_webhook(world, receiver)
    fail(world, "Orders")
    receiver.replies = [Reply(500), Reply(500)]
    deliver(world, channel)
    make_due(world, channel)
    with world.scope():
        first_attempt = timezone.now() - attempts.GIVE_UP_AFTER
        rows = Delivery.objects.for_org(world.org).filter(channel_id=channel)
        rows.update(first_attempt_at=first_attempt)
    deliver(world, channel)
    assert state(world, channel) == ("failed", 2, 500)
    (row,) = log_of(world, channel=channel)
    replayed = world.client("member").post(f"/api/v1/alerts/deliveries/{row['id']}/replay")
    assert replayed.status_code == 202, replayed.content
    deliver(world, channel)
    assert [r["state"] for r in log_of(world, channel=channel)] == ["failed", "sent"]
    events = [message["events"][0]["id"] for message in receiver.messages]
    assert events == [row["event_id"]] * 3


def test_waits_grow_and_respect_retry_after(world: World, receiver: Receiver) -> None:
    receiver.replies = [Reply(429, headers={"Retry-After": "3000"})]
    channel = add_webhook(world, receiver)
    fail(world, "Orders")
    deliver(world, channel)
    with world.scope():
        (row,) = Delivery.objects.for_org(world.org).filter(channel_id=channel)
    assert timedelta(minutes=49) < row.next_attempt_at - timezone.now() <= timedelta(minutes=50)


def test_a_channel_that_fails_for_a_week_is_disabled(world: World, receiver: Receiver) -> None:
    channel_id = add_webhook(world, receiver)
    fail(world, "Orders", "Customers")
    with world.scope():
        Channel.objects.for_org(world.org).filter(pk=channel_id).update(
            failing_since=timezone.now() - delivering.DISABLE_AFTER
        )
    receiver.replies = [Reply(500)]
    deliver(world, channel_id)
    channel = world.client("member").get(f"{CHANNELS}/{channel_id}").json()
    assert not channel["enabled"]
    assert "It has failed since" in channel["disabled_reason"]
    assert {row["state"] for row in log_of(world, channel=channel_id)} == {"failed"}
    with world.scope():
        disabled = AuditEvent.objects.for_org(world.org).filter(action="alert_channel.disable")
        assert disabled.count() == 1
    (notice,) = mailbox.deliver()
    assert notice.to == [world.users[Role.OWNER].email]
    assert notice.subject == "A channel for alerts was disabled"
    enabled = world.client("member").patch(f"{CHANNELS}/{channel_id}", {"enabled": True}).json()
    assert (enabled["disabled_reason"], enabled["failing_since"]) == ("", None)


def test_a_rule_that_is_deleted_while_its_message_waits_is_still_told(
    world: World, receiver: Receiver
) -> None:
    channel = add_webhook(world, receiver)
    fail(world, "Orders")
    for rule in world.client("member").get(RULES).json()["results"]:
        assert world.client("member").delete(f"{RULES}/{rule['id']}").status_code == 204
    deliver(world, channel)
    assert receiver.pipelines() == [[("opened", "Orders")]]


def test_a_job_that_is_lost_before_it_has_sent_anything_loses_no_event(
    world: World, receiver: Receiver
) -> None:
    """A worker is killed between deciding and sending, with the jobs that it has fetched."""
    channel = add_webhook(world, receiver)
    fail(world, "Orders")
    with connection.cursor() as cursor:
        cursor.execute("DELETE FROM procrastinate_jobs")
    assert delivering.tick() == 2, "the webhook and the channel of the owners"
    deliver(world, channel)
    assert receiver.pipelines() == [[("opened", "Orders")]]


@pytest.fixture
def while_sending(monkeypatch: pytest.MonkeyPatch) -> WhileSending:
    """Do something after the answer has come, and before it is stored."""

    def set_action(action: Callable[[], object]) -> None:
        record = delivering._record

        def act_first(claimed: Any, answer: Any) -> None:
            action()
            record(claimed, answer)

        monkeypatch.setattr(delivering, "_record", act_first)

    return set_action


def test_a_rule_that_is_deleted_while_its_message_is_sent_leaves_the_answer_in_the_log(
    world: World, receiver: Receiver, while_sending: WhileSending
) -> None:
    channel = add_webhook(world, receiver)
    fail(world, "Orders")
    client = world.client("member")
    rules = [rule["id"] for rule in client.get(RULES).json()["results"]]
    while_sending(lambda: [client.delete(f"{RULES}/{rule}") for rule in rules])
    deliver(world, channel)
    assert client.get(RULES).json()["results"] == []
    assert state(world, channel) == ("sent", 1, 200)


def test_an_org_that_is_suspended_while_its_message_is_sent_keeps_the_answer_and_sends_no_more(
    world: World, receiver: Receiver, while_sending: WhileSending
) -> None:
    channel = add_webhook(world, receiver)
    fail(world, "Orders")

    def suspend() -> None:
        with world.scope():
            Org.objects.filter(pk=world.org.pk).update(suspended_at=timezone.now())

    while_sending(suspend)
    deliver(world, channel)
    fail(world, "Customers")
    make_due(world, channel)
    deliver(world, channel)
    assert receiver.pipelines() == [[("opened", "Orders")]]
    with world.scope():
        Org.objects.filter(pk=world.org.pk).update(suspended_at=None)
    assert [row["state"] for row in log_of(world, channel=channel)] == ["sent", "pending"]


def test_a_channel_that_is_disabled_while_its_message_is_sent_fails_it_and_keeps_the_rest(
    world: World, receiver: Receiver, while_sending: WhileSending
) -> None:
    channel = add_webhook(world, receiver)
    fail(world, "Orders")
    while_sending(lambda: world.client("member").patch(f"{CHANNELS}/{channel}", {"enabled": False}))
    deliver(world, channel)
    (row,) = log_of(world, channel=channel)
    assert (row["state"], row["problem"]) == ("failed", "The channel was disabled.")


def test_a_channel_that_is_deleted_while_its_message_is_sent_ends_quietly(
    world: World, receiver: Receiver, while_sending: WhileSending
) -> None:
    channel = add_webhook(world, receiver)
    fail(world, "Orders")
    while_sending(lambda: world.client("member").delete(f"{CHANNELS}/{channel}"))
    deliver(world, channel)
    assert log_of(world, channel=channel) == []


def test_nothing_is_sent_for_a_suspended_org_until_it_is_resumed(
    world: World, receiver: Receiver
) -> None:
    channel = add_webhook(world, receiver)
    fail(world, "Orders")
    with world.scope():
        Org.objects.filter(pk=world.org.pk).update(suspended_at=timezone.now())
    deliver(world, channel)
    assert (delivering.tick(), receiver.requests) == (0, [])
    with world.scope():
        Org.objects.filter(pk=world.org.pk).update(suspended_at=None)
    assert delivering.tick() == 2, "the webhook and the channel of the owners"
    deliver(world, channel)
    assert len(receiver.requests) == 1


def test_a_pipeline_that_is_deleted_leaves_its_deliveries(world: World, receiver: Receiver) -> None:
    channel = add_webhook(world, receiver)
    pipeline = make_pipeline(world, name="Orders")
    end_run(world, pipeline)
    deleted = world.client("owner").delete(f"/api/v1/pipelines/{pipeline.pk}")
    assert deleted.status_code == 204, deleted.content
    deliver(world, channel)
    assert receiver.pipelines() == [[("opened", "Orders")]]
