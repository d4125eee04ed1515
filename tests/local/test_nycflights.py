"""The demo's database has the values and types of the demo's files."""

import psycopg
import pytest
from psycopg import errors

from config.env import role_password
from local.database.postgres import EmbeddedPostgres
from local.demo.databases import prepare_demo
from local.demo.locations import LOADER_ROLE, READER_ROLE, SOURCE_DATABASE, WAREHOUSE_DATABASE
from local.demo.nycflights import COLUMNS, read_rows

SECRET = "s" * 50
ROWS = {"airlines": 16, "airports": 1458, "planes": 3322, "weather": 26115, "flights": 336_776}


@pytest.fixture(scope="module")
def demo_server(shared_server: EmbeddedPostgres) -> EmbeddedPostgres:
    assert prepare_demo(shared_server.url(), SECRET) == ROWS
    return shared_server


def connect(server: EmbeddedPostgres, name: str, user: str) -> psycopg.Connection:
    return psycopg.connect(server.url(name, user, role_password(SECRET, user)))


@pytest.mark.long
@pytest.mark.parametrize("table", ["airlines", "airports", "planes", "weather"])
def test_a_table_has_every_value_of_its_file(demo_server: EmbeddedPostgres, table: str) -> None:
    expressions = [
        f"to_char({name} AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS\"Z\"')"
        if column_type == "timestamptz"
        else name
        for name, column_type in COLUMNS[table].items()
    ]
    with connect(demo_server, SOURCE_DATABASE, READER_ROLE) as connection:
        stored = connection.execute(f"SELECT {', '.join(expressions)} FROM {table}").fetchall()
    assert sorted(map(repr, stored)) == sorted(
        repr(tuple(row.values())) for row in read_rows(table)
    )


@pytest.mark.long
def test_the_sums_of_the_flights_equal_those_of_the_file(demo_server: EmbeddedPostgres) -> None:
    distance = delay = cancelled = 0
    for row in read_rows("flights"):
        distance += int(row["distance"] or 0)
        delay += int(row["dep_delay"] or 0)
        cancelled += row["dep_time"] is None
    with connect(demo_server, SOURCE_DATABASE, READER_ROLE) as connection:
        stored = connection.execute(
            "SELECT sum(distance), sum(dep_delay), count(*) - count(dep_time) FROM flights"
        ).fetchone()
    assert stored == (distance, delay, cancelled)


def test_preparing_the_demo_again_does_not_change_existing_rows(
    demo_server: EmbeddedPostgres,
) -> None:
    with psycopg.connect(demo_server.url(SOURCE_DATABASE)) as connection:
        connection.execute("UPDATE airlines SET name = 'Mine' WHERE carrier = 'UA'")
    assert prepare_demo(demo_server.url(), SECRET) == ROWS
    with connect(demo_server, SOURCE_DATABASE, READER_ROLE) as connection:
        found = connection.execute("SELECT name FROM airlines WHERE carrier = 'UA'").fetchone()
    assert found == ("Mine",)
    with psycopg.connect(demo_server.url(SOURCE_DATABASE)) as connection:
        connection.execute(
            "UPDATE airlines SET name = 'United Air Lines Inc.' WHERE carrier = 'UA'"
        )


def test_each_role_can_use_only_its_own_database_with_its_own_privileges(
    demo_server: EmbeddedPostgres,
) -> None:
    with connect(demo_server, SOURCE_DATABASE, READER_ROLE) as reader:
        for forbidden in ("DELETE FROM flights", "CREATE TABLE mine (id int)"):
            with pytest.raises(errors.InsufficientPrivilege):
                reader.execute(forbidden)
            reader.rollback()
    with connect(demo_server, WAREHOUSE_DATABASE, LOADER_ROLE) as loader:
        loader.execute("CREATE TABLE mine (id int)")
        loader.rollback()
    for name, user in ((SOURCE_DATABASE, LOADER_ROLE), (WAREHOUSE_DATABASE, READER_ROLE)):
        with pytest.raises(psycopg.OperationalError, match="permission denied"):
            connect(demo_server, name, user)
