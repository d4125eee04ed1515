"""Create the demo's databases: pipelines read from `drover_demo` and write to `drover_demo_warehouse`.

Both are on the same server as Drover's own database. Each has its own role. Existing tables are not changed.
"""

from urllib.parse import urlsplit

import psycopg
from psycopg import errors, sql

from config import env
from local.database.roles import ensure_role
from local.demo.locations import LOADER_ROLE, READER_ROLE, SOURCE_DATABASE, WAREHOUSE_DATABASE
from local.demo.nycflights import COLUMNS, MISSING_VALUE, PRIMARY_KEYS, open_csv

CHUNK_SIZE = 1 << 20  # bytes


def prepare_demo(admin_url: str, secret_key: str) -> dict[str, int]:
    """Create both databases, load the missing tables, and return the number of rows of each table."""
    with psycopg.connect(admin_url, autocommit=True) as connection:
        for role in (READER_ROLE, LOADER_ROLE):
            ensure_role(connection, role, env.role_password(secret_key, role))
        for name in (SOURCE_DATABASE, WAREHOUSE_DATABASE):
            _ensure_database(connection, name)
    with psycopg.connect(
        _database_url(admin_url, WAREHOUSE_DATABASE), autocommit=True
    ) as connection:
        _grant_to_role(connection, WAREHOUSE_DATABASE, LOADER_ROLE, "USAGE, CREATE")
    with psycopg.connect(_database_url(admin_url, SOURCE_DATABASE), autocommit=True) as connection:
        _grant_to_role(connection, SOURCE_DATABASE, READER_ROLE, "USAGE")
        return {table: _ensure_table(connection, table) for table in COLUMNS}


def _database_url(admin_url: str, name: str) -> str:
    return urlsplit(admin_url)._replace(path=f"/{name}").geturl()


def _ensure_database(connection: psycopg.Connection, name: str) -> None:
    try:
        connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
    except errors.DuplicateDatabase:
        return


def _grant_to_role(connection: psycopg.Connection, name: str, role: str, privileges: str) -> None:
    for statement in (
        "REVOKE CONNECT, TEMPORARY ON DATABASE {name} FROM PUBLIC",
        "GRANT CONNECT ON DATABASE {name} TO {role}",
        "REVOKE ALL ON SCHEMA public FROM PUBLIC",
        f"GRANT {privileges} ON SCHEMA public TO {{role}}",
    ):
        names = {"name": sql.Identifier(name), "role": sql.Identifier(role)}
        connection.execute(sql.SQL(statement).format(**names))


def _ensure_table(connection: psycopg.Connection, table: str) -> int:
    """Load the table unless it exists, and return its number of rows.

    It is loaded in one transaction, so an existing table is complete.
    """
    name = sql.Identifier(table)
    with connection.transaction():
        cursor = connection.execute("SELECT to_regclass(%s) IS NOT NULL", [f"public.{table}"])
        if cursor.fetchone() == (False,):
            _load_table(connection, table)
        connection.execute(
            sql.SQL("GRANT SELECT ON {} TO {}").format(name, sql.Identifier(READER_ROLE))
        )
        row_count = connection.execute(sql.SQL("SELECT count(*) FROM {}").format(name)).fetchone()
    return int(row_count[0]) if row_count else 0


def _load_table(connection: psycopg.Connection, table: str) -> None:
    name, column_types, key = sql.Identifier(table), COLUMNS[table], PRIMARY_KEYS[table]
    columns: list[sql.Composable] = [
        sql.SQL("{} {}").format(sql.Identifier(column), sql.SQL(column_type))
        for column, column_type in column_types.items()
    ]
    if key == ("id",):
        columns.insert(0, sql.SQL("id integer GENERATED ALWAYS AS IDENTITY"))
    columns.append(sql.SQL("PRIMARY KEY ({})").format(_column_list(key)))
    connection.execute(sql.SQL("CREATE TABLE {} ({})").format(name, sql.SQL(", ").join(columns)))
    copy_statement = sql.SQL(
        "COPY {} ({}) FROM STDIN WITH (FORMAT csv, HEADER match, NULL {})"
    ).format(name, _column_list(column_types), sql.Literal(MISSING_VALUE))
    with (
        connection.cursor() as cursor,
        cursor.copy(copy_statement) as copy_stream,
        open_csv(table) as file,
    ):
        while chunk := file.read(CHUNK_SIZE):
            copy_stream.write(chunk)
    connection.execute(sql.SQL("ANALYZE {}").format(name))


def _column_list(columns: tuple[str, ...] | dict[str, str]) -> sql.Composed:
    return sql.SQL(", ").join(sql.Identifier(column) for column in columns)
