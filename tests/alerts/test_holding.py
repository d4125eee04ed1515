"""Snoozes, quiet hours and digests hold messages back, and lose none."""

from __future__ import annotations

import random
from collections import Counter
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import orjson
import pytest
from django.core import mail
from django.utils import timezone

from apps.alerts.kinds import pagerduty
from apps.alerts.models import Alert, Channel, Delivery, Snooze
from apps.alerts.sending import delivering
from apps.alerts.snoozing import releasing
from apps.orgs.models import AuditEvent
from apps.orgs.roles import Role
from apps.runs.models import Status
from tests.alerts.conftest import (
    CHANNELS,
    RULES,
    add_rule,
    add_webhook,
    deliver,
    end_run,
    log_of,
)
from tests.alerts.receiver import Receiver, Reply
from tests.world import World, make_pipeline

OPEN = "/api/v1/alerts/open"
DAYS = ["monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"]
NIGHTS = {
    "kind": "quiet_hours",
    "timezone": "Europe/Berlin",
    "periods": [{"weekdays": DAYS, "start": "22:00", "end": "08:00"}],
}
DAILY = {"kind": "digest", "timezone": "Europe/Berlin", "weekdays": DAYS, "at": "08:00"}


class Clock:
    """The time of Drover in a test, which the test sets."""

    def __init__(self) -> None:
        self.now = timezone.now()

    def set(self, text: str) -> None:
        self.now = datetime.fromisoformat(text).astimezone(UTC)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(timezone, "now", lambda: clock.now)
    return clock


@pytest.fixture(autouse=True)
def pagerduty_is_the_receiver(receiver: Receiver, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(pagerduty.ADDRESSES, "events.pagerduty.com", receiver.url)


def set_timing(world: World, channel: UUID, timing: Any) -> dict[str, Any]:
    changed = world.client(Role.OWNER).patch(f"{CHANNELS}/{channel}", {"timing": timing})
    assert changed.status_code == 200, changed.content
    row: dict[str, Any] = changed.json()
    return row


def add_pagerduty(world: World) -> UUID:
    settings = {"routing_key": "e93facc04764012d7bfb002500d5d1a6"}
    body = {"name": "Pager", "kind": "pagerduty", "settings": settings}
    created = world.client(Role.MEMBER).post(CHANNELS, body)
    assert created.status_code == 201, created.content
    add_rule(world, created.json()["id"])
    return UUID(created.json()["id"])


def at_end(world: World, pipeline: Any, clock: Clock, status: Status = Status.FAILED) -> None:
    end_run(world, pipeline, status)
    with world.scope():  # these columns have the time of the computer
        rows = Delivery.objects.for_org(world.org).filter(message_id=None, attempts=0)
        rows.filter(created_at__gt=clock.now).update(
            created_at=clock.now, next_attempt_at=clock.now
        )


def fail(world: World, clock: Clock, name: str) -> Any:
    """Let the run of a new pipeline fail."""
    pipeline = make_pipeline(world, name=name)
    at_end(world, pipeline, clock)
    return pipeline


def states(world: World, channel: UUID) -> list[tuple[str, str]]:
    return [(row["kind"], row["state"]) for row in log_of(world, channel=channel)]


def actions(receiver: Receiver) -> list[str]:
    return [orjson.loads(request.body)["event_action"] for request in receiver.requests]


def rule_of(world: World, channel: UUID) -> str:
    rules = world.client(Role.MEMBER).get(RULES).json()["results"]
    (rule,) = (rule for rule in rules if str(channel) in rule["channel_ids"])
    return str(rule["id"])


def snooze_rule(world: World, channel: UUID, clock: Clock, hours: float = 1) -> None:
    until = (clock.now + timedelta(hours=hours)).isoformat()
    body = {"until": until, "reason": "The source is migrated"}
    answer = world.client(Role.MEMBER).post(f"{RULES}/{rule_of(world, channel)}/snooze", body)
    assert answer.status_code == 200, answer.content


def only_alert(world: World, channel: UUID) -> dict[str, Any]:
    rule = rule_of(world, channel)
    alerts = world.client(Role.MEMBER).get(OPEN).json()["results"]
    (alert,) = (each for each in alerts if each["rule_id"] == rule)
    found: dict[str, Any] = alert
    return found


def snooze_alert(world: World, channel: UUID, clock: Clock) -> dict[str, Any]:
    """Snooze the only open alert of the channel for an hour."""
    body = {"until": (clock.now + timedelta(hours=1)).isoformat()}
    address = f"{OPEN}/{only_alert(world, channel)['id']}/snooze"
    answer = world.client(Role.MEMBER).post(address, body)
    assert answer.status_code == 200, answer.content
    snooze: dict[str, Any] = answer.json()["snooze"]
    return snooze


def test_what_happens_in_quiet_hours_is_one_message_at_their_end(
    world: World, receiver: Receiver, clock: Clock
) -> None:
    clock.set("2026-06-03T21:00:00+02:00")
    channel = add_webhook(world, receiver)
    set_timing(world, channel, NIGHTS)
    pipelines = [make_pipeline(world, name=name) for name in ("First", "Second", "Third")]
    clock.set("2026-06-03T23:00:00+02:00")
    for pipeline in pipelines:
        at_end(world, pipeline, clock)
        deliver(world, channel)
    clock.set("2026-06-04T03:00:00+02:00")
    at_end(world, pipelines[0], clock, Status.SUCCEEDED)
    deliver(world, channel)
    clock.set("2026-06-04T07:59:59+02:00")
    deliver(world, channel)
    assert receiver.requests == []
    (shown,) = (r for r in log_of(world, channel=channel) if r["kind"] == "closed")
    assert (shown["state"], shown["held_until"]) == ("pending", "2026-06-04T06:00:00Z")
    clock.set("2026-06-04T08:00:00+02:00")
    deliver(world, channel)
    (message,) = receiver.messages
    assert receiver.pipelines() == [
        [("opened", "First"), ("opened", "Second"), ("opened", "Third"), ("closed", "First")]
    ]
    assert message["count"] == 4
    assert message["recovered_count"] == 1
    assert [each["alert_id"] for each in message["recovered"]] == [message["events"][0]["alert_id"]]
    assert {state for _, state in states(world, channel)} == {"sent"}


def test_a_mail_after_quiet_hours_says_what_has_recovered(world: World, clock: Clock) -> None:
    clock.set("2026-06-03T21:00:00+02:00")
    (owners,) = world.client(Role.MEMBER).get(CHANNELS).json()["results"]
    set_timing(world, owners["id"], NIGHTS)
    pipelines = [make_pipeline(world, name=name) for name in ("First", "Second")]
    clock.set("2026-06-03T23:00:00+02:00")
    for pipeline in pipelines:
        at_end(world, pipeline, clock)
    at_end(world, pipelines[0], clock, Status.SUCCEEDED)
    clock.set("2026-06-04T08:00:00+02:00")
    deliver(world, owners["id"])
    (message,) = mail.outbox
    assert message.subject == "2 alerts of your pipelines, 1 of them recovered"
    text = str(message.body)
    assert text.count("“First” has failed") == 1
    assert text.count("“First” has recovered") == 1
    assert "“Second” has recovered" not in text


def test_a_message_of_recoveries_only_says_so_in_its_title(world: World, clock: Clock) -> None:
    clock.set("2026-06-03T12:00:00+02:00")
    (owners,) = world.client(Role.MEMBER).get(CHANNELS).json()["results"]
    set_timing(world, owners["id"], NIGHTS)
    pipelines = [make_pipeline(world, name=name) for name in ("First", "Second")]
    for pipeline in pipelines:
        at_end(world, pipeline, clock)
    deliver(world, owners["id"])
    clock.set("2026-06-03T23:00:00+02:00")
    for pipeline in pipelines:
        at_end(world, pipeline, clock, Status.SUCCEEDED)
    clock.set("2026-06-04T08:00:00+02:00")
    deliver(world, owners["id"])
    assert mail.outbox[-1].subject == "2 alerts of your pipelines have recovered"


def test_what_happened_before_quiet_hours_is_still_sent_in_them(
    world: World, receiver: Receiver, clock: Clock
) -> None:
    clock.set("2026-06-03T21:59:59+02:00")
    channel = add_webhook(world, receiver)
    set_timing(world, channel, NIGHTS)
    at_end(world, make_pipeline(world), clock)
    clock.set("2026-06-03T22:00:05+02:00")
    deliver(world, channel)
    assert len(receiver.requests) == 1


def test_an_urgent_rule_is_told_in_quiet_hours(
    world: World, receiver: Receiver, clock: Clock
) -> None:
    clock.set("2026-06-03T23:00:00+02:00")
    channel = add_webhook(world, receiver, urgent=True)
    set_timing(world, channel, NIGHTS)
    pipeline = make_pipeline(world)
    at_end(world, pipeline, clock)
    deliver(world, channel)
    assert len(receiver.requests) == 1
    clock.now += timedelta(minutes=5)
    at_end(world, pipeline, clock, Status.SUCCEEDED)
    deliver(world, channel)
    assert [events[0][0] for events in receiver.pipelines()] == ["opened", "closed"]


def test_the_tick_finds_urgent_events_and_the_end_of_quiet_hours(
    world: World, receiver: Receiver
) -> None:
    """By the clock of the database, which tests cannot set: the quiet hours are around the real time."""
    channel = add_webhook(world, receiver, urgent=True)
    silent = add_rule(world, channel, scope="tag", tag="silent")
    now = timezone.now()
    start, end = ((now + timedelta(hours=hours)).strftime("%H:%M") for hours in (-2, 2))
    period = {"weekdays": DAYS, "start": start, "end": end}
    set_timing(world, channel, {**NIGHTS, "timezone": "UTC", "periods": [period]})
    with world.scope():
        Channel.objects.for_org(world.org).exclude(pk=channel).update(enabled=False)
    world.client(Role.MEMBER).patch(f"{RULES}/{rule_of_tag(world)}", {"urgent": False})
    world.client(Role.MEMBER).patch(
        f"{RULES}/{urgent_rule(world)}", {"scope": "tag", "tag": "loud"}
    )
    end_run(world, make_pipeline(world, name="Silent", tags=["silent"]))
    deliver(world, channel)
    assert (receiver.requests, delivering.tick()) == ([], 0)
    end_run(world, make_pipeline(world, name="Loud", tags=["loud"]))
    assert delivering.tick() == 1
    deliver(world, channel)
    assert receiver.pipelines() == [[("opened", "Loud")]]
    with world.scope():
        rows = Channel.objects.for_org(world.org).filter(pk=channel)
        rows.update(grouped_until=None, held_until=now - timedelta(seconds=1), timing={})
    assert delivering.tick() == 1
    assert silent["urgent"] is False


def rule_of_tag(world: World) -> str:
    rules = world.client(Role.MEMBER).get(RULES).json()["results"]
    return str(next(rule["id"] for rule in rules if rule["tag"] == "silent"))


def urgent_rule(world: World) -> str:
    rules = world.client(Role.MEMBER).get(RULES).json()["results"]
    return str(next(rule["id"] for rule in rules if rule["urgent"]))


def test_a_change_of_the_quiet_hours_sends_what_no_longer_waits(
    world: World, receiver: Receiver, clock: Clock
) -> None:
    clock.set("2026-06-03T23:00:00+02:00")
    channel = add_webhook(world, receiver)
    shown = set_timing(world, channel, NIGHTS)
    assert (shown["timing"], shown["held_until"]) == (NIGHTS, "2026-06-04T06:00:00Z")
    at_end(world, make_pipeline(world), clock)
    deliver(world, channel)
    shown = set_timing(world, channel, {"kind": "at_once"})
    assert (shown["timing"], shown["held_until"]) == ({"kind": "at_once"}, None)
    with world.scope():
        assert Channel.objects.for_org(world.org).get(pk=channel).held_until is None, "for the tick"
    deliver(world, channel)
    assert len(receiver.requests) == 1


def test_a_digest_is_one_message_a_day(world: World, receiver: Receiver, clock: Clock) -> None:
    clock.set("2026-06-03T07:00:00+02:00")
    channel = add_webhook(world, receiver)
    set_timing(world, channel, DAILY)
    for moment in ("2026-06-03T09:00", "2026-06-03T15:00", "2026-06-04T07:59"):
        clock.set(f"{moment}:00+02:00")
        at_end(world, make_pipeline(world, name=moment), clock)
        deliver(world, channel)
    assert receiver.requests == []
    clock.set("2026-06-04T08:00:00+02:00")
    at_end(world, make_pipeline(world, name="Too late"), clock)
    deliver(world, channel)
    deliver(world, channel)
    assert [message["count"] for message in receiver.messages] == [3]
    clock.set("2026-06-05T08:00:01+02:00")
    deliver(world, channel)
    assert [message["count"] for message in receiver.messages] == [3, 1]


def test_a_digest_is_refused_for_pagerduty(world: World) -> None:
    channel = add_pagerduty(world)
    answer = world.client(Role.MEMBER).patch(f"{CHANNELS}/{channel}", {"timing": DAILY})
    assert (answer.status_code, answer.json()["errors"][0]["field"]) == (422, "timing.kind")


@pytest.mark.parametrize(
    ("timing", "field"),
    [
        ({"kind": "loud"}, "timing.kind"),
        ({**DAILY, "at": "8:00"}, "timing.at"),
        ({**DAILY, "weekdays": ["mon"]}, "timing.weekdays.0"),
        ({**NIGHTS, "timezone": "Mars/Olympus"}, "timing.timezone"),
        ({**NIGHTS, "periods": [{"weekdays": [], "start": "22:00", "end": "08:00"}]}, None),
    ],
)
def test_a_wrong_timing_is_refused_by_its_name(
    world: World, timing: Any, field: str | None
) -> None:
    client = world.client(Role.OWNER)
    (owners,) = client.get(CHANNELS).json()["results"]
    answer = client.patch(f"{CHANNELS}/{owners['id']}", {"timing": timing})
    assert answer.status_code == 422, answer.content
    assert answer.json()["errors"][0]["field"].startswith(field or "timing.periods.0")


def test_pagerduty_is_not_told_in_the_morning_what_is_over(
    world: World, receiver: Receiver, clock: Clock
) -> None:
    clock.set("2026-06-03T23:00:00+02:00")
    channel = add_pagerduty(world)
    set_timing(world, channel, NIGHTS)
    pipeline = make_pipeline(world)
    at_end(world, pipeline, clock)
    deliver(world, channel)
    at_end(world, pipeline, clock, Status.SUCCEEDED)
    clock.set("2026-06-04T08:00:00+02:00")
    deliver(world, channel)
    assert receiver.requests == []
    rows = log_of(world, channel=channel)
    assert [row["state"] for row in rows] == ["skipped", "skipped"]
    assert {row["problem"] for row in rows} == {"It had recovered before it was sent."}


def test_pagerduty_resolves_in_quiet_hours_what_was_opened_before(
    world: World, receiver: Receiver, clock: Clock
) -> None:
    clock.set("2026-06-03T21:00:00+02:00")
    channel = add_pagerduty(world)
    set_timing(world, channel, NIGHTS)
    pipeline = make_pipeline(world)
    at_end(world, pipeline, clock)
    deliver(world, channel)
    clock.set("2026-06-03T23:00:00+02:00")
    at_end(world, pipeline, clock, Status.SUCCEEDED)
    deliver(world, channel)
    assert actions(receiver) == ["trigger", "resolve"]


def test_a_snoozed_rule_tells_afterwards_what_is_still_open(
    world: World, receiver: Receiver, clock: Clock
) -> None:
    channel = add_webhook(world, receiver)
    snooze_rule(world, channel, clock)
    over, still = (make_pipeline(world, name=name) for name in ("Over", "Still"))
    for pipeline in (over, still):
        at_end(world, pipeline, clock)
    at_end(world, over, clock, Status.SUCCEEDED)
    deliver(world, channel)
    assert receiver.requests == []
    rows = log_of(world, channel=channel)
    assert [row["state"] for row in rows] == ["snoozed"] * 3
    assert "Snoozed until" in rows[0]["problem"]
    assert f"by {world.users[Role.MEMBER].email}" in rows[0]["problem"]
    assert rows[0]["problem"].endswith(": The source is migrated")
    releasing.end_snoozes(world.org.pk)
    assert {state for _, state in states(world, channel)} == {"snoozed"}, "it is not over"
    clock.now += timedelta(hours=1)
    releasing.end_snoozes(world.org.pk)
    releasing.end_snoozes(world.org.pk)
    deliver(world, channel)
    assert receiver.pipelines() == [[("opened", "Still")]]
    assert Counter(state for _, state in states(world, channel)) == {"snoozed": 2, "sent": 1}
    clock.now += timedelta(minutes=5)
    at_end(world, still, clock, Status.SUCCEEDED)
    deliver(world, channel)
    assert receiver.pipelines()[1:] == [[("closed", "Still")]]


def test_the_recovery_of_what_was_told_before_a_snooze_is_told_in_it(
    world: World, receiver: Receiver, clock: Clock
) -> None:
    channel = add_pagerduty(world)
    pipeline = fail(world, clock, "Orders")
    deliver(world, channel)
    snooze_rule(world, channel, clock)
    clock.now += timedelta(minutes=5)
    at_end(world, pipeline, clock, Status.SUCCEEDED)
    deliver(world, channel)
    assert actions(receiver) == ["trigger", "resolve"]


def test_a_snooze_holds_back_what_waits_to_be_sent(
    world: World, receiver: Receiver, clock: Clock
) -> None:
    channel = add_webhook(world, receiver)
    fail(world, clock, "Orders")
    snooze_rule(world, channel, clock)
    deliver(world, channel)
    assert receiver.requests == []
    assert states(world, channel) == [("opened", "snoozed")]


def test_a_snooze_that_is_ended_by_hand_tells_what_is_open(
    world: World, receiver: Receiver, clock: Clock
) -> None:
    channel = add_webhook(world, receiver)
    snooze_rule(world, channel, clock)
    fail(world, clock, "Orders")
    client = world.client(Role.MEMBER)
    shown = client.get(f"{RULES}/{rule_of(world, channel)}").json()["snooze"]
    assert shown["reason"] == "The source is migrated"
    woken = client.delete(f"{RULES}/{rule_of(world, channel)}/snooze")
    assert (woken.status_code, woken.json()["snooze"]) == (200, None)
    deliver(world, channel)
    assert receiver.pipelines() == [[("opened", "Orders")]]
    with world.scope():
        events = AuditEvent.objects.for_org(world.org).filter(object_kind="alert_rule")
        snoozed, ended = events.order_by("-id")[:2][::-1]
    assert (snoozed.action, ended.action) == ("alert_rule.snooze", "alert_rule.wake")
    assert snoozed.changes["reason"] == [None, "The source is migrated"]


def test_one_org_with_a_fault_does_not_keep_snoozes_of_others_from_ending(
    world: World,
    stranger: World,
    receiver: Receiver,
    clock: Clock,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    clock.now -= timedelta(hours=2)
    for org in (world, stranger):
        snooze_rule(org, add_webhook(org, receiver), clock)
    clock.now += timedelta(hours=2)
    end, ended = releasing.end_snoozes, []

    def fail_for_first(org_id: UUID) -> bool:
        ended.append(org_id)
        if len(ended) == 1:
            raise ValueError("a fault")
        return end(org_id)

    monkeypatch.setattr(releasing, "end_snoozes", fail_for_first)
    with pytest.raises(ValueError, match="a fault"):
        releasing.tick()
    left = 0
    for org in (world, stranger):
        with org.scope():
            left += Snooze.objects.for_org(org.org).count()
    assert left == 1


def test_a_snoozed_alert_is_told_again_at_the_end_if_it_is_still_open(
    world: World, receiver: Receiver, clock: Clock
) -> None:
    channel = add_webhook(world, receiver)
    pipeline = fail(world, clock, "Orders")
    deliver(world, channel)
    assert snooze_alert(world, channel, clock)["by"] == world.users[Role.MEMBER].email
    clock.now += timedelta(hours=1)
    releasing.end_snoozes(world.org.pk)
    releasing.end_snoozes(world.org.pk)
    deliver(world, channel)
    first, reminder = (message["events"][0] for message in receiver.messages)
    assert (reminder["kind"], reminder["alert_id"]) == ("still_open", first["alert_id"])
    assert reminder["id"] != first["id"]
    assert reminder["summary"].startswith("has failed after 3 attempts, and has not recovered")
    assert only_alert(world, channel)["snooze"] is None
    clock.now += timedelta(minutes=5)
    at_end(world, pipeline, clock, Status.SUCCEEDED)
    deliver(world, channel)
    assert receiver.pipelines()[2:] == [[("closed", "Orders")]]


def test_an_alert_that_was_snoozed_before_it_was_told_is_told_once(
    world: World, receiver: Receiver, clock: Clock
) -> None:
    channel = add_webhook(world, receiver)
    fail(world, clock, "Orders")
    snooze_alert(world, channel, clock)
    deliver(world, channel)
    assert receiver.requests == []
    clock.now += timedelta(hours=1)
    releasing.end_snoozes(world.org.pk)
    deliver(world, channel)
    clock.now += timedelta(hours=1)
    deliver(world, channel)
    assert receiver.pipelines() == [[("opened", "Orders")]]


def test_nobody_is_reminded_of_a_snoozed_alert_that_has_recovered(
    world: World, receiver: Receiver, clock: Clock
) -> None:
    channel = add_webhook(world, receiver)
    pipeline = fail(world, clock, "Orders")
    deliver(world, channel)
    snooze_alert(world, channel, clock)
    clock.now += timedelta(minutes=2)
    at_end(world, pipeline, clock, Status.SUCCEEDED)
    clock.now += timedelta(hours=1)
    releasing.end_snoozes(world.org.pk)
    deliver(world, channel)
    assert receiver.pipelines() == [[("opened", "Orders")], [("closed", "Orders")]]


def test_a_snooze_that_was_begun_by_an_older_transaction_is_ended_by_the_next_tick(
    world: World, receiver: Receiver, clock: Clock
) -> None:
    """A run that ends may see a snooze that is deleted at the same moment. Its delivery is found later."""
    channel = add_webhook(world, receiver)
    snooze_rule(world, channel, clock)
    fail(world, clock, "Orders")
    with world.scope():
        Snooze.objects.for_org(world.org).delete()
    assert releasing.tick() == 1
    assert releasing.tick() == 0
    deliver(world, channel)
    assert receiver.pipelines() == [[("opened", "Orders")]]


def test_what_a_disabled_channel_would_get_after_a_snooze_has_failed(
    world: World, receiver: Receiver, clock: Clock
) -> None:
    channel = add_webhook(world, receiver)
    snooze_rule(world, channel, clock)
    fail(world, clock, "Orders")
    world.client(Role.MEMBER).patch(f"{CHANNELS}/{channel}", {"enabled": False})
    clock.now += timedelta(hours=1)
    releasing.end_snoozes(world.org.pk)
    (row,) = log_of(world, channel=channel)
    assert (row["state"], row["problem"]) == ("failed", "The channel was disabled.")


@pytest.mark.parametrize("until", [timedelta(0), timedelta(days=31)])
def test_a_snooze_ends_within_30_days(world: World, clock: Clock, until: timedelta) -> None:
    rule = world.client(Role.MEMBER).get(RULES).json()["results"][0]["id"]
    body = {"until": (clock.now + until).isoformat()}
    answer = world.client(Role.MEMBER).post(f"{RULES}/{rule}/snooze", body)
    assert (answer.status_code, answer.json()["errors"][0]["field"]) == (422, "until")


def test_a_viewer_is_refused_and_a_stranger_gets_404(
    world: World, stranger: World, receiver: Receiver, clock: Clock
) -> None:
    channel = add_webhook(world, receiver)
    fail(world, clock, "Orders")
    rule, alert = rule_of(world, channel), only_alert(world, channel)["id"]
    body = {"until": (clock.now + timedelta(hours=1)).isoformat()}
    for address in (f"{RULES}/{rule}/snooze", f"{OPEN}/{alert}/snooze"):
        assert world.client(Role.VIEWER).post(address, body).status_code == 403
        assert world.client(Role.VIEWER).delete(address).status_code == 403
        assert stranger.client(Role.OWNER).post(address, body).status_code == 404
        assert stranger.client(Role.OWNER).delete(address).status_code == 404
    assert world.client(Role.VIEWER).get(OPEN).status_code == 403
    assert stranger.client(Role.OWNER).get(OPEN).json()["results"] == []


def test_times_that_a_wrong_clock_has_set_keep_nothing_back(
    world: World, receiver: Receiver
) -> None:
    channel = add_webhook(world, receiver)
    end_run(world, make_pipeline(world, name="Orders"))
    far = timezone.now() + timedelta(days=365)
    with world.scope():
        Channel.objects.for_org(world.org).exclude(pk=channel).update(enabled=False)
        rows = Channel.objects.for_org(world.org).filter(pk=channel)
        rows.update(grouped_until=far, held_until=far)
        Delivery.objects.for_org(world.org).update(next_attempt_at=far)
    assert delivering.tick() == 1
    deliver(world, channel)
    assert len(receiver.requests) == 1


@pytest.mark.parametrize(
    "seed", [0, *(pytest.param(n, marks=pytest.mark.long) for n in range(1, 12))]
)
@pytest.mark.parametrize("kind", ["webhook", "pagerduty"])
def test_each_event_is_in_one_message_or_says_why_not(
    world: World, receiver: Receiver, clock: Clock, kind: str, seed: int
) -> None:
    """Random failures, recoveries, snoozes and quiet hours over three days, in a night in which clocks change."""
    chance = random.Random(seed)
    clock.set("2026-10-24T12:00:00+02:00")
    channel = add_webhook(world, receiver) if kind == "webhook" else add_pagerduty(world)
    pipelines = [make_pipeline(world, name=f"Pipeline {n}") for n in range(4)]
    timings: list[Any] = [{"kind": "at_once"}, NIGHTS, _random_nights(chance)]
    timings += [DAILY] if kind == "webhook" else []

    def act() -> None:
        match chance.choices(("end", "timing", "snooze", "wake", "fault"), (20, 2, 2, 1, 2))[0]:
            case "end":
                status = chance.choice((Status.FAILED, Status.SUCCEEDED))
                at_end(world, chance.choice(pipelines), clock, status)
            case "timing":
                set_timing(world, channel, chance.choice(timings))
            case "snooze":
                snooze_rule(world, channel, clock, hours=chance.uniform(0.1, 12))
            case "wake":
                world.client(Role.MEMBER).delete(f"{RULES}/{rule_of(world, channel)}/snooze")
            case "fault":
                receiver.replies.append(Reply(500))

    def work() -> None:
        releasing.end_snoozes(world.org.pk)
        deliver(world, channel)

    for _ in range(60):
        clock.now += timedelta(minutes=chance.uniform(1, 140))
        act()
        if chance.random() < 0.8:
            work()
    receiver.replies.clear()
    set_timing(world, channel, {"kind": "at_once"})
    for _ in range(20):
        clock.now += timedelta(hours=3)
        work()

    rows = log_of(world, channel=channel, limit=200)
    assert {row["state"] for row in rows} <= {"sent", "snoozed", "skipped"}
    assert all(row["problem"] for row in rows if row["state"] != "sent")
    told = Counter(_told(receiver, kind))
    expected = Counter(_expected(rows, kind))
    assert told == expected
    with world.scope():
        opened = set(
            Alert.objects.for_org(world.org)
            .filter(closed_at=None, rule_id=rule_of(world, channel))
            .values_list("pk", flat=True)
        )
    known = {key for key, is_open in _last_told(receiver, kind).items() if is_open}
    keys = _keys(rows, kind)
    assert known == {keys[str(alert)] for alert in opened}, "the last that was told is true"
    sent = {row["event"]["alert_id"] for row in rows if row["state"] == "sent"}
    assert {str(alert) for alert in opened} <= sent, "everybody knows what is open"
    for alert_id in sent if kind == "webhook" else ():
        kinds = [
            row["kind"]
            for row in rows
            if row["event"]["alert_id"] == alert_id and row["state"] == "sent"
        ]
        assert kinds[0] == "opened", "no recovery is told of what nobody knows"
        assert ("closed" in kinds) == (UUID(alert_id) not in opened), "a recovery is told"


def _random_nights(chance: random.Random) -> Any:
    start, end = chance.sample(
        [f"{hour:02}:{minute}" for hour in range(24) for minute in (10, 40)], 2
    )
    return {**NIGHTS, "periods": [{"weekdays": DAYS, "start": start, "end": end}]}


def _told(receiver: Receiver, kind: str) -> list[Any]:
    """Return what has arrived, each message once although it may arrive again after a fault."""
    if kind == "pagerduty":
        bodies = [orjson.loads(request.body) for request in receiver.requests]
        return list(dict.fromkeys((each["dedup_key"], each["event_action"]) for each in bodies))
    messages = {message["id"]: message for message in receiver.messages}
    return [event["id"] for message in messages.values() for event in message["events"]]


def _last_told(receiver: Receiver, kind: str) -> dict[str, bool]:
    """Return whether each alert, or incident of PagerDuty, is open, by what has arrived about it last."""
    if kind == "pagerduty":
        bodies = [orjson.loads(request.body) for request in receiver.requests]
        return {each["dedup_key"]: each["event_action"] == "trigger" for each in bodies}
    events = [event for message in receiver.messages for event in message["events"]]
    return {event["alert_id"]: event["kind"] != "closed" for event in events}


def _expected(rows: list[dict[str, Any]], kind: str) -> list[Any]:
    sent = [row for row in rows if row["state"] == "sent"]
    if kind == "webhook":
        return [row["event_id"] for row in sent]
    words, keys = {"opened": "trigger", "closed": "resolve"}, _keys(rows, kind)
    return list({(keys[row["event"]["alert_id"]], words[row["kind"]]) for row in sent})


def _keys(rows: list[dict[str, Any]], kind: str) -> dict[str, str]:
    """Return by which key each alert is told: at PagerDuty, alerts that were told together are one incident."""
    told = [row for row in rows if row["kind"] == "opened" and row["state"] == "sent"]
    sizes = Counter(row["message_id"] for row in told if kind == "pagerduty")
    return {
        (alert := row["event"]["alert_id"]): row["message_id"]
        if sizes[row["message_id"]] > 1
        else alert
        for row in told
    }
