"""What arrives in each kind of channel."""

from __future__ import annotations

import hashlib
import hmac
from typing import Any
from uuid import UUID

import orjson
import pytest
from django.core import mail
from django.utils.timezone import now

from apps.alerts.examples import EVENT, MESSAGE
from apps.alerts.kinds import slack
from apps.alerts.models import Channel
from apps.orgs.models import VerifiedDomain
from apps.orgs.roles import Role
from apps.runs.models import Status
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
from tests.alerts.receiver import Receiver, Reply
from tests.world import World, make_pipeline

HOSTILE = "a <!channel> *b* https://evil.example.com “c”"


def add_channel(world: World, kind: str, settings: dict[str, Any]) -> UUID:
    if kind == "email":
        row = {"org": world.org, "domain": "example.com", "token": "t", "verified_at": now()}
        with world.scope():
            VerifiedDomain.unscoped.create(**row)
    created = world.client("member").post(
        CHANNELS, {"name": kind, "kind": kind, "settings": settings}
    )
    assert created.status_code == 201, created.content
    add_rule(world, created.json()["id"])
    return UUID(created.json()["id"])


def test_a_webhook_is_signed_over_time_stamp_and_body(world: World, receiver: Receiver) -> None:
    channel = add_webhook(world, receiver)
    fail(world, "Orders")
    deliver(world, channel)
    (request,) = receiver.requests
    signed = request.headers["drover-timestamp"].encode() + b"." + request.body
    expected = hmac.new(SECRET.encode(), signed, hashlib.sha256).hexdigest()
    assert request.headers["drover-signature"] == f"v1={expected}"
    assert request.headers["drover-message-id"] == request.message["id"]
    assert request.headers["content-type"] == "application/json"


def test_slack_gets_blocks_in_which_names_mean_nothing(world: World, receiver: Receiver) -> None:
    channel = add_channel(world, "slack", {"url": receiver.url})
    fail(world, HOSTILE)
    deliver(world, channel)
    body = orjson.loads(receiver.requests[0].body)
    header, section = body["blocks"]
    assert header["text"]["type"] == "plain_text"
    assert "<!channel>" not in section["text"]["text"]
    assert "&lt;!channel&gt;" in section["text"]["text"]
    assert "*b*" not in section["text"]["text"]
    assert "Next step: Update the connector's password" in section["text"]["text"]
    assert len(orjson.dumps(slack.body(_large_message()))) < 100_000


def test_a_message_with_several_events_leads_to_the_page_of_alerts(world: World) -> None:
    body: Any = slack.body(_large_message())
    assert "/alerts/deliveries|Open all alerts>" in body["blocks"][-1]["text"]["text"]
    channel = add_channel(world, "email", {"to": ["ops@example.com"]})
    fail(world, "First")
    deliver(world, channel)
    fail(world, "Second", "Third")
    with world.scope():
        Channel.objects.for_org(world.org).update(grouped_until=None)
    deliver(world, channel)
    first, grouped = (str(message.body) for message in mail.outbox)
    assert "/alerts/deliveries" not in first
    assert "/alerts/deliveries" in grouped


def _large_message() -> Any:
    return {**MESSAGE, "count": 200, "events": [EVENT] * 20}


def test_a_mail_names_the_pipeline_the_reason_and_the_next_step(world: World) -> None:
    channel = add_channel(world, "email", {"to": ["Ops@Example.com", "two@example.com"]})
    pipeline = make_pipeline(world, name=HOSTILE)
    run = end_run(world, pipeline)
    deliver(world, channel)
    (message,) = mail.outbox
    assert message.to == ["ops@example.com", "two@example.com"]
    text = str(message.body)
    assert "has failed after 3 attempts." in text
    assert "Reason (authentication): The source refused the password." in text
    assert "Next step: Update the connector's password" in text
    assert f"/runs/{run.pk}" in text
    assert "https://evil" not in text
    assert isinstance(message, mail.EmailMultiAlternatives)
    ((html, kind),) = message.alternatives
    assert kind == "text/html"
    assert "has failed after 3 attempts." in str(html)


def test_a_mail_goes_only_to_members_and_to_verified_domains(world: World) -> None:
    member = world.users[Role.VIEWER].email
    body = {"name": "Mail", "kind": "email", "settings": {"to": [member, "ops@elsewhere.example"]}}
    refused = world.client("member").post(CHANNELS, body)
    assert refused.status_code == 422
    assert [error["field"] for error in refused.json()["errors"]] == ["settings.to.1"]

    channel = add_channel(world, "email", {"to": [member, "ops@example.com"]})
    with world.scope():
        VerifiedDomain.unscoped.filter(org=world.org).delete()
    fail(world, "Orders")
    deliver(world, channel)
    (message,) = mail.outbox
    assert message.to == [member]


def test_a_mail_says_when_the_pipeline_has_recovered(world: World) -> None:
    channel = add_channel(world, "email", {"to": ["ops@example.com"]})
    (pipeline,) = fail(world, "Orders")
    end_run(world, pipeline, Status.SUCCEEDED)
    deliver(world, channel)
    (message,) = mail.outbox
    assert "“Orders” has recovered: its last run has succeeded." in str(message.body)


def test_an_answer_that_repeats_a_secret_is_stored_without_it(
    world: World, receiver: Receiver
) -> None:
    channel = add_webhook(world, receiver)
    receiver.replies = [Reply(500, f"key {SECRET}".encode())]
    fail(world, "Orders")
    deliver(world, channel)
    (row,) = log_of(world, channel=channel)
    assert row["answer"] == "key [secret]"


LONG_SECRET = "".join(f"{number:03}" for number in range(60))


@pytest.mark.parametrize(
    ("body", "stored"),
    [
        (LONG_SECRET * 20, "[secret]" * 12),  # more than is read
        (f"key {LONG_SECRET[:100]}", "key [secret]"),
        (f"key {LONG_SECRET[:4]}", "key [secret]"),
        (f"key {LONG_SECRET}, and {LONG_SECRET[:-1]}", "key [secret], and [secret]"),
        ("key 00", "key 00"),
    ],
)
def test_an_answer_that_ends_within_a_secret_is_stored_without_its_beginning(
    world: World, receiver: Receiver, body: str, stored: str
) -> None:
    channel = add_channel(world, "webhook", {"url": receiver.url, "secret": LONG_SECRET})
    receiver.replies = [Reply(500, body.encode())]
    fail(world, "Orders")
    deliver(world, channel)
    (row,) = log_of(world, channel=channel)
    assert row["answer"] == stored


@pytest.mark.parametrize("kind", ["slack", "webhook", "email"])
def test_a_test_message_arrives_alone_and_is_not_sent_again(
    world: World, receiver: Receiver, kind: str
) -> None:
    settings: dict[str, dict[str, Any]] = {
        "slack": {"url": receiver.url},
        "webhook": {"url": receiver.url, "secret": SECRET},
        "email": {"to": ["ops@example.com"]},
    }
    channel = add_channel(world, kind, settings[kind])
    receiver.replies = [Reply(500)]
    answer = world.client("member").post(f"{CHANNELS}/{channel}/test")
    assert (answer.status_code, answer.json()["state"]) == (202, "pending")
    deliver(world, channel)
    (row,) = log_of(world, channel=channel)
    assert row["kind"] == "test"
    assert row["state"] == ("sent" if kind == "email" else "failed")
    assert len(receiver.requests) + len(mail.outbox) == 1
