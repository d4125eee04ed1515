"""No two pipelines write the same table of a destination, unless they already did so before this rule."""

from __future__ import annotations

import threading
from typing import Any

import pytest
from django.db import connection

from apps.engine.targets import target_of
from apps.orgs.exceptions import Invalid
from apps.orgs.models import AuditEvent
from apps.orgs.principals import SYSTEM
from apps.orgs.roles import Role
from apps.pipelines import services, specs
from apps.pipelines.models import Pipeline, PipelineStream, PipelineVersion
from tests.pipelines.test_domains import DomainObjects, key_client, objects
from tests.pipelines.test_pipelines import URL, error_codes
from tests.world import World, make_connector, make_pipeline, make_world

__all__ = ["objects"]

SERVER = {"host": "db.example.com", "database": "warehouse", "user": "drover"}
BUCKET = {
    "bucket_url": "s3://acme/exports",
    "access_key_id": "AKIAIOSFODNN7EXAMPLE",
    "secret_access_key": "not-a-real-secret",
}
FIELD = "streams.0.table"


def config(destination: dict[str, Any], /, **stream: Any) -> dict[str, Any]:
    return {
        "source": {"kind": "dummy", "config": {"rows": 10}},
        "streams": [{"stream": "generated", **stream}],
        "destination": destination,
    }


def postgres(stream: dict[str, Any] | None = None, /, **settings: Any) -> dict[str, Any]:
    return config(
        {"kind": "postgres", "config": {**SERVER, **settings}},
        **{"table": "orders"} | (stream or {}),
    )


def using(connector: Any, **stream: Any) -> dict[str, Any]:
    return config({"connector_id": str(connector.pk)}, **{"table": "orders"} | stream)


def create(world: World, name: str, document: Any, role: Role = Role.MEMBER) -> Any:
    return world.client(role).post(URL, {"name": name, "config": document})


def message_of(answer: Any, field: str = FIELD) -> str:
    assert error_codes(answer) == {field: "taken"}
    (error,) = answer.json()["errors"]
    return str(error["message"])


def test_a_second_pipeline_with_the_same_table_is_refused_and_told_what_to_do(world: World) -> None:
    assert create(world, "Sales", postgres()).status_code == 201
    message = message_of(create(world, "People", postgres()))
    assert "The pipeline “Sales” writes to this table" in message
    assert "Choose another table, such as generated." in message
    assert create(world, "People", postgres({"table": "generated"})).status_code == 201
    message = message_of(create(world, "Third", postgres()))
    assert "such as orders_2." in message
    with world.scope():
        created = AuditEvent.objects.for_org(world.org).filter(action="pipeline.create")
        assert created.count() == 2


@pytest.mark.parametrize(
    ("stream", "table", "is_refused"),
    [
        ("orders", "orders", True),
        ("sales.orders", "sales.orders", True),
        ("orders", "orders_copy", False),
        ("sales.orders", "orders", False),
    ],
)
def test_a_pipeline_that_would_write_the_table_that_it_reads_is_refused(
    world: World, stream: str, table: str, is_refused: bool
) -> None:
    document = postgres({"stream": stream, "table": table})
    document["source"] = {"kind": "postgres", "config": SERVER}
    answer = create(world, "Copy", document)
    if is_refused:
        assert "a table that the pipeline reads" in message_of(answer)
    else:
        assert answer.status_code == 201


def test_a_stranger_and_a_viewer_learn_nothing_about_the_table(
    world: World, stranger: World
) -> None:
    create(world, "Sales", postgres())
    assert create(world, "Mine", postgres(), Role.VIEWER).status_code == 403
    assert create(stranger, "Mine", postgres()).status_code == 201, "another org has its own rule"


def test_the_name_of_a_pipeline_of_another_domain_is_not_told(objects: DomainObjects) -> None:
    make_pipeline(
        objects.world, name="Secret plans", domain_id=objects.other_domain.pk, config=postgres()
    )
    body = {"name": "Mine", "config": postgres(), "domain_id": str(objects.own_domain.pk)}
    answer = key_client(objects).post(URL, body)
    assert message_of(answer).startswith("Another pipeline writes to this table")
    assert b"Secret" not in answer.content


@pytest.mark.parametrize(
    ("kind", "settings", "table"),
    [
        ("postgres", {"host": "DB.example.com."}, "orders"),
        ("postgres", {"port": 5432, "user": "somebody-else", "sslmode": "require"}, "orders"),
        ("postgres", {"schema": "public"}, "orders"),
        ("postgres", {"schema": "other"}, "public.orders"),
    ],
)
def test_settings_that_name_the_same_table_have_the_same_target(
    kind: str, settings: dict[str, Any], table: str
) -> None:
    assert target_of(kind, {**SERVER, **settings}, table) == target_of(kind, SERVER, "orders")


@pytest.mark.parametrize(
    ("settings", "table"),
    [
        ({"host": "db2.example.com"}, "orders"),
        ({"port": 5433}, "orders"),
        ({"database": "Warehouse"}, "orders"),
        ({"schema": "sales"}, "orders"),
        ({}, "sales.orders"),
        ({}, "Orders"),
    ],
)
def test_settings_that_name_other_tables_have_other_targets(
    settings: dict[str, Any], table: str
) -> None:
    other = target_of("postgres", {**SERVER, **settings}, table)
    assert other
    assert other != target_of("postgres", SERVER, "orders")


def test_files_of_all_formats_share_the_folders_of_a_bucket() -> None:
    target = target_of("parquet", BUCKET, "orders")
    assert target
    assert target_of("csv", {**BUCKET, "access_key_id": "other"}, "orders") == target
    assert target_of("jsonl", {"bucket_url": "s3://acme/"}, "exports/orders") == target
    assert target_of("parquet", {"bucket_url": "gs://acme/exports"}, "orders") != target
    assert (
        target_of("parquet", {**BUCKET, "endpoint_url": "https://minio:9000"}, "orders") != target
    )


@pytest.mark.parametrize(
    "destination",
    [
        {"kind": "logger", "config": {}},
        {"kind": "parquet", "config": {}},
        {"kind": "duckdb", "config": {}},
    ],
)
def test_pipelines_with_a_folder_of_their_own_may_use_the_same_table_name(
    world: World, destination: dict[str, Any]
) -> None:
    for name in ("one", "two"):
        assert create(world, name, config(destination, table="orders")).status_code == 201


def test_connectors_and_settings_of_the_same_database_are_one_destination(world: World) -> None:
    connectors = [
        make_connector(world, role="destination", kind="postgres", config={**SERVER, "user": user})
        for user in ("a", "b")
    ]
    assert create(world, "Sales", using(connectors[0])).status_code == 201
    for document in (using(connectors[0]), using(connectors[1]), postgres()):
        assert "“Sales”" in message_of(create(world, "People", document))


def test_a_pipeline_cannot_be_changed_or_restored_to_a_taken_table(world: World) -> None:
    sales = create(world, "Sales", postgres()).json()
    people = create(world, "People", postgres({"table": "people"})).json()
    client = world.client()
    change = {"config": {"streams": [{"table": "orders"}]}}
    assert "“Sales”" in message_of(client.patch(f"{URL}/{people['id']}", change))
    assert client.get(f"{URL}/{people['id']}").json()["version"] == 1

    other = {"config": {"streams": [{"table": "sales"}]}}
    assert client.patch(f"{URL}/{sales['id']}", other).status_code == 200
    assert client.patch(f"{URL}/{people['id']}", change).status_code == 200
    assert "“People”" in message_of(client.post(f"{URL}/{sales['id']}/versions/1/restore"))


def test_a_copy_of_a_pipeline_gets_a_table_of_its_own(world: World) -> None:
    pipeline = create(world, "Sales", postgres()).json()
    tables = []
    for _ in range(2):
        copy = world.client().post(f"{URL}/{pipeline['id']}/duplicate", {}).json()
        tables.append(copy["config"]["streams"][0]["table"])
    assert tables == ["generated", "orders_2"]


def test_the_table_of_a_copy_keeps_the_schema_and_is_not_too_long(world: World) -> None:
    create(world, "Taken", postgres({"table": "generated"}))
    for table, copied in (("sales.orders", "sales.orders_2"), ("é" * 31, "é" * 29 + "_2")):
        pipeline = create(world, table, postgres({"table": table})).json()
        copy = world.client().post(f"{URL}/{pipeline['id']}/duplicate", {}).json()
        assert copy["config"]["streams"][0]["table"] == copied


def test_the_table_of_a_deleted_pipeline_is_free(world: World) -> None:
    pipeline = create(world, "Sales", postgres()).json()
    assert world.client().delete(f"{URL}/{pipeline['id']}").status_code == 204
    assert create(world, "People", postgres()).status_code == 201


def test_settings_of_a_connector_that_lead_to_a_taken_table_are_refused(world: World) -> None:
    connector = make_connector(
        world, role="destination", kind="postgres", config={**SERVER, "database": "test"}
    )
    make_pipeline(world, name="Sales", config=postgres())
    make_pipeline(world, name="People", config=using(connector))
    url = f"/api/v1/connectors/{connector.pk}"
    message = message_of(world.client().patch(url, {"config": {"database": "warehouse"}}), "config")
    assert "the pipeline “People” would write to a table of another pipeline" in message
    assert "“Sales” writes to that table" in message
    assert world.client().get(url).json()["config"]["database"] == "test"

    assert world.client().patch(url, {"config": {"database": "third"}}).status_code == 200
    assert create(world, "Old", postgres(database="test")).status_code == 201
    message_of(create(world, "New", postgres(database="third")))


def share_table_as_before_the_rule(world: World) -> list[Pipeline]:
    """Create two pipelines that write the same table, as older releases allowed."""
    pipelines = [
        make_pipeline(world, name=name, config=postgres({"table": table}))
        for name, table in (("one", "orders"), ("two", "people"))
    ]
    with world.scope():
        for row in PipelineVersion.objects.for_org(world.org):
            row.definition["streams"][0]["table"] = "orders"
            row.save()
        rows = PipelineStream.objects.for_org(world.org)
        first = rows.get(pipeline=pipelines[0])
        rows.filter(pipeline=pipelines[1]).update(target=first.target, owns_target=False)
    return pipelines


def test_pipelines_that_already_share_a_table_can_be_changed_but_not_joined(world: World) -> None:
    pipelines = share_table_as_before_the_rule(world)
    with world.scope():
        rows = PipelineStream.objects.for_org(world.org).order_by("pipeline__created_at")
        assert [row.owns_target for row in rows] == [True, False]
        assert len({row.target for row in rows}) == 1
    client = world.client()
    for pipeline in pipelines:
        change = {"tags": ["x"], "config": {"streams": [{"write_mode": "append"}]}}
        assert client.patch(f"{URL}/{pipeline.pk}", change).status_code == 200
    assert "The pipelines “one”, “two” write" in message_of(create(world, "three", postgres()))

    moved = {"config": {"streams": [{"table": "moved"}]}}
    assert client.patch(f"{URL}/{pipelines[1].pk}", moved).status_code == 200
    back = {"config": {"streams": [{"table": "orders"}]}}
    assert "“one”" in message_of(client.patch(f"{URL}/{pipelines[1].pk}", back))


def test_a_shared_table_is_taken_even_when_its_owner_has_left_it(world: World) -> None:
    owner, other = share_table_as_before_the_rule(world)
    moved = {"config": {"streams": [{"table": "moved"}]}}
    assert world.client().patch(f"{URL}/{owner.pk}", moved).status_code == 200
    assert f"“{other.name}”" in message_of(create(world, "three", postgres()))


def test_a_connector_of_pipelines_that_already_share_a_table_can_be_changed(world: World) -> None:
    pipelines = share_table_as_before_the_rule(world)
    connector = make_connector(world, role="destination", kind="postgres", config=SERVER)
    for pipeline in pipelines:
        change = {"config": {"destination": {"connector_id": str(connector.pk)}}}
        assert world.client().patch(f"{URL}/{pipeline.pk}", change).status_code == 200
    url = f"/api/v1/connectors/{connector.pk}"
    assert world.client().patch(url, {"config": {"host": "new.example.com"}}).status_code == 200
    message_of(create(world, "three", postgres(host="new.example.com")))


def test_of_two_pipelines_that_are_saved_at_once_one_wins(committed_db: None) -> None:
    world = make_world()
    refusals: list[Invalid] = []
    first_is_stored, second_waits = threading.Event(), threading.Event()

    def create_second() -> None:
        try:
            with world.scope():
                first_is_stored.wait(30)
                second_waits.set()
                services.create(org=world.org, by=SYSTEM, name="second", config=postgres())
        except Invalid as error:
            refusals.append(error)
        finally:
            connection.close()

    thread = threading.Thread(target=create_second)
    thread.start()
    with world.scope():
        services.create(org=world.org, by=SYSTEM, name="first", config=postgres())
        first_is_stored.set()
        second_waits.wait(30)
        thread.join(1)
        assert thread.is_alive(), "the second one waits for the end of this transaction"
    thread.join(30)
    ((field, message, code),) = refusals[0].errors
    assert (field, code) == (FIELD, "taken")
    assert "The pipeline “first” writes" in message


def test_the_page_of_a_pipeline_says_that_its_table_is_shared(objects: DomainObjects) -> None:
    world = objects.world
    one, two = share_table_as_before_the_rule(world)
    client = world.client(Role.VIEWER)
    (warning,) = client.get(f"{URL}/{one.pk}").json()["warnings"]
    assert "The pipeline “two” writes to the same table" in warning
    moved = {"config": {"streams": [{"table": "moved"}]}}
    assert world.client().patch(f"{URL}/{two.pk}", moved).json()["warnings"] == []
    assert client.get(f"{URL}/{one.pk}").json()["warnings"] == []


def test_the_page_names_no_pipeline_of_another_domain(objects: DomainObjects) -> None:
    world = objects.world
    one, two = share_table_as_before_the_rule(world)
    for pipeline, domain in ((one, objects.own_domain), (two, objects.other_domain)):
        change = {"domain_id": str(domain.pk)}
        assert world.client().patch(f"{URL}/{pipeline.pk}", change).status_code == 200
    (warning,) = key_client(objects).get(f"{URL}/{one.pk}").json()["warnings"]
    assert warning.startswith("Another pipeline writes to the same table")


def test_an_earlier_version_cannot_write_a_table_that_another_pipeline_got(world: World) -> None:
    """A failed run keeps its version, and may be retried after the table was given away."""
    pipeline = make_pipeline(world, name="Sales", config=postgres())
    change = {"config": {"streams": [{"table": "sales"}]}}
    assert world.client().patch(f"{URL}/{pipeline.pk}", change).status_code == 200
    with world.scope():
        pipeline.refresh_from_db()
        assert specs.engine_specs(org=world.org, pipeline=pipeline, version=1)
    make_pipeline(world, name="People", config=postgres())
    with world.scope(), pytest.raises(Invalid, match="Another pipeline writes to the table"):
        specs.engine_specs(org=world.org, pipeline=pipeline, version=1)
    with world.scope():
        assert specs.engine_specs(org=world.org, pipeline=pipeline, version=2)


def test_versions_that_an_older_release_stores_keep_their_own_database(world: World) -> None:
    """It does not know the columns, so they get the defaults of the database."""
    connector = make_connector(world, role="destination", kind="duckdb")
    pipeline = make_pipeline(world, config=using(connector))
    with world.scope(), connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO pipelines_pipelineversion"
            " (id, org_id, pipeline_id, number, definition, sealed, secret_hints, note, created_at)"
            " SELECT gen_random_uuid(), org_id, pipeline_id, 2, definition, '', '{}', '', now()"
            " FROM pipelines_pipelineversion WHERE pipeline_id = %s",
            [pipeline.pk],
        )
        pipeline.version = 2
        folders = [
            specs.engine_specs(org=world.org, pipeline=pipeline, version=number)[0].destination
            for number in (1, 2)
        ]
    assert [spec.shared_folder for spec in folders] == [
        f"org/{world.org.pk}/databases/{connector.pk}",
        "",
    ]
