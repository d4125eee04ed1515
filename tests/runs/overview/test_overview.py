"""The overview names what needs attention, with its cause and with what its reader can do about it."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone
from rest_framework.test import APIClient

from apps.connectors import services
from apps.connectors.models import Connector
from apps.orgs.models import Domain, Org
from apps.orgs.roles import Role
from apps.pipelines.models import Pipeline, PipelineStream, SourceChange
from apps.runs.models import Run
from apps.runs.overview.attention import MAX_PER_KIND
from tests.runs.overview.test_freshness import end_run, make_late
from tests.world import World, make_connector, make_pipeline

URL = "/api/v1/stats/overview"
HOURLY = "0 * * * *"


def overview(world: World, role: Role = Role.MEMBER) -> dict[str, Any]:
    answer: dict[str, Any] = world.client(role).get(URL).json()
    return answer


def attention(world: World, role: Role = Role.MEMBER) -> dict[str, dict[str, Any]]:
    """Return the items by kind and name."""
    items = overview(world, role)["attention"]
    return {f"{item['kind']} {item['name']}": item for item in items}


def actions(item: dict[str, Any]) -> list[str]:
    return [fix["action"] for fix in item["fixes"]]


def fail(
    world: World, pipeline: Pipeline, failure: str, *, retryable: bool = False, **fields: Any
) -> None:
    end_run(
        world, pipeline, "failed",
        failure_class=failure, failure_message="It broke.", failure_retryable=retryable, **fields,
    )  # fmt: skip


def set_limits(world: World, **limits: int) -> None:
    with world.scope():
        assert Org.objects.filter(pk=world.org.pk).update(**limits)


def pipeline_with_connector(world: World, **fields: Any) -> tuple[Pipeline, Connector]:
    connector = make_connector(world)
    return make_pipeline(world, config=pipeline_config(connector), **fields), connector


def pipeline_config(source: Connector) -> dict[str, Any]:
    return {
        "source": {"connector_id": str(source.pk)},
        "streams": [{"stream": "creatures"}],
        "destination": {"kind": "jsonl", "config": {}},
    }


def test_the_freshness_of_all_pipelines_is_counted(world: World) -> None:
    for name, status in (("a", "succeeded"), ("b", "failed"), ("c", None), ("d", "succeeded")):
        pipeline = make_pipeline(world, name=name, schedule=HOURLY)
        if status:
            end_run(world, pipeline, status)
        if name == "d":
            make_late(world, pipeline)
    make_pipeline(world, name="by hand")
    assert overview(world)["freshness"] == {"failing": 1, "late": 1, "fresh": 1, "none": 2}


@pytest.mark.parametrize(
    ("failure", "retryable", "expected"),
    [
        ("authentication", False, ["open_connector", "open_run"]),
        ("source", True, ["retry", "open_connector", "open_run"]),
        ("destination", True, ["retry", "open_run"]),
        ("configuration", False, ["open_connector", "open_configuration", "open_run"]),
        ("contract", False, ["open_configuration", "open_run"]),
        ("crashed", True, ["retry", "open_run"]),
        ("internal", False, ["open_run"]),
    ],
)
def test_a_failing_pipeline_has_the_cause_and_the_fixes_of_its_class(
    world: World, failure: str, retryable: bool, expected: list[str]
) -> None:
    pipeline, connector = pipeline_with_connector(world, name="Orders")
    fail(world, pipeline, failure, retryable=retryable)
    item = attention(world)["failing Orders"]
    assert (item["failure_class"], item["cause"]) == (failure, "It broke.")
    assert item["since"] is not None
    assert actions(item) == expected
    for fix in item["fixes"]:
        if fix["action"] == "open_connector":
            assert (fix["id"], fix["name"]) == (str(connector.pk), f"source {connector.name}")
        if fix["action"] == "retry":
            retried = world.client().post(f"/api/v1/runs/{fix['id']}/retry", {})
            assert retried.status_code == 200
            assert attention(world)["failing Orders"]["retrying"]


def test_a_viewer_is_offered_only_what_a_viewer_may_do(world: World) -> None:
    pipeline, _ = pipeline_with_connector(world, name="Orders")
    fail(world, pipeline, "source", retryable=True)
    make_late(world, make_pipeline(world, name="Late", schedule=HOURLY))
    items = attention(world, Role.VIEWER)
    assert actions(items["failing Orders"]) == ["open_run"]
    assert actions(items["late Late"]) == ["open_pipeline"]


def test_the_failure_of_the_run_is_shown_while_it_is_tried_again(world: World) -> None:
    pipeline = make_pipeline(world, name="Orders")
    fail(world, pipeline, "source", retryable=True)
    run = world.client().post(f"/api/v1/pipelines/{pipeline.pk}/run", {}).json()
    item = attention(world)["failing Orders"]
    assert (item["retrying"], item["cause"]) == (True, "It broke.")
    assert item["fixes"] == [{"action": "open_run", "id": run["id"], "name": ""}]


def test_a_late_pipeline_can_be_run_at_once(world: World) -> None:
    pipeline = make_pipeline(world, name="Late", schedule=HOURLY)
    make_late(world, pipeline)
    item = attention(world)["late Late"]
    assert (item["cause"], actions(item)) == ("It has never run.", ["run", "open_pipeline"])
    world.client().post(f"/api/v1/pipelines/{pipeline.pk}/run", {})
    item = attention(world)["late Late"]
    assert (item["cause"], actions(item)) == ("Its run is waiting in the queue.", ["open_run"])


def test_decisions_connectors_and_limits_are_listed_in_the_order_of_their_urgency(
    world: World,
) -> None:
    pipeline, connector = pipeline_with_connector(world, name="Orders")
    fail(world, pipeline, "source")
    with world.scope():
        Connector.objects.for_org(world.org).update(check_ok=False, checked_at=timezone.now())
        SourceChange.unscoped.create(
            org=world.org, pipeline=pipeline, run_id=pipeline.pk, stream="creatures",
            kind="column_added", column="age",
        )  # fmt: skip
        PipelineStream.unscoped.bulk_create(
            PipelineStream(
                org=world.org, pipeline=pipeline, position=n, name=f"s{n}", state="waiting"
            )
            for n in range(3, 5)
        )
    set_limits(world, max_members=4, max_pipelines=1)
    items = overview(world)["attention"]
    assert [(item["kind"], item["name"]) for item in items] == [
        ("failing", "Orders"),
        ("limit_reached", "Members"),
        ("limit_reached", "Pipelines"),
        ("connector", connector.name),
        ("changes", "Orders"),
        ("streams", "Orders"),
    ]
    assert items[4]["cause"] == "1 change at the source waits for a decision."
    assert items[5]["cause"] == "2 new streams wait for a decision."
    assert actions(items[4]) == actions(items[5]) == ["decide"]
    assert actions(attention(world, Role.VIEWER)["changes Orders"]) == ["open_pipeline"]


def test_a_connector_whose_test_failed_needs_no_attention_after_a_run_worked_with_it(
    world: World,
) -> None:
    pipeline, connector = pipeline_with_connector(world, name="Orders")
    other = make_connector(world)

    def fail_test(connector: Connector) -> None:
        with world.scope():
            services.store_check_result(
                org=world.org, connector_id=connector.pk, version=connector.version, ok=False
            )

    def named() -> set[str]:
        items = overview(world)["attention"]
        return {item["name"] for item in items if item["kind"] == "connector"}

    fail_test(connector)
    end_run(world, pipeline, "failed")
    assert named() == {connector.name}
    end_run(world, pipeline, "succeeded")
    assert named() == set()
    fail_test(connector)
    assert named() == {connector.name}, "this test is newer than the run"

    fail_test(other)
    end_run(world, pipeline, "succeeded")
    changes = {"config": pipeline_config(other)}
    path = f"/api/v1/pipelines/{pipeline.pk}"
    assert world.client().patch(path, changes).status_code == 200
    assert other.name in named(), "the run was of a version with another source"


def test_the_queue_has_the_reason_and_the_place_of_each_waiting_run(world: World) -> None:
    set_limits(world, max_running=0)
    for name in ("first", "second"):
        pipeline = make_pipeline(world, name=name)
        world.client().post(f"/api/v1/pipelines/{pipeline.pk}/run", {})
    answer = overview(world, Role.VIEWER)
    assert answer["waiting"] == 2
    assert [(run["pipeline"]["name"], run["place_in_line"]) for run in answer["queue"]] == [
        ("first", 1),
        ("second", 2),
    ]
    assert answer["waiting_reason"] == answer["queue"][0]["waiting_reason"] == "org limit 0/0"


def test_volume_and_duration_are_summed_by_hour(world: World) -> None:
    pipeline = make_pipeline(world)
    end_run(world, pipeline, "succeeded", records_written=10, bytes=100)
    end_run(world, pipeline, "succeeded", records_written=5, bytes=50)
    end_run(world, pipeline, "failed", records_written=1)
    with world.scope():
        now = timezone.now()
        Run.objects.for_org(world.org).filter(status="succeeded").update(
            started_at=now - timedelta(seconds=8), finished_at=now
        )
        end_run(world, pipeline, "cancelled")
        old = Run.objects.for_org(world.org).filter(status="cancelled")
        old.update(finished_at=now - timedelta(hours=25))
    hours = overview(world)["hours"]
    assert len(hours) == 24
    last = hours[-1]
    assert (last["succeeded"], last["failed"], last["records"], last["bytes"]) == (2, 1, 15, 150)
    assert (last["average_seconds"], last["longest_seconds"]) == (8, 8)
    assert sum(hour["cancelled"] for hour in hours) == 0
    assert hours[0]["average_seconds"] is None


def test_the_number_of_queries_does_not_depend_on_the_number_of_pipelines(
    world: World, django_assert_num_queries: Any, django_assert_max_num_queries: Any
) -> None:
    client = world.client()

    def add_pipelines(count: int) -> None:
        for _ in range(count):
            pipeline = make_pipeline(world, schedule=HOURLY)
            fail(world, pipeline, "source", retryable=True)
            make_late(world, make_pipeline(world, schedule=HOURLY))
            client.post(f"/api/v1/pipelines/{make_pipeline(world).pk}/run", {})

    add_pipelines(1)
    with django_assert_max_num_queries(35) as queries:
        client.get(URL)
    before = len(queries)
    add_pipelines(MAX_PER_KIND + 1)
    with django_assert_num_queries(before):
        answer = client.get(URL).json()
    assert answer["attention_has_more"]
    assert len(answer["attention"]) == 2 * MAX_PER_KIND
    assert answer["freshness"]["failing"] == MAX_PER_KIND + 2


def test_other_orgs_see_nothing_of_it(world: World, stranger: World) -> None:
    fail(world, make_pipeline(world, schedule=HOURLY), "source")
    answer = overview(stranger)
    assert (answer["attention"], answer["queue"]) == ([], [])
    assert answer["freshness"] == {"failing": 0, "late": 0, "fresh": 0, "none": 0}


def domain_client(world: World, domain: Domain) -> APIClient:
    body = {"name": "k", "role": "member", "domain_id": str(domain.pk)}
    key = world.client(Role.ADMIN).post("/api/v1/org/api-keys", body).json()["key"]
    client = APIClient()
    client.credentials(HTTP_AUTHORIZATION=f"Bearer {key}")
    return client


def test_a_key_of_a_domain_sees_only_its_domain(world: World) -> None:
    with world.scope():
        domain = Domain.unscoped.create(org=world.org, name="Own")
    for name, domain_id in (("own", domain.pk), ("other", None)):
        pipeline, connector = pipeline_with_connector(world, name=name, domain_id=domain_id)
        fail(world, pipeline, "source", retryable=True)
        with world.scope():
            SourceChange.unscoped.create(
                org=world.org, pipeline=pipeline, run_id=pipeline.pk, stream="x", kind="key_changed"
            )
            PipelineStream.unscoped.create(
                org=world.org, pipeline=pipeline, position=7, name="y", state="waiting"
            )
            Connector.objects.for_org(world.org).filter(pk=connector.pk).update(
                check_ok=False, checked_at=timezone.now(), name=f"{name} connector"
            )
    set_limits(world, max_pipelines=1)
    client = domain_client(world, domain)
    answer = client.get(URL).json()
    assert [(item["kind"], item["name"]) for item in answer["attention"]] == [
        ("failing", "own"),
        ("changes", "own"),
        ("streams", "own"),
    ]
    assert answer["freshness"] == {"failing": 1, "late": 0, "fresh": 0, "none": 0}
    assert answer["failed"] == sum(hour["failed"] for hour in answer["hours"]) == 1
    timeline = client.get("/api/v1/stats/timeline").json()
    assert [pipeline["name"] for pipeline in timeline["pipelines"]] == ["own"]
    assert len(timeline["runs"]) == 1
