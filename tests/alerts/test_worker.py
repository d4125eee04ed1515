"""A real worker runs a pipeline that fails, and the webhook gets the message."""

from __future__ import annotations

import time
from typing import Any
from uuid import UUID

import pytest

from apps.runs.models import Status
from tests.alerts.conftest import DELIVERIES, add_webhook, log_of, make_due
from tests.alerts.receiver import Receiver, Reply
from tests.runs.conftest import make_pipeline
from tests.runs.processes import (
    has_ended,
    running_worker,
    start_run,
    start_worker,
    wait_for_run,
)
from tests.world import World, make_world

# A source whose address is refused at once, and a run without retries.
FAILING: dict[str, Any] = {"source_kind": "rest", "source": {}, "max_attempts": 1}


@pytest.fixture
def acme(committed_db: None) -> World:
    return make_world()


def wait_for_messages(receiver: Receiver, count: int, seconds: float = 40) -> None:
    deadline = time.monotonic() + seconds
    while len(receiver.requests) < count:
        assert time.monotonic() < deadline, f"only {len(receiver.requests)} messages"
        time.sleep(0.01)


def test_a_worker_that_is_killed_while_it_sends_is_replaced_by_another_one(
    acme: World, receiver: Receiver
) -> None:
    channel = add_webhook(acme, receiver)
    receiver.replies = [Reply(wait=60)]
    run_id = start_run(acme, make_pipeline(acme, **FAILING))
    killed = start_worker()
    try:
        wait_for_run(acme, run_id, has_ended)
        wait_for_messages(receiver, 1)
    finally:
        killed.kill()
        killed.wait()
    make_due(acme, channel)
    with running_worker():
        wait_for_messages(receiver, 2)
        wait_until_sent(acme, channel)
    first, second = receiver.messages
    assert (first["id"], first["events"]) == (second["id"], second["events"])


def wait_until_sent(world: World, channel: UUID, seconds: float = 40) -> None:
    deadline = time.monotonic() + seconds
    while log_of(world, channel=channel)[0]["state"] != "sent":
        assert time.monotonic() < deadline, "the answer was not stored"
        time.sleep(0.05)


def test_a_worker_tells_the_webhook_that_a_run_has_failed(acme: World, receiver: Receiver) -> None:
    channel = add_webhook(acme, receiver)
    run_id = start_run(acme, make_pipeline(acme, **FAILING))
    with running_worker():
        run = wait_for_run(acme, run_id, has_ended)
        wait_for_messages(receiver, 1)
    assert run["status"] == Status.FAILED
    (message,) = receiver.messages
    assert message["events"][0]["run"]["id"] == str(run_id)
    assert message["events"][0]["failure"]["message"] == run["failure"]["message"]
    log = acme.client("member").get(DELIVERIES, {"channel": str(channel)}).json()["results"]
    assert [row["event_id"] for row in log] == [message["events"][0]["id"]]
