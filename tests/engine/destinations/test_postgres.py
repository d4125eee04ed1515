"""The PostgreSQL destination: objects of other users, types, names and errors."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any
from uuid import uuid4

import polars as pl
import psycopg
import pytest
from loguru import logger
from psycopg import sql

from apps.egress.exceptions import EgressError
from apps.engine.destinations.base import Destination
from apps.engine.failures import (
    LACKS_PERMISSION,
    AuthenticationError,
    ConfigurationError,
    ContractError,
    DestinationError,
    EngineError,
)
from apps.engine.sync.build import build_destination
from tests.engine.destinations.multisets import multiset
from tests.engine.destinations.servers import Servers
from tests.engine.destinations.targets import PostgresTarget, SyncJob, sync


@pytest.fixture
def target(servers: Servers, tmp_path: Path) -> Iterator[PostgresTarget]:
    postgres_target = PostgresTarget(servers, tmp_path)
    postgres_target.query("CREATE SCHEMA {schema}")
    yield postgres_target
    postgres_target.close()


@pytest.fixture
def role(target: PostgresTarget) -> Iterator[str]:
    name = f"reader_{uuid4().hex[:8]}"
    target.query(f"CREATE ROLE {name}")
    yield name
    target.query(f"DROP OWNED BY {name}")
    target.query(f"DROP ROLE {name}")


def table_oid(target: PostgresTarget) -> int:
    return int(
        target.query(
            "SELECT '{schema}.flights'::regclass::oid AS oid".replace("{schema}", target.schema)
        )[0]["oid"]
    )


def column_types(target: PostgresTarget) -> dict[str, str]:
    columns = target.query(
        "SELECT attname, format_type(atttypid, atttypmod) AS type FROM pg_attribute"
        " WHERE attrelid = %s::regclass AND attnum > 0 AND NOT attisdropped",
        f"{target.schema}.flights",
    )
    return {row["attname"]: row["type"] for row in columns}


def test_a_schema_that_another_process_creates_at_the_same_time_is_used(
    target: PostgresTarget, servers: Servers
) -> None:
    target.query("DROP SCHEMA {schema}")
    with psycopg.connect(servers.postgres_url) as other_session, ThreadPoolExecutor(1) as pool:
        other_session.execute(sql.SQL("CREATE SCHEMA {}").format(sql.Identifier(target.schema)))
        writing = pool.submit(sync, target, [{"id": 1}])
        while not target.query(
            "SELECT pid FROM pg_locks WHERE NOT granted AND locktype = 'transactionid'"
        ):
            assert not writing.done(), writing.exception()
        other_session.commit()
        writing.result(60)
    assert multiset(target.read_rows() or []) == multiset([{"id": 1}])


def test_replacing_a_table_that_drover_created_swaps_it_and_keeps_its_grants(
    target: PostgresTarget, role: str
) -> None:
    sync(target, [{"id": 1}])
    target.query(f"GRANT SELECT ON {{table}} TO {role} WITH GRANT OPTION")
    target.query("GRANT INSERT ON {table} TO PUBLIC")
    old_oid = table_oid(target)
    sync(target, [{"id": 2}])
    assert table_oid(target) != old_oid
    assert multiset(target.read_rows() or []) == multiset([{"id": 2}])
    granted = target.query(
        "SELECT has_table_privilege(%s, %s, 'SELECT WITH GRANT OPTION') AS reads,"
        " has_table_privilege(%s, %s, 'INSERT') AS writes,"
        " has_table_privilege(%s, %s, 'DELETE') AS deletes",
        *(role, f"{target.schema}.flights") * 3,
    )
    assert granted == [{"reads": True, "writes": True, "deletes": False}]


@pytest.mark.parametrize(
    "attachment",
    [
        "CREATE VIEW {schema}.totals AS SELECT count(*) AS n FROM {table}",
        "CREATE INDEX mine ON {table} (id)",
        "ALTER TABLE {table} ADD CONSTRAINT positive CHECK (id > 0)",
        "COMMENT ON TABLE {table} IS 'hands off'",
        "ALTER TABLE {table} ENABLE ROW LEVEL SECURITY",
        "CREATE TABLE {schema}.child () INHERITS ({table})",
        "ALTER TABLE {table} SET (fillfactor = 50)",
        "ALTER TABLE {table} ADD COLUMN note text DEFAULT 'mine'",
        "GRANT SELECT (id) ON {table} TO PUBLIC",
    ],
)
def test_replacing_keeps_objects_that_other_users_attached_to_the_table(
    target: PostgresTarget, attachment: str
) -> None:
    sync(target, [{"id": 1, "v": 1}])
    target.query(attachment)
    old_oid = table_oid(target)
    sync(target, [{"id": 2, "v": 2.5}], [{"id": 3, "w": "new"}])
    assert table_oid(target) == old_oid
    rows = [{k: v for k, v in row.items() if k != "note"} for row in target.read_rows() or []]
    assert multiset(rows) == multiset([{"id": 2, "v": 2.5}, {"id": 3, "w": "new"}])
    if "note" in attachment:
        assert {row["note"] for row in target.read_rows() or []} == {"mine"}


def test_replacing_a_table_that_other_tables_reference_deletes_instead_of_truncating(
    target: PostgresTarget,
) -> None:
    target.query("CREATE TABLE {table} (id bigint PRIMARY KEY)")
    target.query("CREATE TABLE {schema}.booking (flight bigint REFERENCES {table})")
    sync(target, [{"id": 1}, {"id": 2}])
    sync(target, [{"id": 3}])
    assert multiset(target.read_rows() or []) == multiset([{"id": 3}])


def test_a_table_that_a_user_created_keeps_its_columns_and_types(target: PostgresTarget) -> None:
    target.query(
        "CREATE TABLE {table} (small smallint, whole integer, code varchar(5), price numeric(8, 2),"
        " doc jsonb, ref uuid, single real, at timestamptz(3), loaded timestamptz DEFAULT now())"
    )
    ref = str(uuid4())
    row = {
        "small": 7,
        "whole": 2**40,
        "code": "abc",
        "price": 12.5,
        "doc": {"a": [1]},
        "ref": ref,
        "single": 0.1,
        "extra": True,
    }
    sync(target, [row], mode="append")
    assert column_types(target) == {
        "small": "smallint",
        "whole": "bigint",
        "code": "character varying(5)",
        "price": "numeric(8,2)",
        "doc": "jsonb",
        "ref": "uuid",
        "single": "double precision",
        "at": "timestamp(3) with time zone",
        "loaded": "timestamp with time zone",
        "extra": "boolean",
    }
    stored = (target.read_rows() or [])[0]
    assert (stored["whole"], stored["single"], stored["doc"]) == (2**40, 0.1, {"a": [1]})
    assert stored["loaded"] is not None


@pytest.mark.parametrize(
    ("column", "value"),
    [("doc jsonb", "no json"), ("n integer NOT NULL", None)],
)
def test_a_value_that_a_users_table_refuses_is_a_contract_failure(
    target: PostgresTarget, column: str, value: Any
) -> None:
    target.query(f"CREATE TABLE {{table}} (id bigint, {column})")
    name = column.split()[0]
    job = SyncJob(target, "append")
    job.write([{"id": 1, name: value}, {"id": 2, "other": 1}])
    with pytest.raises(ContractError) as raised:
        job.publish()
    assert raised.value.evidence[0].startswith("SQLSTATE 2")
    assert target.read_rows() == []


def test_a_column_without_values_takes_the_type_of_its_first_value(target: PostgresTarget) -> None:
    sync(target, [{"id": 1, "later": None}], mode="append")
    assert column_types(target) == {"id": "bigint", "later": "text"}
    sync(target, [{"id": 2, "later": None}], mode="append")
    sync(target, [{"id": 3, "later": 5}], mode="append")
    assert column_types(target) == {"id": "bigint", "later": "bigint"}
    assert multiset(target.read_rows() or []) == multiset(
        [{"id": 1}, {"id": 2}, {"id": 3, "later": 5}]
    )


def test_merging_keeps_columns_that_only_the_users_table_has(target: PostgresTarget) -> None:
    target.query("CREATE TABLE {table} (id bigint, v text, note text)")
    target.query("INSERT INTO {table} VALUES (1, 'old', 'mine'), (2, 'old', 'mine')")
    sync(target, [{"id": 1, "v": "new"}, {"id": 3, "v": "new"}], mode="merge", key=["id"])
    assert multiset(target.read_rows() or []) == multiset(
        [
            {"id": 1, "v": "new", "note": "mine"},
            {"id": 2, "v": "old", "note": "mine"},
            {"id": 3, "v": "new"},
        ]
    )


def test_merging_replaces_all_rows_with_the_same_key(target: PostgresTarget) -> None:
    target.query("CREATE TABLE {table} (id bigint, v text)")
    target.query("INSERT INTO {table} VALUES (1, 'a'), (1, 'b'), (2, 'c'), (2, 'd')")
    sync(target, [{"id": 1, "v": "new"}], mode="merge", key=["id"])
    assert multiset(target.read_rows() or []) == multiset(
        [{"id": 1, "v": "new"}, {"id": 2, "v": "c"}, {"id": 2, "v": "d"}]
    )


def test_characters_that_postgresql_lacks_are_replaced_and_logged(target: PostgresTarget) -> None:
    lines: list[str] = []
    sink = logger.add(lines.append, format="{level} {message}")
    try:
        sync(target, [{"id": 1, "a": "x\0y", "b": "\0"}, {"id": 2, "a": "fine", "b": "z"}])
    finally:
        logger.remove(sink)
    rows = [{"id": 1, "a": "x�y", "b": "�"}, {"id": 2, "a": "fine", "b": "z"}]
    assert multiset(target.read_rows() or []) == multiset(rows)
    assert next(line for line in lines if "U+0000" in line).endswith("in 2 values\n")


def test_column_names_that_postgresql_does_not_allow_are_replaced(target: PostgresTarget) -> None:
    long_name = "é" * 40
    row = {long_name + "1": 1, long_name + "2": 2, "": 3, "ctid": 4, "_drover_batch": 5, "ok": 6}
    sync(target, [row])
    sync(target, [row], mode="append")
    rows = target.read_rows() or []
    assert [sorted(stored_row.values()) for stored_row in rows] == [[1, 2, 3, 4, 5, 6]] * 2
    assert "ok" in rows[0]


def test_texts_that_would_end_a_copy_arrive_unchanged(target: PostgresTarget) -> None:
    texts = ["\\.", "", "\\N", None, " ", '"']
    sync(target, pl.DataFrame({"only": texts}).to_dicts())
    stored_texts = [row["only"] for row in target.read_rows() or []]
    assert sorted(map(repr, stored_texts)) == sorted(map(repr, texts))


def test_rows_with_only_nulls_arrive(target: PostgresTarget) -> None:
    for _ in range(2):
        sync(target, [{"a": None, "b": None}] * 3, mode="append")
    assert target.read_rows() == [{"a": None, "b": None}] * 6


def test_names_with_sql_in_them_are_quoted(target: PostgresTarget) -> None:
    target.table = 'x"; DROP SCHEMA public; --'
    sync(target, [{'a"; DROP TABLE x; --': 1}])
    assert target.read_rows() == [{'a"; DROP TABLE x; --': 1}]


def test_a_table_name_may_contain_its_schema(target: PostgresTarget) -> None:
    schema = target.schema
    target.table = f"{schema}_other.flights"
    sync(target, [{"id": 1}])
    target.table, target.schema = "flights", f"{schema}_other"
    assert target.read_rows() == [{"id": 1}]
    target.query("DROP SCHEMA {schema} CASCADE")
    target.schema = schema


def test_staging_tables_are_logged_so_they_survive_a_crash_of_the_server(
    target: PostgresTarget,
) -> None:
    job = SyncJob(target)
    job.write([{"id": 1}])
    tables = target.query(
        "SELECT relpersistence FROM pg_class WHERE relnamespace = %s::regnamespace"
        " AND relname LIKE '\\_drover\\_stg%%'",
        target.schema,
    )
    assert tables == [{"relpersistence": "p"}]
    job.destination.abandon()


def test_a_lost_connection_fails_one_batch_and_loses_no_row(target: PostgresTarget) -> None:
    job = SyncJob(target)
    job.write([{"id": 1}])
    killed = target.query(
        "SELECT pg_terminate_backend(pid) AS killed FROM pg_stat_activity"
        " WHERE application_name = 'drover' AND datname = current_database()"
    )
    assert {"killed": True} in killed
    with pytest.raises(DestinationError):
        job.stage([{"id": 2}])
    job.start_attempt()
    job.write([{"id": 2}])
    job.publish()
    assert multiset(target.read_rows() or []) == multiset([{"id": 1}, {"id": 2}])


def test_publishing_to_a_locked_table_fails_and_changes_nothing(target: PostgresTarget) -> None:
    sync(target, [{"id": 1}])
    job = SyncJob(target, lock_timeout=1)
    job.write([{"id": 2}])
    with psycopg.connect(target.url) as other_session:
        other_session.execute(
            sql.SQL("SELECT * FROM {}").format(sql.Identifier(target.schema, "flights"))
        )
        with pytest.raises(DestinationError, match="locked"):
            job.publish()
    assert multiset(target.read_rows() or []) == multiset([{"id": 1}])
    job.publish()
    assert multiset(target.read_rows() or []) == multiset([{"id": 2}])


def test_a_full_disk_is_a_failure_of_the_destination_and_publishes_nothing(
    target: PostgresTarget,
) -> None:
    """A trigger raises the SQLSTATE of a full disk in the middle of the insert."""
    sync(target, [{"id": 1}], mode="append")
    target.query(
        "CREATE FUNCTION {schema}.full_disk() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN"
        " IF NEW.id = 3 THEN RAISE 'could not extend file' USING ERRCODE = 'disk_full'; END IF;"
        " RETURN NEW; END $$"
    )
    target.query(
        "CREATE TRIGGER full_disk BEFORE INSERT ON {table} FOR EACH ROW EXECUTE FUNCTION {schema}.full_disk()"
    )
    job = SyncJob(target, "append")
    job.write([{"id": 2}, {"id": 3}])
    with pytest.raises(DestinationError, match="disk of the database is full") as raised:
        job.publish()
    assert raised.value.evidence[0] == "SQLSTATE 53100: could not extend file"
    assert target.read_rows() == [{"id": 1}]


def test_only_the_newest_publication_of_each_pipeline_is_kept(target: PostgresTarget) -> None:
    other_data = replace(target.data, prefix="another pipeline")
    for data in (target.data, other_data, target.data, target.data):
        target.data = data
        job = SyncJob(target, "append")
        job.write([{"id": 1}])
        job.publish()
        job.destination.delete_older_publications()
    publications = target.query(
        "SELECT job_id, owner FROM {schema}._drover_publications ORDER BY at"
    )
    assert [row["owner"] for row in publications] == [other_data.prefix, target.data.prefix]
    assert publications[-1]["job_id"] == job.job_id


def test_an_empty_sync_does_not_delete_the_publication_of_earlier_rows(
    target: PostgresTarget,
) -> None:
    for rows in ([{"id": 1}], [], []):
        job = SyncJob(target, "append")
        if rows:
            job.write(rows)
        job.publish()
        job.destination.delete_older_publications()
    publications = target.query("SELECT rows FROM {schema}._drover_publications ORDER BY at")
    assert [row["rows"] for row in publications] == [1, 0]


def test_publishing_to_a_view_is_refused(target: PostgresTarget) -> None:
    target.query("CREATE VIEW {table} AS SELECT 1 AS id")
    steps = list(target.make_destination(uuid4().hex).check())
    assert (steps[-1].step, steps[-1].ok) == ("write", False)
    with pytest.raises(ConfigurationError, match="is not a table"):
        SyncJob(target).write([{"id": 1}])


def build_postgres(
    target: PostgresTarget, *, allow_private: bool = True, **settings: Any
) -> Destination:
    spec = target.spec("replace", (), **settings)
    return build_destination(
        spec, job_id="a", data=target.data, allow_private_networks=allow_private
    )


@pytest.mark.parametrize(
    ("settings", "failure", "step"),
    [
        ({"user": "nobody-here"}, AuthenticationError, "authenticate"),
        ({"password": "wrong-secret"}, AuthenticationError, "authenticate"),
        ({"database": "nowhere"}, ConfigurationError, "authenticate"),
        ({"sslmode": "require"}, ConfigurationError, "authenticate"),
        ({"port": 1}, DestinationError, "connect"),
        ({"host": "no-such-host.invalid"}, EgressError, "resolve"),
        ({"host": "/var/run"}, EgressError, "resolve"),
    ],
)
def test_failed_connections_have_a_failure_class_a_step_and_no_secret(
    target: PostgresTarget, settings: dict[str, Any], failure: type[EngineError], step: str
) -> None:
    destination = build_postgres(target, **settings)
    with pytest.raises(failure) as raised:
        destination.open(())
    shown_text = " ".join([raised.value.message, *raised.value.evidence])
    secrets = [str(settings.get("password")), str(target.config()["password"])]
    assert not any(secret in shown_text for secret in secrets)
    last_step = list(build_postgres(target, **settings).check())[-1]
    assert (last_step.step, last_step.ok) == (step, False)


def test_private_addresses_are_refused_unless_allowed(target: PostgresTarget) -> None:
    destination = build_postgres(target, allow_private=False)
    with pytest.raises(EgressError, match="refused"):
        destination.open(())
    steps = list(destination.check())
    assert [(step.step, step.ok) for step in steps] == [("resolve", False)]


def test_a_user_without_create_permission_gets_an_error(target: PostgresTarget, role: str) -> None:
    target.query(f"ALTER ROLE {role} LOGIN PASSWORD 'reader-secret'")
    target.query(f"GRANT USAGE ON SCHEMA {{schema}} TO {role}")
    steps = list(build_postgres(target, user=role, password="reader-secret").check())
    assert [(step.step, step.ok) for step in steps][-1] == ("write", False)
    assert "42501" in steps[-1].message
    assert LACKS_PERMISSION in steps[-1].message
