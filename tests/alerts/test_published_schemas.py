"""Each event that is really sent matches the schema that the OpenAPI document publishes in its section `webhooks`."""

from __future__ import annotations

from collections.abc import Callable
from copy import deepcopy
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.utils import timezone
from jsonschema import Draft202012Validator, FormatChecker

from apps.alerts.deciding import by_subject, by_time
from apps.alerts.examples import MESSAGE
from apps.alerts.installation import sending
from apps.alerts.installation.observing import Observation, observe
from apps.alerts.models import InstallationProblem, Snooze
from apps.alerts.rule_kinds.registry import RULE_KINDS
from apps.alerts.snoozing import releasing
from apps.background.health import Finding
from apps.orgs.models import Org
from apps.orgs.roles import Role
from apps.pipelines.models import SourceChange
from apps.runs.models import Status
from apps.web import openapi
from tests.alerts.conftest import CHANNELS, RULES, SECRET, deliver, end_run, make_due
from tests.alerts.follow_ups.test_follow_ups import add, execute_deferred_jobs, webhook
from tests.alerts.receiver import Receiver
from tests.alerts.test_by_subject import add_hook, certificate, make_database
from tests.alerts.test_by_time import make_late, make_stale
from tests.alerts.test_usual import add_runs, daily, end, judge_again
from tests.runs.claiming.test_scheduling import create_schedule
from tests.world import World, make_pipeline

OPEN = "/api/v1/alerts/open"


def content_of(webhook_name: str) -> dict[str, Any]:
    body = openapi.document()["webhooks"][webhook_name]["post"]["requestBody"]
    content: dict[str, Any] = body["content"]["application/json"]
    return content


def errors(webhook_name: str, body: Any) -> list[str]:
    """Return why the body does not match the schema of this webhook. Fields that the schema does not name are errors."""
    components = deepcopy(openapi.document()["components"])
    for schema in components["schemas"].values():
        if "properties" in schema:
            schema["additionalProperties"] = False
    schema = {**content_of(webhook_name)["schema"], "components": components}
    validator = Draft202012Validator(schema, format_checker=FormatChecker())
    return [f"{error.json_path}: {error.message}" for error in validator.iter_errors(body)]


def fail_often(world: World) -> None:
    pipeline = make_pipeline(world)
    for status in (Status.FAILED, Status.FAILED, Status.FAILED, Status.SUCCEEDED):
        end_run(world, pipeline, status)


def be_late(world: World) -> None:
    pipeline = make_late(world)
    by_time.tick()
    end_run(world, pipeline, Status.SUCCEEDED)


def be_stale(world: World) -> None:
    pipeline = make_stale(world)
    by_time.tick()
    end_run(world, pipeline, Status.SUCCEEDED, records_written=1)


def be_slow(world: World) -> None:
    pipeline = make_pipeline(world)
    add_runs(world, pipeline, daily(seconds=600))
    end(world, pipeline, seconds=3600)
    end(world, pipeline, seconds=600)


def write_nothing(world: World) -> None:
    pipeline = make_pipeline(world)
    add_runs(world, pipeline, daily())
    end(world, pipeline, records=0)
    end(world, pipeline)


def change_source(world: World) -> None:
    pipeline = make_pipeline(world)
    run = end(world, pipeline)
    with world.scope():
        SourceChange.unscoped.create(
            org=world.org,
            pipeline=pipeline,
            run_id=run.pk,
            stream="orders",
            kind="column_added",
            column="a",
        )
    judge_again(world, run)
    end(world, pipeline)


def reach_limit(world: World) -> None:
    for limit in (1, None):
        with world.scope():
            Org.objects.filter(pk=world.org.pk).update(max_members=limit)
        by_subject.tick()


def let_certificate_end(world: World) -> None:
    connector = make_database(world, certificate(timedelta(days=3)))
    by_subject.tick()
    world.client(Role.ADMIN).delete(f"/api/v1/connectors/{connector.pk}")
    by_subject.tick()


def stop_workers(world: World) -> None:
    create_schedule(world, make_pipeline(world), overdue_by=timedelta(hours=1))
    by_subject.tick()
    with connection.cursor() as cursor:
        cursor.execute("INSERT INTO procrastinate_workers DEFAULT VALUES")
    by_subject.tick()


def lose_storage(world: World) -> None:
    now = timezone.now()
    began_at = now - timedelta(hours=1)
    InstallationProblem.objects.create(
        part="storage", place="one", seen="no", began_at=began_at, seen_at=now, told_at=now
    )
    end_run(world, make_pipeline(world))
    by_subject.tick()
    InstallationProblem.objects.all().delete()
    by_subject.tick()


OPEN_AND_CLOSE: dict[str, Callable[[World], None]] = {
    "run_failed": fail_often,
    "failed_in_a_row": fail_often,
    "late": be_late,
    "stale": be_stale,
    "slow": be_slow,
    "volume": write_nothing,
    "source_changed": change_source,
    "limit_near": reach_limit,
    "limit_reached": reach_limit,
    "credential_ends": let_certificate_end,
    "no_worker": stop_workers,
    "no_storage": lose_storage,
}


@pytest.fixture
def world(world: World) -> World:
    """An org without the rules that a new one has."""
    for rule in world.client(Role.ADMIN).get(RULES).json()["results"]:
        world.client(Role.ADMIN).delete(f"{RULES}/{rule['id']}")
    return world


@pytest.mark.parametrize("kind", RULE_KINDS)
def test_what_a_rule_of_each_kind_sends_matches_the_schema(
    world: World, receiver: Receiver, kind: str
) -> None:
    channel = add_hook(world, receiver, kind=kind)
    OPEN_AND_CLOSE[kind](world)
    deliver(world, channel)
    (message,) = receiver.messages
    assert [event["kind"] for event in message["events"]] == ["opened", "closed"]
    assert {event["rule"]["kind"] for event in message["events"]} == {kind}
    assert message["recovered_count"] == 1
    assert errors("alert", message) == []


def test_a_reminder_and_a_test_match_the_schema(world: World, receiver: Receiver) -> None:
    channel = add_hook(world, receiver, kind="run_failed")
    end_run(world, make_pipeline(world))
    deliver(world, channel)
    client = world.client(Role.ADMIN)
    (alert,) = client.get(OPEN).json()["results"]
    until = (timezone.now() + timedelta(hours=1)).isoformat()
    client.post(f"{OPEN}/{alert['id']}/snooze", {"until": until})
    with world.scope():
        Snooze.objects.for_org(world.org).update(until=timezone.now())
    releasing.end_snoozes(world.org.pk)
    client.post(f"{CHANNELS}/{channel}/test")
    for _ in range(2):
        make_due(world, channel)
        deliver(world, channel)
    kinds = {event["kind"] for message in receiver.messages for event in message["events"]}
    assert kinds == {"opened", "still_open", "test"}
    assert [errors("alert", message) for message in receiver.messages] == [[]] * len(
        receiver.messages
    )


def test_a_call_after_a_run_matches_the_schema(world: World, receiver: Receiver) -> None:
    pipeline = make_pipeline(world)
    add(world, pipeline, **webhook(receiver), after="end")
    for status in (Status.SUCCEEDED, Status.FAILED, Status.CANCELLED):
        end_run(world, pipeline, status)
    execute_deferred_jobs()
    assert [errors("run_ended", message) for message in receiver.messages] == [[], [], []]


def test_a_message_to_operators_matches_the_schema(
    db: None, receiver: Receiver, settings: Any
) -> None:
    settings.OPERATOR_ADDRESSES = []
    settings.OPERATOR_WEBHOOK_URL, settings.OPERATOR_WEBHOOK_SECRET = receiver.url, SECRET
    for ok in (False, False, True):
        observe([Observation("one", Finding("disk", ok, "0.1 GB free", "Free some space."))])
        InstallationProblem.objects.update(began_at=timezone.now() - timedelta(minutes=5))
    sending.send_due()
    began, ended = receiver.messages
    assert (len(began["began"]), len(ended["ended"])) == (1, 1)
    assert [errors("installation_problem", message) for message in (began, ended)] == [[], []]


@pytest.mark.parametrize("name", ["alert", "run_ended", "installation_problem"])
def test_each_webhook_has_an_example_that_matches_its_schema(name: str) -> None:
    (example,) = content_of(name)["examples"].values()
    assert errors(name, example["value"]) == []


@pytest.mark.parametrize("change", [{"seconds": 1}, {"at": "yesterday"}, {"alert_id": "none"}])
def test_what_differs_from_the_schema_is_found(change: dict[str, Any]) -> None:
    event = {**MESSAGE["events"][0], **change}
    assert len(errors("alert", {**MESSAGE, "events": [event]})) == 1
