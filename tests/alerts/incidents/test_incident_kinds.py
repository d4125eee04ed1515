"""What arrives at Microsoft Teams, PagerDuty and Opsgenie: the requests that these services document."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import Any
from uuid import UUID

import orjson
import pytest
from django.utils import timezone

from apps.alerts.examples import EVENT, MESSAGE
from apps.alerts.kinds import opsgenie, pagerduty, teams
from apps.alerts.models import Channel, Delivery
from apps.alerts.sending import delivering
from apps.orgs.roles import Role
from apps.runs.models import Status
from tests.alerts.conftest import (
    CHANNELS,
    DELIVERIES,
    RULES,
    add_rule,
    deliver,
    end_run,
    fail,
    log_of,
    make_due,
)
from tests.alerts.receiver import Receiver, Reply
from tests.world import World, make_pipeline

ROUTING_KEY = "e93facc04764012d7bfb002500d5d1a6"
API_KEY = "eb243592-faa2-4ba2-a551-1afdf565c889"
SETTINGS: dict[str, dict[str, Any]] = {
    "pagerduty": {"routing_key": ROUTING_KEY, "severity": "critical"},
    "opsgenie": {"api_key": API_KEY, "priority": "P2"},
}
HOSTILE = "**a** [b](https://evil.example.com) <at>c</at> _d_"


@pytest.fixture(autouse=True)
def servers(receiver: Receiver, monkeypatch: pytest.MonkeyPatch) -> None:
    """Send the requests to these services to the receiver, at other paths than each other."""
    for kind in (pagerduty, opsgenie):
        for host in kind.ADDRESSES:
            monkeypatch.setitem(kind.ADDRESSES, host, f"{receiver.url}/{host}")


def add_channel(world: World, kind: str, settings: dict[str, Any]) -> UUID:
    body = {"name": kind, "kind": kind, "settings": settings}
    created = world.client(Role.MEMBER).post(CHANNELS, body)
    assert created.status_code == 201, created.content
    add_rule(world, created.json()["id"])
    return UUID(created.json()["id"])


def add_teams(world: World, receiver: Receiver) -> UUID:
    url = f"{receiver.url}?api-version=1&sig=signature-of-the-workflow"
    return add_channel(world, "teams", {"url": url})


def bodies(receiver: Receiver) -> list[Any]:
    return [orjson.loads(request.body) for request in receiver.requests]


def card_of(request: Any) -> Any:
    assert request["type"] == "message"
    (attachment,) = request["attachments"]
    assert attachment["contentType"] == "application/vnd.microsoft.card.adaptive"
    card = attachment["content"]
    assert (card["type"], card["version"]) == ("AdaptiveCard", "1.4")
    return card


def texts(card: Any) -> list[str]:
    return ["".join(run["text"] for run in block["inlines"]) for block in card["body"]]


def test_teams_gets_an_adaptive_card_without_markdown(world: World, receiver: Receiver) -> None:
    channel = add_teams(world, receiver)
    receiver.replies = [Reply(202, b"")]
    fail(world, HOSTILE)
    deliver(world, channel)
    (request,) = bodies(receiver)
    card = card_of(request)
    assert {block["type"] for block in card["body"]} == {"RichTextBlock"}, (
        "a TextBlock has Markdown"
    )
    title, event = texts(card)
    assert title == f"Failed: “{HOSTILE}”"
    assert f"“{HOSTILE}” has failed after 3 attempts." in event
    assert "Next step: Update the connector's password" in event
    (action,) = card["actions"]
    assert (action["type"], action["title"]) == ("Action.OpenUrl", "Open the run")
    assert "/runs/" in action["url"]
    (row,) = log_of(world, channel=channel)
    assert (row["state"], row["answer_status"]) == ("sent", 202)


def test_a_large_card_has_fewer_events_than_teams_refuses() -> None:
    failure = {**EVENT["failure"], "message": "ü" * 500}
    message: Any = {**MESSAGE, "count": 200, "events": [{**EVENT, "failure": failure}] * 20}
    card = teams.body(message)
    assert 20_000 < len(orjson.dumps(card)) <= teams.MAX_BYTES
    *_, more = texts(card_of(card))
    shown = len(texts(card_of(card))) - 2
    assert more == f"And {200 - shown} more."


def test_the_signature_in_the_url_of_teams_is_never_shown_or_stored(
    world: World, receiver: Receiver
) -> None:
    channel = add_teams(world, receiver)
    receiver.replies = [Reply(400, b"wrong signature-of-the-workflow")]
    fail(world, "Orders")
    deliver(world, channel)
    (row,) = log_of(world, channel=channel)
    assert (row["state"], row["answer"]) == ("failed", "wrong [secret]")
    with world.scope():
        stored = str(list(Channel.objects.for_org(world.org).values()))
    shown = world.client(Role.OWNER).get(f"{CHANNELS}/{channel}").content.decode()
    assert "signature-of-the-workflow" not in stored + shown


def test_pagerduty_gets_an_incident_that_the_recovery_resolves(
    world: World, receiver: Receiver
) -> None:
    channel = add_channel(world, "pagerduty", SETTINGS["pagerduty"])
    receiver.replies = [Reply(202), Reply(202)]
    (pipeline,) = fail(world, "Orders")
    deliver(world, channel)
    end_run(world, pipeline, Status.SUCCEEDED)
    make_due(world, channel)
    deliver(world, channel)
    opened, closed = bodies(receiver)
    assert [request.path for request in receiver.requests] == [
        "/hook/events.pagerduty.com/v2/enqueue"
    ] * 2
    alert_id = log_of(world, channel=channel)[0]["event"]["alert_id"]
    assert closed == {
        "routing_key": ROUTING_KEY,
        "event_action": "resolve",
        "dedup_key": alert_id,
    }
    details = opened["payload"].pop("custom_details")["details"]
    assert "Next step: Update the connector's password" in details
    assert "/runs/" in opened["client_url"]
    assert opened["links"] == [{"text": "Open the run", "href": opened["client_url"]}]
    for name in ("client_url", "links"):
        del opened[name]
    assert opened["payload"].pop("timestamp").endswith("Z")
    assert opened == {
        "routing_key": ROUTING_KEY,
        "event_action": "trigger",
        "dedup_key": alert_id,
        "client": "Drover",
        "payload": {
            "summary": "“Orders” has failed after 3 attempts.",
            "source": "Orders",
            "severity": "critical",
            "group": world.org.name,
            "class": "run_failed",
        },
    }
    assert {row["state"] for row in log_of(world, channel=channel)} == {"sent"}


def test_opsgenie_gets_an_alert_that_the_recovery_closes(world: World, receiver: Receiver) -> None:
    channel = add_channel(world, "opsgenie", SETTINGS["opsgenie"])
    receiver.replies = [Reply(202), Reply(202)]
    (pipeline,) = fail(world, "Orders")
    deliver(world, channel)
    end_run(world, pipeline, Status.SUCCEEDED)
    make_due(world, channel)
    deliver(world, channel)
    opened, closed = bodies(receiver)
    alert_id = log_of(world, channel=channel)[0]["event"]["alert_id"]
    base = "/hook/api.opsgenie.com/v2/alerts"
    assert [request.path for request in receiver.requests] == [
        base, f"{base}/{alert_id}/close?identifierType=alias",
    ]  # fmt: skip
    assert {r.headers["authorization"] for r in receiver.requests} == {f"GenieKey {API_KEY}"}
    assert closed == {
        "source": "Drover",
        "note": "“Orders” has recovered: its last run has succeeded.",
    }
    description = opened.pop("description")
    assert "Next step: Update the connector's password" in description
    assert "/runs/" in description
    assert opened == {
        "message": "“Orders” has failed after 3 attempts.",
        "alias": alert_id,
        "priority": "P2",
        "source": "Drover",
        "entity": "Orders",
        "tags": ["drover", "run_failed"],
        "details": {"organization": world.org.name},
    }


def test_a_long_name_is_cut_as_opsgenie_and_pagerduty_want(receiver: Receiver) -> None:
    pipeline = {**EVENT["pipeline"], "name": "x" * 2000}
    subject = {"kind": "pipeline", **pipeline}
    event = {**EVENT, "subject": subject, "pipeline": pipeline}
    message: Any = {**MESSAGE, "events": [event], "incident_key": "a"}
    org: Any = None
    receiver.replies = [Reply(202), Reply(202)]
    opsgenie.send(message, {"priority": "P1", "server": "api.opsgenie.com", "api_key": "k"}, org)
    settings: Any = {"severity": "error", "server": "events.pagerduty.com", "routing_key": "k"}
    pagerduty.send(message, settings, org)
    alert, incident = bodies(receiver)
    assert (len(alert["message"]), len(alert["entity"])) == (130, 512)
    assert len(incident["payload"]["summary"]) == 1024


@pytest.mark.parametrize(
    ("kind", "host"),
    [
        ("pagerduty", "events.eu.pagerduty.com"),
        ("opsgenie", "api.eu.opsgenie.com"),
        ("opsgenie", "api.atlassian.com"),
    ],
)
def test_other_regions_have_their_own_server(
    world: World, receiver: Receiver, kind: str, host: str
) -> None:
    channel = add_channel(world, kind, {**SETTINGS[kind], "server": host})
    fail(world, "Orders")
    deliver(world, channel)
    assert receiver.requests[0].path.startswith(f"/hook/{host}/v2/")


def resolved(receiver: Receiver, kind: str) -> list[str]:
    """Return the keys of the incidents that were resolved, in order."""
    if kind == "opsgenie":
        paths = [request.path.partition("?")[0].split("/") for request in receiver.requests]
        return [path[-2] for path in paths if path[-1] == "close"]
    return [b["dedup_key"] for b in bodies(receiver) if b["event_action"] == "resolve"]


@pytest.mark.parametrize("kind", SETTINGS)
def test_what_follows_in_a_burst_is_one_incident_that_is_resolved_when_all_have_recovered(
    world: World, receiver: Receiver, kind: str
) -> None:
    channel = add_channel(world, kind, SETTINGS[kind])
    first = fail(world, "First")
    deliver(world, channel)
    others = fail(world, *(f"Pipeline {n}" for n in range(25)))
    deliver(world, channel)
    assert len(receiver.requests) == 1, "what follows waits for the end of the minute"
    make_due(world, channel)
    deliver(world, channel)
    alone, several = bodies(receiver)
    rows = log_of(world, channel=channel, limit=200)
    message_id = rows[-1]["message_id"]
    assert {row["message_id"] for row in rows[1:]} == {message_id}
    name = "alias" if kind == "opsgenie" else "dedup_key"
    assert (alone[name], several[name]) == (rows[0]["event"]["alert_id"], message_id)
    text = orjson.dumps(several).decode()
    assert "25 alerts of your pipelines" in text
    assert "“Pipeline 3” has failed after 3 attempts." in text
    assert "And 5 more." in text
    assert "/alerts/deliveries" in text

    for pipeline in others[:-1]:
        end_run(world, pipeline, Status.SUCCEEDED)
    make_due(world, channel)
    deliver(world, channel)
    assert resolved(receiver, kind) == []
    rows = log_of(world, channel=channel, limit=200)
    skipped = [row for row in rows if row["kind"] == "closed"]
    assert {row["state"] for row in skipped} == {"skipped"}
    assert skipped[0]["problem"].startswith("It is part of an incident with other alerts")
    again = world.client(Role.MEMBER).post(f"{DELIVERIES}/{skipped[0]['id']}/replay")
    assert (again.status_code, again.json()["code"]) == (409, "incident_open")

    for pipeline in (others[-1], *first):
        end_run(world, pipeline, Status.SUCCEEDED)
    deliver(world, channel)
    assert resolved(receiver, kind) == [message_id, rows[0]["event"]["alert_id"]]


def delete_rule_of(world: World, channel: UUID) -> None:
    """Delete the only rule that uses the channel."""
    client = world.client(Role.MEMBER)
    rules = client.get(RULES).json()["results"]
    (rule,) = [rule["id"] for rule in rules if str(channel) in rule["channel_ids"]]
    assert client.delete(f"{RULES}/{rule}").status_code == 204


def test_a_recovery_resolves_its_incident_also_after_its_rule_was_deleted(
    world: World, receiver: Receiver
) -> None:
    channel = add_channel(world, "pagerduty", SETTINGS["pagerduty"])
    pipelines = fail(world, "First", "Second")
    deliver(world, channel)
    incident = log_of(world, channel=channel)[-1]["message_id"]
    for pipeline in pipelines:
        end_run(world, pipeline, Status.SUCCEEDED)
    delete_rule_of(world, channel)
    make_due(world, channel)
    deliver(world, channel)
    assert set(resolved(receiver, "pagerduty")) == {incident}


@pytest.mark.parametrize("change", [{"enabled": False}, {"channel_ids": []}])
def test_an_alert_whose_recovery_is_not_told_keeps_no_incident_open(
    world: World, receiver: Receiver, change: dict[str, Any]
) -> None:
    channel = add_channel(world, "pagerduty", SETTINGS["pagerduty"])
    names = ("First", "Second", "Third")
    pipelines = [make_pipeline(world, name=name) for name in names]
    delete_rule_of(world, channel)
    rules = [
        add_rule(world, channel, scope="pipeline", scope_id=str(pipeline.pk))
        for pipeline in pipelines
    ]
    for pipeline in pipelines:
        end_run(world, pipeline)
        deliver(world, channel)
    make_due(world, channel)
    deliver(world, channel)
    incident = log_of(world, channel=channel)[-1]["message_id"]
    path = f"{RULES}/{rules[2]['id']}"
    assert world.client(Role.MEMBER).patch(path, change).status_code == 200
    end_run(world, pipelines[1], Status.SUCCEEDED)
    make_due(world, channel)
    deliver(world, channel)
    assert resolved(receiver, "pagerduty") == [incident]


@pytest.mark.parametrize("kind", SETTINGS)
def test_recoveries_at_the_same_time_resolve_their_incident_by_one_request(
    world: World, receiver: Receiver, kind: str
) -> None:
    channel = add_channel(world, kind, SETTINGS[kind])
    pipelines = fail(world, "First", "Second", "Third")
    deliver(world, channel)
    for pipeline in pipelines:
        end_run(world, pipeline, Status.SUCCEEDED)
    make_due(world, channel)
    deliver(world, channel)
    assert len(receiver.requests) == 2
    closed = [row for row in log_of(world, channel=channel) if row["kind"] == "closed"]
    assert {row["state"] for row in closed} == {"sent"}
    assert len({row["message_id"] for row in closed}) == 1


def test_the_opening_of_an_incident_is_kept_while_one_of_its_alerts_is_open(
    world: World, receiver: Receiver
) -> None:
    channel = add_channel(world, "pagerduty", SETTINGS["pagerduty"])
    recovered, still_failing = fail(world, "Recovered", "Still failing")
    deliver(world, channel)
    end_run(world, recovered, Status.SUCCEEDED)
    make_due(world, channel)
    deliver(world, channel)
    with world.scope():
        rows = Delivery.objects.for_org(world.org).filter(channel_id=channel)
        rows.update(created_at=timezone.now() - timedelta(days=100))
    delivering.remove_old()
    assert [row["kind"] for row in log_of(world, channel=channel)] == ["opened"] * 2

    end_run(world, still_failing, Status.SUCCEEDED)
    deliver(world, channel)
    opened, closed = bodies(receiver)
    assert (closed["event_action"], closed["dedup_key"]) == ("resolve", opened["dedup_key"])


@pytest.mark.parametrize("kind", SETTINGS)
def test_a_recovery_waits_until_the_opening_was_accepted(
    world: World, receiver: Receiver, kind: str
) -> None:
    channel = add_channel(world, kind, SETTINGS[kind])
    receiver.replies = [Reply(500)]
    (pipeline,) = fail(world, "Orders")
    deliver(world, channel)
    end_run(world, pipeline, Status.SUCCEEDED)
    deliver(world, channel)
    assert len(receiver.requests) == 1
    make_due(world, channel)
    deliver(world, channel)
    first, again, closed = bodies(receiver)
    assert first == again
    assert closed != first
    assert {row["state"] for row in log_of(world, channel=channel)} == {"sent"}


@pytest.mark.parametrize("kind", SETTINGS)
@pytest.mark.parametrize(
    ("status", "states"),
    [(400, ["failed"] * 2), (422, ["failed"] * 2), (503, ["pending"] * 2)],
)
def test_a_refusal_is_final_and_a_fault_is_tried_again(
    world: World, receiver: Receiver, kind: str, status: int, states: Sequence[str]
) -> None:
    channel = add_channel(world, kind, SETTINGS[kind])
    secret = next(iter(SETTINGS[kind].values()))
    receiver.replies = [Reply(status, f"no {secret}".encode())] * 2
    fail(world, "First", "Second")
    deliver(world, channel)
    rows = log_of(world, channel=channel)
    assert [row["state"] for row in rows] == states
    assert {row["answer"] for row in rows} == {"no [secret]"}


def test_after_too_many_requests_new_events_wait_too(world: World, receiver: Receiver) -> None:
    channel = add_channel(world, "pagerduty", SETTINGS["pagerduty"])
    receiver.replies = [Reply(429, headers={"Retry-After": "90"})]
    fail(world, "First")
    deliver(world, channel)
    fail(world, "Second", "Third")
    deliver(world, channel)
    assert len(receiver.requests) == 1
    make_due(world, channel)
    deliver(world, channel)
    assert len(receiver.requests) == 3
    assert {row["state"] for row in log_of(world, channel=channel)} == {"sent"}


def test_what_has_recovered_before_it_was_sent_opens_nothing(
    world: World, receiver: Receiver
) -> None:
    channel = add_channel(world, "pagerduty", SETTINGS["pagerduty"])
    (pipeline,) = fail(world, "Orders")
    end_run(world, pipeline, Status.SUCCEEDED)
    deliver(world, channel)
    assert receiver.requests == []
    assert {(row["state"], row["problem"]) for row in log_of(world, channel=channel)} == {
        ("skipped", "It had recovered before it was sent.")
    }


@pytest.mark.parametrize("kind", SETTINGS)
def test_a_test_opens_something_harmless_and_closes_it_at_once(
    world: World, receiver: Receiver, kind: str
) -> None:
    channel = add_channel(world, kind, SETTINGS[kind])
    assert world.client(Role.MEMBER).post(f"{CHANNELS}/{channel}/test").status_code == 202
    deliver(world, channel)
    opened, closed = bodies(receiver)
    (row,) = log_of(world, channel=channel)
    assert row["state"] == "sent"
    if kind == "pagerduty":
        assert (opened["event_action"], opened["payload"]["severity"]) == ("trigger", "info")
        assert (closed["event_action"], closed["dedup_key"]) == ("resolve", opened["dedup_key"])
    else:
        assert opened["priority"] == "P5"
        assert f"/{opened['alias']}/close" in receiver.requests[1].path


def test_a_test_that_is_refused_is_not_closed(world: World, receiver: Receiver) -> None:
    channel = add_channel(world, "pagerduty", SETTINGS["pagerduty"])
    receiver.replies = [Reply(400, b"invalid key")]
    world.client(Role.MEMBER).post(f"{CHANNELS}/{channel}/test")
    deliver(world, channel)
    (row,) = log_of(world, channel=channel)
    assert (row["state"], row["answer"], len(receiver.requests)) == ("failed", "invalid key", 1)


@pytest.mark.parametrize(
    ("kind", "sent", "field"),
    [
        ("pagerduty", {"routing_key": "short"}, "settings.routing_key"),
        ("pagerduty", {**SETTINGS["pagerduty"], "severity": "loud"}, "settings.severity"),
        ("pagerduty", {**SETTINGS["pagerduty"], "server": "evil.example.com"}, "settings.server"),
        ("opsgenie", {"api_key": "with a\nnew line"}, "settings.api_key"),
        ("opsgenie", {**SETTINGS["opsgenie"], "priority": "P9"}, "settings.priority"),
        ("teams", {"url": "ftp://example.com"}, "settings.url"),
    ],
)
def test_wrong_settings_are_refused_by_their_names(
    world: World, kind: str, sent: dict[str, Any], field: str
) -> None:
    body = {"name": kind, "kind": kind, "settings": sent}
    answer = world.client(Role.MEMBER).post(CHANNELS, body)
    assert answer.status_code == 422, answer.content
    assert answer.json()["errors"][0]["field"] == field


@pytest.mark.parametrize("kind", SETTINGS)
def test_the_key_is_never_shown(world: World, kind: str) -> None:
    channel = add_channel(world, kind, SETTINGS[kind])
    key = next(iter(SETTINGS[kind].values()))
    shown = world.client(Role.OWNER).get(f"{CHANNELS}/{channel}")
    assert {"set": True, "last4": key[-4:]} in shown.json()["settings"].values()
    assert key not in shown.content.decode()
    with world.scope():
        assert key not in str(list(Channel.objects.for_org(world.org).values()))
