"""Actions on many pipelines: each pipeline has its own result, in a constant number of queries."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from uuid import uuid4

import pytest

from apps.auth.models import new_id
from apps.orgs.models import AuditEvent, Domain, Org
from apps.orgs.roles import Role
from apps.pipelines.bulk.changes import permitted_pipelines
from apps.pipelines.models import Pipeline, Schedule
from apps.runs.bulk import services
from apps.runs.models import Event, Run, RunStream, Status
from tests.world import World, make_pipeline

URL = "/api/v1/pipelines/bulk"


def act(world: World, role: Role, action: str, ids: Sequence[Any], **more: Any) -> Any:
    return world.client(role).post(URL, {"ids": [str(pk) for pk in ids], "action": action, **more})


def failed_codes(answer: Any) -> list[str | None]:
    assert answer.status_code == 200, answer.content
    results = answer.json()["results"]
    codes = [row["problem"] and row["problem"]["code"] for row in results]
    assert answer.json()["failed"] == len([code for code in codes if code])
    assert answer.json()["succeeded"] == codes.count(None)
    return codes


def fail_run(world: World, pipeline: Pipeline, **values: Any) -> Run:
    with world.scope():
        run: Run = Run.unscoped.create(
            org=world.org,
            pipeline=pipeline,
            version=1,
            status=Status.FAILED,
            trigger="manual",
            failure_class="source",
            failure_message="gone",
            **values,
        )
        RunStream.unscoped.create(
            org=world.org, run=run, position=0, name="generated", table="t", status="cancelled"
        )
        Pipeline.objects.for_org(world.org).filter(pk=pipeline.pk).update(
            last_run_id=run.pk, last_run_status="failed"
        )
    return run


def test_a_member_disables_enables_and_tags_pipelines_with_an_event_for_each(world: World) -> None:
    rows = [make_pipeline(world, tags=["a"], schedule="0 6 * * *") for _ in range(3)]
    ids = [row.pk for row in rows]
    assert failed_codes(act(world, Role.MEMBER, "disable", ids)) == [None] * 3
    with world.scope():
        pipelines = Pipeline.objects.for_org(world.org)
        assert set(pipelines.values_list("enabled", "etag")) == {(False, 2)}
        schedules = Schedule.objects.for_org(world.org)
        assert set(schedules.values_list("next_run_at", flat=True)) == {None}
    act(world, Role.MEMBER, "enable", ids)
    act(world, Role.MEMBER, "tag", ids[:2], tags=["B ", "a"])
    act(world, Role.MEMBER, "untag", ids[:1], tags=["a"])
    with world.scope():
        assert not schedules.filter(next_run_at=None).exists()
        assert [pipelines.get(pk=pk).tags for pk in ids] == [["b"], ["a", "b"], ["a"]]
        events = AuditEvent.objects.for_org(world.org).filter(
            action="pipeline.update", object_id=ids[0]
        )
        assert [event.changes for event in events.order_by("at", "id")] == [
            {"enabled": [True, False]},
            {"enabled": [False, True]},
            {"tags": [["a"], ["a", "b"]]},
            {"tags": [["a", "b"], ["b"]]},
        ]


def test_running_many_pipelines_starts_what_can_run_and_says_why_the_others_cannot(
    world: World,
) -> None:
    ready, disabled, live = (
        make_pipeline(world),
        make_pipeline(world, enabled=False),
        make_pipeline(world),
    )
    act(world, Role.MEMBER, "run", [live.pk])
    answer = act(world, Role.MEMBER, "run", [ready.pk, disabled.pk, live.pk, uuid4()])
    assert failed_codes(answer) == [None, "disabled", "run_in_progress", "not_found"]
    with world.scope():
        pipeline = Pipeline.objects.for_org(world.org).get(pk=ready.pk)
        run = Run.objects.for_org(world.org).get(pipeline=ready)
        assert (pipeline.last_run_id, pipeline.last_run_status) == (run.pk, "pending")
        assert (run.trigger, run.triggered_by) == ("manual", world.users[Role.MEMBER])
        (event,) = Event.objects.for_org(world.org).filter(run=run)
        assert (event.kind, event.sequence, event.body["event_sequence"]) == ("run", 1, 1)
        numbers = Event.objects.for_org(world.org).values_list("org_sequence", flat=True)
        assert set(numbers) == {1, 2}
        assert AuditEvent.objects.for_org(world.org).filter(
            action="run.start", object_id=run.pk, object_label=ready.name
        )


def test_a_bulk_retry_retries_the_failed_last_runs(world: World) -> None:
    failed, fine = make_pipeline(world, max_attempts=7), make_pipeline(world)
    run = fail_run(world, failed)
    answer = act(world, Role.MEMBER, "retry", [failed.pk, fine.pk])
    assert failed_codes(answer) == [None, "not_retryable"]
    with world.scope():
        run.refresh_from_db()
        assert (run.status, run.trigger, run.max_attempts, run.failure_class) == (
            "pending", "retry", 7, "",
        )  # fmt: skip
        assert RunStream.objects.for_org(world.org).get(run=run).status == "pending"
        pipeline = Pipeline.objects.for_org(world.org).get(pk=failed.pk)
        assert (pipeline.last_run_id, pipeline.last_run_status) == (run.pk, "pending")


def test_a_run_that_is_not_the_last_one_any_more_is_not_retried(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    pipeline = make_pipeline(world)
    run = fail_run(world, pipeline)
    read = permitted_pipelines

    def read_before_another_run_ends(*args: Any, **kwargs: Any) -> Any:
        outcome = read(*args, **kwargs)
        fail_run(world, pipeline)
        return outcome

    monkeypatch.setattr(services, "permitted_pipelines", read_before_another_run_ends)
    answer = act(world, Role.MEMBER, "retry", [pipeline.pk])
    assert failed_codes(answer) == ["not_retryable"]
    with world.scope():
        run.refresh_from_db()
    assert run.status == "failed"


@pytest.mark.parametrize("action", ["run", "retry", "enable", "disable", "tag", "untag"])
def test_a_strangers_pipeline_is_answered_like_an_unknown_one(
    world: World, stranger: World, action: str
) -> None:
    pipeline = make_pipeline(world)
    more = {"tags": ["x"]} if action in ("tag", "untag") else {}
    foreign, unknown = (
        act(stranger, Role.OWNER, action, [pk], **more).json()["results"][0]
        for pk in (pipeline.pk, uuid4())
    )
    assert foreign["problem"] == unknown["problem"]
    assert foreign["problem"]["code"] == "not_found"


@pytest.mark.parametrize("action", ["run", "retry", "enable", "disable", "tag", "untag"])
def test_a_viewer_may_use_no_bulk_action(world: World, action: str) -> None:
    pipeline = make_pipeline(world)
    assert act(world, Role.VIEWER, action, [pipeline.pk]).status_code == 403
    with world.scope():
        assert not Run.objects.for_org(world.org).exists()


def test_a_member_of_one_domain_may_act_only_on_its_pipelines(world: World) -> None:
    from apps.orgs.models import DomainRole, Membership

    with world.scope():
        domain = Domain.unscoped.create(org=world.org, name="Marketing")
        membership = Membership.objects.for_org(world.org).get(user=world.users[Role.VIEWER])
        DomainRole.unscoped.create(
            org=world.org, domain=domain, membership=membership, role=Role.MEMBER
        )
    inside, outside = make_pipeline(world, domain_id=domain.pk), make_pipeline(world)
    for action in ("run", "disable"):
        answer = act(world, Role.VIEWER, action, [inside.pk, outside.pk])
        assert failed_codes(answer) == [None, "permission_missing"]


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"ids": [], "action": "run"}, "ids"),
        ({"ids": [str(new_id()) for _ in range(1001)], "action": "run"}, "ids"),
        ({"ids": [str(new_id())], "action": "explode"}, "action"),
        ({"ids": [str(new_id())], "action": "tag"}, "tags"),
        ({"ids": [str(new_id())], "action": "run", "tags": ["x"]}, "tags"),
    ],
)
def test_a_wrong_bulk_request_is_refused_with_its_field(
    world: World, body: Any, field: str
) -> None:
    answer = world.client().post(URL, body)
    assert answer.status_code == 422, answer.content
    assert answer.json()["errors"][0]["field"].startswith(field)


def test_a_repeated_bulk_request_with_the_same_key_starts_nothing_again(world: World) -> None:
    pipeline = make_pipeline(world)
    body = {"ids": [str(pipeline.pk)], "action": "run"}
    first, second = (
        world.client(Role.MEMBER).post(URL, body, headers={"Idempotency-Key": "one"})
        for _ in range(2)
    )
    assert first.content == second.content
    assert second["Idempotency-Replayed"] == "true"


def test_at_the_monthly_limit_nothing_is_started(world: World) -> None:
    from apps.runs.models import Usage
    from apps.runs.usage.counting import this_month

    pipeline = make_pipeline(world)
    with world.scope():
        Org.objects.filter(pk=world.org.pk).update(max_rows_month=1)
        Usage.unscoped.create(org=world.org, month=this_month(), rows=1)
    answer = act(world, Role.MEMBER, "run", [pipeline.pk])
    assert answer.json()["code"] == "limit_reached"


@pytest.mark.parametrize("action", ["run", "retry", "disable", "tag"])
def test_the_number_of_queries_does_not_depend_on_the_number_of_pipelines(
    world: World, action: str, django_assert_num_queries: Any, django_assert_max_num_queries: Any
) -> None:
    rows = [make_pipeline(world, schedule="0 6 * * *") for _ in range(7)]
    if action == "retry":
        for row in rows:
            fail_run(world, row)
    more = {"tags": ["x"]} if action == "tag" else {}
    client = world.client(Role.MEMBER)
    with django_assert_max_num_queries(40) as queries:
        client.post(URL, {"ids": [str(rows[0].pk)], "action": action, **more})
    with django_assert_num_queries(len(queries)):
        client.post(URL, {"ids": [str(row.pk) for row in rows[1:]], "action": action, **more})


def test_the_newest_runs_of_many_pipelines_come_in_one_answer(
    world: World, stranger: World, django_assert_max_num_queries: Any
) -> None:
    rows = [make_pipeline(world) for _ in range(2)]
    runs = [fail_run(world, rows[0], records_written=n) for n in range(16)]
    ids = ",".join(str(row.pk) for row in rows)
    with django_assert_max_num_queries(10):
        answer = world.client(Role.VIEWER).get("/api/v1/pipelines/recent-runs", {"pipelines": ids})
    found = {row["pipeline_id"]: row["runs"] for row in answer.json()["results"]}
    assert [run["records"] for run in found[str(rows[0].pk)]] == list(range(15, 1, -1))
    assert found[str(rows[0].pk)][0]["id"] == str(runs[-1].pk)
    assert found[str(rows[1].pk)] == []
    hidden = stranger.client(Role.OWNER).get("/api/v1/pipelines/recent-runs", {"pipelines": ids})
    assert hidden.json() == {"results": []}
    for wrong in ("x", ids + ",", ",".join(str(new_id()) for _ in range(101))):
        answer = world.client().get("/api/v1/pipelines/recent-runs", {"pipelines": wrong})
        assert answer.status_code == 400


def test_a_key_needs_only_the_permission_of_the_action(world: World) -> None:
    from tests.world import new_client

    pipeline = make_pipeline(world)
    made = world.client(Role.OWNER).post(
        "/api/v1/org/api-keys", {"name": "K", "role": "member", "scopes": ["read", "pipelines.run"]}
    )
    client = new_client()
    client.credentials(HTTP_AUTHORIZATION=f"Bearer {made.json()['key']}")
    body = {"ids": [str(pipeline.pk)]}
    assert client.post(URL, {**body, "action": "run"}).json()["succeeded"] == 1
    assert client.post(URL, {**body, "action": "disable"}).status_code == 403
