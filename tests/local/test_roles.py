"""`prepare_database`: the permissions of each role, repeated calls, and errors."""

import threading
from collections.abc import Callable

import psycopg
import pytest
from psycopg import errors

from config.env import role_url
from local.database.postgres import EmbeddedPostgres
from local.database.roles import REPLACE_ROLES_VARIABLE, ROLES, prepare_database
from local.errors import LocalError

SECRET = "s" * 50

Connect = Callable[[str], psycopg.Connection]


@pytest.fixture(scope="module")
def prepared_url(shared_server: EmbeddedPostgres) -> str:
    address = shared_server.url("drover")
    prepare_database(address, SECRET)
    with psycopg.connect(role_url(address, SECRET, "app_owner")) as owner:
        owner.execute("CREATE TABLE public.things (id bigserial PRIMARY KEY, name text)")
        owner.execute("CREATE TABLE engine.jobs (id int)")
        owner.execute("CREATE FUNCTION public.f() RETURNS int LANGUAGE sql AS 'SELECT 1'")
    return address


@pytest.fixture
def connect(prepared_url: str) -> Connect:
    return lambda role: psycopg.connect(role_url(prepared_url, SECRET, role), autocommit=True)


def test_the_runtime_role_can_change_rows_and_nothing_else(connect: Connect) -> None:
    with connect("app_user") as user:
        user.execute("INSERT INTO things (name) VALUES ('a')")
        user.execute("UPDATE things SET name = 'b'")
        user.execute("SELECT f()")
        user.execute("DELETE FROM things")
        for forbidden in (
            "CREATE TABLE mine (id int)",
            "ALTER TABLE things ADD COLUMN x int",
            "TRUNCATE things",
            "SELECT * FROM engine.jobs",
            "CREATE SCHEMA mine",
            "SET ROLE app_owner",
        ):
            with pytest.raises(errors.InsufficientPrivilege):
                user.execute(forbidden)


@pytest.mark.parametrize("role", ROLES)
def test_every_role_has_lock_and_idle_timeouts(connect: Connect, role: str) -> None:
    with connect(role) as session:
        limits: dict[str, int] = dict(
            session.execute(
                """SELECT name, setting::int FROM pg_settings WHERE name IN
                   ('idle_in_transaction_session_timeout', 'lock_timeout')"""
            ).fetchall()
        )
    assert 0 < limits["lock_timeout"] <= (30_000 if role == "app_owner" else 2000)
    assert 0 < limits["idle_in_transaction_session_timeout"] <= 300_000


def test_the_server_detects_dead_clients(connect: Connect) -> None:
    with connect("app_user") as session:
        row = session.execute("SHOW tcp_user_timeout").fetchone()
    assert row is not None
    assert row[0] != "0"


def test_the_operators_role_can_only_read(connect: Connect) -> None:
    with connect("app_ops") as operator:
        operator.execute("SELECT * FROM things")
        with pytest.raises(errors.InsufficientPrivilege):
            operator.execute("INSERT INTO things (name) VALUES ('a')")


def test_the_engine_role_can_use_only_its_own_schema(connect: Connect) -> None:
    with connect("app_engine") as engine:
        assert engine.execute("SHOW search_path").fetchone() == ("engine",)
        for forbidden in ("SELECT * FROM public.things", "SELECT public.f()"):
            with pytest.raises(errors.InsufficientPrivilege):
                engine.execute(forbidden)


def test_no_role_has_powerful_attributes(connect: Connect) -> None:
    with connect("app_user") as user:
        powerful_roles = user.execute(
            "SELECT rolname FROM pg_roles WHERE rolname LIKE 'app%%' AND"
            " (rolsuper OR rolbypassrls OR rolcreatedb OR rolcreaterole OR NOT rolcanlogin)"
        ).fetchall()
    assert powerful_roles == []


def test_repeated_and_concurrent_preparations_succeed(prepared_url: str) -> None:
    failures: list[LocalError] = []

    def prepare() -> None:
        try:
            prepare_database(prepared_url, SECRET)
        except LocalError as failure:
            failures.append(failure)

    threads = [threading.Thread(target=prepare) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []


def test_a_second_database_on_the_server_is_prepared_too(
    prepared_url: str, shared_server: EmbeddedPostgres
) -> None:
    other = shared_server.url("other")
    prepare_database(other, SECRET)
    with psycopg.connect(role_url(other, SECRET, "app_owner")) as owner:
        owner.execute("CREATE TABLE mine (id int)")


def test_roles_of_another_installation_are_replaced_only_if_the_setting_allows_it(
    prepared_url: str, connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(LocalError, match="the keys of another Drover installation"):
        prepare_database(prepared_url, "z" * 50)
    connect("app_user").close()
    monkeypatch.setenv(REPLACE_ROLES_VARIABLE, "yes")
    prepare_database(prepared_url, "z" * 50)
    psycopg.connect(role_url(prepared_url, "z" * 50, "app_user")).close()
    prepare_database(prepared_url, SECRET)


def test_an_administrator_needs_only_createrole_and_createdb(
    shared_server: EmbeddedPostgres, monkeypatch: pytest.MonkeyPatch
) -> None:
    with psycopg.connect(shared_server.url(), autocommit=True) as admin:
        for role in ("app_owner", "app_user", "app_ops", "app_engine"):
            if admin.execute("SELECT FROM pg_roles WHERE rolname = %s", [role]).rowcount:
                admin.execute("DROP DATABASE IF EXISTS drover")
                admin.execute("DROP DATABASE IF EXISTS other")
                admin.execute(f"DROP ROLE {role}")
        admin.execute("CREATE ROLE hosted LOGIN CREATEROLE CREATEDB PASSWORD 'pw'")
    address = shared_server.url("hosted", user="hosted", password="pw")
    for _ in range(2):
        prepare_database(address, SECRET)
    with psycopg.connect(role_url(address, SECRET, "app_owner")) as owner:
        owner.execute("CREATE TABLE mine (id int)")


@pytest.mark.parametrize(
    ("address", "message"),
    [
        ("mysql://u:p@127.0.0.1/x", "not an address of a PostgreSQL database"),
        ("postgresql://u:p@127.0.0.1", "not an address of a PostgreSQL database"),
        ("postgresql://u:p@127.0.0.1:port/x", "not an address of a PostgreSQL database"),
        ("postgresql://u:p@127.0.0.1:1/x", r"at 127\.0\.0\.1:1 could not be used"),
        ("postgresql://u:p@no.such.host.invalid/x", "could not be used"),
    ],
)
def test_an_invalid_or_unreachable_database_url_is_reported_without_its_password(
    address: str, message: str
) -> None:
    with pytest.raises(LocalError, match=message) as caught:
        prepare_database(address, SECRET)
    assert "\n" not in str(caught.value)
    assert ":p@" not in str(caught.value)


def test_a_wrong_password_is_reported(shared_server: EmbeddedPostgres) -> None:
    with pytest.raises(LocalError, match="refuses the password"):
        prepare_database(shared_server.url("drover", password="wrong"), SECRET)


def test_missing_permissions_of_the_user_are_reported(shared_server: EmbeddedPostgres) -> None:
    with psycopg.connect(shared_server.url(), autocommit=True) as admin:
        admin.execute("CREATE ROLE weak LOGIN PASSWORD 'pw'")
        admin.execute("CREATE DATABASE weakling OWNER weak")
    with pytest.raises(LocalError, match="may not prepare the database"):
        prepare_database(shared_server.url("weakling", user="weak", password="pw"), SECRET)
