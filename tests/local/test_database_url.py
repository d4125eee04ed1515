"""The settings of the database driver are read from DATABASE_URL: the address and the connection options."""

from __future__ import annotations

import psycopg
import pytest
from psycopg.conninfo import make_conninfo

from config import env
from tests import database

URL = "postgresql://ad%40min:p%2Fw@db.example:6432/dro%20ver"


def test_url_escapes_are_decoded_in_address_and_credentials() -> None:
    assert env.database_settings(URL) == {
        "NAME": "dro ver",
        "USER": "ad@min",
        "PASSWORD": "p/w",
        "HOST": "db.example",
        "PORT": "6432",
    }


def test_a_socket_folder_in_the_query_becomes_the_host() -> None:
    parts = env.database_settings("postgresql://me@/drover?host=%2Frun%2Fpg&port=5433")
    assert (parts["HOST"], parts["PORT"]) == ("/run/pg", "5433")


def test_driver_options_include_tls_settings_and_exclude_the_host() -> None:
    url = f"{URL}?sslmode=verify-full&sslrootcert=%2Fetc%2Fca.pem&host=other"
    assert env.database_options(url) == {"sslmode": "verify-full", "sslrootcert": "/etc/ca.pem"}


def test_a_role_url_keeps_the_options_of_the_url() -> None:
    url = env.role_url(f"{URL}?sslmode=require", "secret", "app_user")
    assert env.database_options(url) == {"sslmode": "require"}
    assert env.database_settings(url)["USER"] == "app_user"


def test_the_driver_uses_the_options(django_db_setup: None) -> None:
    """The embedded server does not support TLS, so a connection that requires it is refused."""
    url = database.url_of(database.process_database_name())
    separator = "&" if "?" in url else "?"
    options = env.database_options(f"{url}{separator}sslmode=require")
    parts = env.database_settings(url)
    connection_string = make_conninfo(
        host=parts["HOST"],
        port=parts["PORT"],
        dbname=parts["NAME"],
        user=parts["USER"],
        password=parts["PASSWORD"],
        **options,
    )
    with pytest.raises(psycopg.OperationalError, match="SSL"):
        psycopg.connect(connection_string)


def test_a_mysql_url_is_refused_with_the_expected_format() -> None:
    with pytest.raises(env.SettingInvalid, match="postgresql://user:password@host"):
        env.database_settings("mysql://me@db/drover")
