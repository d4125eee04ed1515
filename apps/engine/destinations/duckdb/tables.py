"""Record which pipeline wrote each table of a database file, and drop the tables of a deleted pipeline.

A table belongs to the pipeline that published to it last. The owner is the prefix of the pipeline's own folder.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import duckdb

from apps.engine.contract import StorageRoot
from apps.engine.destinations.duckdb.types import quote_name
from apps.engine.failures import ConfigurationError
from apps.engine.stores.opening import local_folder

OWNERS_TABLE = "main._drover_tables"
CREATE_OWNERS_TABLE = f"""
CREATE TABLE IF NOT EXISTS {OWNERS_TABLE} (
    target VARCHAR PRIMARY KEY, schema_name VARCHAR NOT NULL, table_name VARCHAR NOT NULL, owner VARCHAR NOT NULL)"""
RECORD_OWNER = f"INSERT OR REPLACE INTO {OWNERS_TABLE} VALUES (?, ?, ?, ?)"  # noqa: S608 - a constant
SELECT_TABLES = f"SELECT target, schema_name, table_name FROM {OWNERS_TABLE} WHERE owner = ?"  # noqa: S608 - a constant
FORGET_PUBLICATIONS = "DELETE FROM main._drover_publications WHERE target = ?"
FORGET_OWNER = f"DELETE FROM {OWNERS_TABLE} WHERE owner = ?"  # noqa: S608 - a constant
SELECT_OWNER = f"SELECT owner FROM {OWNERS_TABLE} WHERE target = ?"  # noqa: S608 - a constant
LOCK_TIMEOUT = 60.0  # seconds to wait for a run before the removal of tables is tried again later


def require_own(connection: duckdb.DuckDBPyConnection, schema: str, table: str, owner: str) -> None:
    """Raise ConfigurationError if another pipeline has written the table, which does not use it any more."""
    connection.execute(CREATE_OWNERS_TABLE)
    row = connection.execute(SELECT_OWNER, [f"{schema}.{table}".lower()]).fetchone()
    if row and row[0] != owner:
        raise ConfigurationError(
            f"{schema}.{table} contains rows of another pipeline: choose another table, or the write mode replace"
        )


def record_owner(
    connection: duckdb.DuckDBPyConnection, schema: str, table: str, owner: str
) -> None:
    """Record the pipeline that has just published to the table, in the same transaction."""
    connection.execute(CREATE_OWNERS_TABLE)
    connection.execute(RECORD_OWNER, [f"{schema}.{table}".lower(), schema, table, owner])


def drop_tables(payload: Mapping[str, Any]) -> dict[str, Any]:
    """Drop the tables of an owner in one file. Returns the names of the tables and the size of the file.

    The payload is `{"data": storage root, "file": key, "owner": prefix}`. The size is None if there is no file. Safe to
    repeat. Raises DestinationError while a run writes to the file.
    """
    from apps.engine.destinations.duckdb.database import merge_write_ahead_log, open_database

    root = local_folder(StorageRoot(**payload["data"]))
    file = root / payload["file"] if root else None
    if file is None or not file.exists():
        return {"tables": [], "bytes": None}
    with open_database(file, staging=file.parent, lock_timeout=LOCK_TIMEOUT) as connection:
        names = _drop_tables(connection, payload["owner"])
        merge_write_ahead_log(connection)
    return {"tables": names, "bytes": file.stat().st_size}


def _drop_tables(connection: duckdb.DuckDBPyConnection, owner: str) -> list[str]:
    connection.execute(CREATE_OWNERS_TABLE)
    connection.execute("BEGIN TRANSACTION")
    tables = connection.execute(SELECT_TABLES, [owner]).fetchall()
    for target, schema, table in tables:
        connection.execute(f"DROP TABLE IF EXISTS {quote_name(schema)}.{quote_name(table)}")
        connection.execute(FORGET_PUBLICATIONS, [target])
    connection.execute(FORGET_OWNER, [owner])
    connection.execute("COMMIT")
    return [f"{schema}.{table}" for _, schema, table in tables]
