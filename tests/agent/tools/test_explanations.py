"""The tool that explains why a pipeline is late, failing, waiting or empty."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from apps.connectors.models import Connector
from apps.engine.failures import FailureClass
from apps.orgs import audit
from apps.orgs.models import Domain
from apps.orgs.principals import SYSTEM
from apps.orgs.roles import Role
from apps.pipelines import services
from apps.pipelines.dependencies import services as dependencies
from apps.pipelines.models import Pipeline, Schedule
from apps.pipelines.schedules import services as schedules
from apps.pipelines.schedules import words
from apps.runs.explaining import findings
from apps.runs.explaining import services as explaining
from apps.runs.models import Attempt, Run, Status
from tests.agent.tools.runs import TIMEOUT, end_run, ended_run, line, start_run, write_log
from tests.agent.tools.use import card, context_of, error_code, use
from tests.world import World, make_connector, make_pipeline

RATE_LIMIT = {
    "failure_class": "rate_limit",
    "failure_message": "The source answered 429 Too Many Requests.",
    "failure_retryable": True,
}
WITH_VALUES = {
    "failure_class": "destination",
    "failure_message": "Key (email)=(ada@example.com) already exists.",
    "failure_evidence": ["Failing row contains (1, ada@example.com, secret hobby)."],
    "failure_retryable": False,
}


def explain(world: World, pipeline: Any, role: Role = Role.MEMBER) -> Any:
    answer = use(world, "explain_pipeline", role, pipeline_id=str(pipeline.pk))
    assert answer.ok, answer.content
    return answer.content


def texts(world: World, pipeline: Any, role: Role = Role.MEMBER) -> str:
    return "\n".join(found["text"] for found in explain(world, pipeline, role)["evidence"])


def test_a_disabled_pipeline_without_a_schedule_is_explained(world: World) -> None:
    found = texts(world, make_pipeline(world, enabled=False), Role.VIEWER)

    assert "is disabled" in found
    assert "has no schedule" in found
    assert "has never run" in found


def test_a_paused_schedule_names_its_person_and_note(world: World) -> None:
    pipeline = make_pipeline(world, schedule="0 6 * * *")
    with world.scope():
        schedules.pause(
            org=world.org, by=SYSTEM, pipeline_id=pipeline.pk, note="The shop moves house"
        )

    assert "paused" in texts(world, pipeline)
    assert "The shop moves house" in texts(world, pipeline)


def test_a_pipeline_that_runs_after_others_says_what_it_waits_for(world: World) -> None:
    orders, report = make_pipeline(world, name="Orders"), make_pipeline(world)
    with world.scope():
        dependencies.replace(
            org=world.org,
            by=SYSTEM,
            pipeline_id=report.pk,
            mode="all",
            window_seconds=None,
            upstream_ids=[orders.pk],
        )

    found = texts(world, report)

    assert "Waits for Orders, which has no new success." in found
    assert "has no schedule" not in found


def test_a_due_time_that_passed_without_a_run_is_late(world: World) -> None:
    pipeline = make_pipeline(world, schedule="0 6 * * *")
    assert "was not created" not in texts(world, pipeline)
    with world.scope():
        past = timezone.now() - timedelta(hours=1)
        Schedule.objects.for_org(world.org).update(next_run_at=past)

    assert "was not created" in texts(world, pipeline)


def test_a_waiting_run_has_its_reason_and_its_place_in_line(world: World) -> None:
    start_run(world, make_pipeline(world))
    pipeline = make_pipeline(world)
    run_id = start_run(world, pipeline)
    (found,) = [
        item for item in explain(world, pipeline)["evidence"] if item["link"] == f"/runs/{run_id}"
    ]

    assert "waiting for a worker. It is number 2 in" in found["text"]


def test_a_failure_is_explained_by_its_log_and_by_the_change_before_it(world: World) -> None:
    pipeline = make_pipeline(world, name="flights")
    ended_run(world, pipeline)
    with world.scope():
        change = {"streams": [{"table": "all_flights"}]}
        services.update(
            org=world.org, by=SYSTEM, pipeline_id=pipeline.pk, changes={"config": change}
        )
    ended_run(world, pipeline, Status.FAILED, **TIMEOUT)
    newest = start_run(world, pipeline)
    write_log(world, newest, line("fine"), line("The server hung up", "error"))
    end_run(world, newest, Status.FAILED, **TIMEOUT)
    content = explain(world, pipeline)
    found = "\n".join(item["text"] for item in content["evidence"])

    assert "Since the last successful run, 2 runs failed" in found
    assert "longer than its time limit" in found
    assert "Advice: Raise the pipeline's time limit" in found
    assert "Version 2 was saved" in found
    assert " table: generated -> all_flights" in found
    assert "Line 2 of the log, error: The server hung up" in found
    assert f"/runs/{newest}?line=2" in [item["link"] for item in content["evidence"]]


def test_only_members_who_may_see_the_audit_log_get_its_events(world: World) -> None:
    pipeline = make_pipeline(world)
    ended_run(world, pipeline)
    with world.scope():
        services.update(
            org=world.org, by=SYSTEM, pipeline_id=pipeline.pk, changes={"timeout_seconds": 10}
        )
    ended_run(world, pipeline, Status.FAILED, **TIMEOUT)

    assert f"Audit log: {pipeline.name} was changed by" in texts(world, pipeline, Role.ADMIN)
    assert "Audit log" not in texts(world, pipeline, Role.MEMBER)


def test_the_suggested_change_can_be_approved_as_it_is(world: World) -> None:
    pipeline = make_pipeline(world, timeout_seconds=60)
    ended_run(world, pipeline, Status.FAILED, **TIMEOUT)
    suggestion = explain(world, pipeline)["suggested_change"]
    shown = card(world, suggestion["tool"], **suggestion["arguments"])

    assert shown["changes"] == [{"field": "timeout_seconds", "before": 60, "after": 120}]


def test_a_rate_limit_suggests_to_run_less_often(world: World) -> None:
    pipeline = make_pipeline(world, schedule={"interval_seconds": 600})
    ended_run(world, pipeline, Status.FAILED, **RATE_LIMIT)
    suggestion = explain(world, pipeline)["suggested_change"]

    assert suggestion["arguments"]["schedule"] == {"interval_seconds": 1200}


def test_runs_that_take_longer_than_the_interval_suggest_a_longer_interval(world: World) -> None:
    pipeline = make_pipeline(world, schedule={"interval_seconds": 60})
    ended_run(world, pipeline, started_at=timezone.now() - timedelta(seconds=280))
    content = explain(world, pipeline)

    assert "longer than the interval of 60 seconds" in str(content["evidence"])
    assert content["suggested_change"]["arguments"]["schedule"] == {"interval_seconds": 600}


def test_a_successful_run_without_records_is_explained(world: World) -> None:
    pipeline = make_pipeline(world)
    ended_run(world, pipeline)

    assert "returned no records for the stream generated" in texts(world, pipeline)
    with world.scope():
        Run.objects.for_org(world.org).update(records_read=5)
    assert "returned no records" not in texts(world, pipeline)


def test_looks_at_records_are_not_among_the_changes_of_the_audit_log(world: World) -> None:
    pipeline = make_pipeline(world)
    ended_run(world, pipeline)
    with world.scope():
        audit.record(
            org=world.org,
            by=SYSTEM,
            action="data.viewed",
            object_kind="pipeline",
            object_id=pipeline.pk,
            object_label=pipeline.name,
            changes={"records": [None, "rejected"]},
        )
    ended_run(world, pipeline, Status.FAILED, **TIMEOUT)

    assert "data.viewed" not in texts(world, pipeline, Role.ADMIN)


def test_new_versions_do_not_displace_other_changes_of_the_audit_log(world: World) -> None:
    pipeline = make_pipeline(world)
    ended_run(world, pipeline)
    tables: list[Any] = [{"config": {"streams": [{"table": f"table_{n}"}]}} for n in range(6)]
    with world.scope():
        for changes in [{"timeout_seconds": 10}, *tables]:
            services.update(org=world.org, by=SYSTEM, pipeline_id=pipeline.pk, changes=changes)
    ended_run(world, pipeline, Status.FAILED, **TIMEOUT)

    evidence = explain(world, pipeline, Role.ADMIN)["evidence"]
    audited = [item["text"] for item in evidence if item["text"].startswith("Audit log: ")]
    assert len(audited) == 1
    assert "10" in audited[0]


@pytest.mark.parametrize(
    ("failure_class", "cause"),
    [("contract", "the form of the data"), ("crashed", "a crash of its process")],
)
def test_the_class_of_a_failure_is_said_in_words(
    failure_class: str, cause: str, world: World
) -> None:
    pipeline = make_pipeline(world)
    ended_run(world, pipeline, Status.FAILED, **{**TIMEOUT, "failure_class": failure_class})

    assert f"because of {cause}" in texts(world, pipeline)


def test_each_class_of_failures_has_words() -> None:
    assert set(findings.CAUSES) == set(FailureClass)


def test_failures_are_explained_without_record_values(world: World) -> None:
    pipeline = make_pipeline(world)
    ended_run(world, pipeline, Status.FAILED, **WITH_VALUES)
    found = texts(world, pipeline)

    assert "Key (email)=" in found
    assert "ada@example.com" not in found
    assert "secret hobby" not in found


def test_a_stranger_gets_no_explanation(world: World, stranger: World) -> None:
    pipeline = make_pipeline(world)
    answer = use(stranger, "explain_pipeline", pipeline_id=str(pipeline.pk))

    assert error_code(answer) == "not_found"


def test_a_disabled_pipeline_is_explained_by_the_change_and_can_be_enabled(world: World) -> None:
    pipeline = make_pipeline(world, name="flights", schedule="0 6 * * *")
    ended_run(world, pipeline)
    with world.scope():
        services.set_enabled(org=world.org, by=SYSTEM, pipeline_id=pipeline.pk, enabled=False)
    content = explain(world, pipeline, Role.ADMIN)
    found = "\n".join(item["text"] for item in content["evidence"])

    assert "Audit log: flights was changed by" in found
    assert "after the last run was created: enabled: true -> false" in found
    assert suggested_card(world, content)["changes"] == [
        {"field": "enabled", "before": False, "after": True}
    ]


def test_a_changed_schedule_is_explained_in_words(world: World) -> None:
    pipeline = make_pipeline(world, name="flights", schedule="0 6 * * *")
    ended_run(world, pipeline)
    schedules: tuple[Any, ...] = (
        {"cron": "30 7 * * 1-5", "timezone": "Europe/Berlin"},
        {"overlap": "queue"},
        None,
    )
    with world.scope():
        for schedule in schedules:
            services.update(
                org=world.org, by=SYSTEM, pipeline_id=pipeline.pk, changes={"schedule": schedule}
            )
    found = texts(world, pipeline, Role.ADMIN)
    berlin = "Weekdays at 07:30 (Europe/Berlin)"

    assert f"schedule: Daily at 06:00 (UTC) -> {berlin}" in found
    assert "schedule.overlap: skip -> queue" in found
    assert f"schedule: {berlin} -> Manual" in found
    assert "{" not in found


def test_a_paused_schedule_can_be_resumed(world: World) -> None:
    pipeline = make_pipeline(world, name="flights", schedule="0 6 * * *")
    ended_run(world, pipeline)
    with world.scope():
        schedules.pause(org=world.org, by=SYSTEM, pipeline_id=pipeline.pk, note="Moving")
    shown = suggested_card(world, explain(world, pipeline))

    assert shown["title"] == "Resume the schedule of flights"
    assert shown["changes"] == [{"field": "schedule.paused", "before": True, "after": False}]
    assert shown["facts"][0]["value"].endswith("06:00 (UTC)")


def test_the_change_that_broke_a_pipeline_can_be_undone(world: World) -> None:
    pipeline = make_pipeline(world)
    ended_run(world, pipeline)
    change_table(world, pipeline, "all_flights")
    ended_run(world, pipeline, Status.FAILED, **WITH_VALUES)
    content = explain(world, pipeline)

    assert "Restoring version 1 undoes the change" in content["suggested_change"]["reason"]
    assert suggested_card(world, content)["changes"] == [
        {"field": "streams.0.table", "before": "all_flights", "after": "generated"}
    ]


def test_a_version_is_not_restored_if_the_failure_may_pass_or_a_newer_version_exists(
    world: World,
) -> None:
    pipeline = make_pipeline(world)
    ended_run(world, pipeline)
    change_table(world, pipeline, "second")
    may_pass = {**WITH_VALUES, "failure_retryable": True}
    ended_run(world, pipeline, Status.FAILED, **may_pass)
    assert "suggested_change" not in explain(world, pipeline)
    ended_run(world, pipeline, Status.FAILED, **WITH_VALUES)
    assert "suggested_change" in explain(world, pipeline)
    change_table(world, pipeline, "third")
    assert "suggested_change" not in explain(world, pipeline)


def test_an_empty_run_is_explained_by_the_change_before_it_and_by_its_log(world: World) -> None:
    pipeline = make_pipeline(world)
    ended_run(world, pipeline, records_read=10)
    change_table(world, pipeline, "all_flights")
    first = start_run(world, pipeline)
    write_log(world, first, line("fine"), line("The page has no records", "warning"))
    end_run(world, first)
    found = explain(world, pipeline)["evidence"]
    text = "\n".join(item["text"] for item in found)

    assert "It read 0 records" in text
    assert "Version 2 was saved" in text
    assert "before the first run without records: table: generated" in text
    assert f"/runs/{first}?line=2" in [item["link"] for item in found]


def test_a_run_that_waits_for_its_next_attempt_names_the_failure_of_the_last_one(
    world: World,
) -> None:
    schedule = {"cron": "0 6 * * *", "timezone": "Asia/Tokyo"}
    pipeline = make_pipeline(world, max_attempts=3, schedule=schedule)
    run_id = start_run(world, pipeline)
    later = timezone.now() + timedelta(minutes=5)
    with world.scope():
        Run.objects.for_org(world.org).filter(pk=run_id).update(attempt=1, not_before=later)
        Attempt.unscoped.create(
            org=world.org, run_id=run_id, number=1, outcome="failed", worker="tests",
            started_at=timezone.now(), finished_at=timezone.now(), **RATE_LIMIT
        )  # fmt: skip
    found = texts(world, pipeline)

    assert "A run has been waiting since" in found
    moment = words.describe_times([later], "Asia/Tokyo")
    assert f": waiting for the next attempt at {moment}. It is number 1 in" in found
    assert "Its attempt 1 failed at" in found
    assert "because of a limit of requests: The source answered 429" in found


def test_a_healthy_pipeline_is_said_to_be_healthy_first(world: World) -> None:
    pipeline = make_pipeline(world, schedule={"cron": "0 6 * * *", "timezone": "Asia/Tokyo"})
    assert not explain(world, pipeline)["healthy"], "it has never run"
    ended_run(world, pipeline, records_read=336, records_written=336)
    content = explain(world, pipeline)

    assert content["healthy"]
    first = content["evidence"][0]["text"]
    assert "The last run succeeded at" in first
    assert "It read 336 records, wrote 336" in first
    assert first.count("(Asia/Tokyo)") == 1
    assert not re.search(r"\d\d:\d\d:\d\d", texts(world, pipeline)), "no seconds"
    ended_run(world, pipeline)
    assert not explain(world, pipeline)["healthy"], "the newest run was empty"
    ended_run(world, pipeline, Status.FAILED, **TIMEOUT)
    assert not explain(world, pipeline)["healthy"], "the newest run failed"


def test_a_pipeline_that_will_not_run_is_not_healthy(world: World) -> None:
    pipeline = make_pipeline(world, schedule="0 6 * * *")
    ended_run(world, pipeline, records_read=1)
    with world.scope():
        Schedule.objects.for_org(world.org).update(next_run_at=timezone.now() - timedelta(hours=1))
    assert not explain(world, pipeline)["healthy"], "its run is late"
    with world.scope():
        schedules.pause(org=world.org, by=SYSTEM, pipeline_id=pipeline.pk, note="")
    assert not explain(world, pipeline)["healthy"], "its schedule is paused"
    with world.scope():
        services.update(
            org=world.org, by=SYSTEM, pipeline_id=pipeline.pk, changes={"enabled": False}
        )
    assert not explain(world, pipeline)["healthy"], "it is disabled"
    other = make_pipeline(world)
    ended_run(world, other, records_read=1)
    start_run(world, other)
    assert not explain(world, other)["healthy"], "a run is waiting"


def test_no_fact_is_said_twice(world: World) -> None:
    pipeline = make_pipeline(world)
    ended_run(world, pipeline)
    change_table(world, pipeline, "all_flights")
    run_id = start_run(world, pipeline)
    message = "The server hung up."
    write_log(world, run_id, line(message, "error"), line("It was at page 7", "error"))
    failure = {**TIMEOUT, "failure_message": message, "failure_evidence": [message]}
    end_run(world, run_id, Status.FAILED, **failure)
    found = texts(world, pipeline, Role.ADMIN)

    assert found.count(message) == 1
    assert "because of a time limit: The server hung up." in found
    assert "It was at page 7" in found
    assert found.count("all_flights") == 1, found


def test_changed_connectors_are_named(world: World) -> None:
    old, new = (make_connector(world, name=name) for name in ("Old shop", "New shop"))
    config = {
        "source": {"connector_id": str(old.pk)},
        "streams": [{"stream": "generated"}],
        "destination": {"kind": "logger", "config": {}},
    }
    pipeline = make_pipeline(world, config=config)
    ended_run(world, pipeline)
    changes: Any = {"config": {"source": {"connector_id": str(new.pk)}}}
    with world.scope():
        services.update(org=world.org, by=SYSTEM, pipeline_id=pipeline.pk, changes=changes)

    assert "source: Old shop -> New shop" in texts(world, pipeline)


def suggested_card(world: World, content: Any) -> Any:
    """Return the card that the user approves."""
    suggestion = content["suggested_change"]
    return card(world, suggestion["tool"], **suggestion["arguments"])


def change_table(world: World, pipeline: Any, table: str) -> None:
    with world.scope():
        changes: Any = {"config": {"streams": [{"table": table}]}}
        services.update(org=world.org, by=SYSTEM, pipeline_id=pipeline.pk, changes=changes)


def test_a_program_of_one_domain_is_not_told_about_connectors_outside_of_it(world: World) -> None:
    source = make_connector(world, name="Shop database", kind="dummy")
    target = make_connector(world, name="Lake", role="destination", kind="logger")
    config = {
        "source": {"connector_id": str(source.pk)},
        "streams": [{"stream": "generated"}],
        "destination": {"connector_id": str(target.pk)},
    }
    pipeline = make_pipeline(world, config=config)
    with world.scope():
        domain = Domain.unscoped.create(org=world.org, name="Sales")
        Pipeline.objects.for_org(world.org).update(domain=domain)
        Connector.objects.for_org(world.org).filter(pk=target.pk).update(domain=domain)
        Connector.objects.for_org(world.org).update(updated_at=timezone.now())
        by = context_of(world).by
        everyone = explaining.explain(org=world.org, by=by, pipeline_id=pipeline.pk)
        limited = replace(by, only_domain=domain.pk)
        program = explaining.explain(org=world.org, by=limited, pipeline_id=pipeline.pk)

    assert "Shop database" in str(everyone.run().evidence)
    told = str(program.run().evidence)
    assert "Lake" in told
    assert "Shop database" not in told
