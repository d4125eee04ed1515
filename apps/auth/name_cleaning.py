"""Migration operations that clean names stored by an earlier version, before the database checks them."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from django.db import IntegrityError, migrations, transaction
from psycopg import sql

from apps.auth.names import (
    NOT_STORED,
    NOT_STORED_IN_LINES,
    cleaned,
    cleaned_json,
    cleaned_lines,
)

_IN_JSON = f"{NOT_STORED}|[\\\\](u00[0-9a-f]|[bfr])"  # control characters as a PostgreSQL regular expression


def clean(table: str, **columns: int) -> migrations.RunPython:
    """Clean the names in these columns, given with their maximum lengths.

    Reads each table once, and writes only the rows that need it. If another row already has the clean name, a
    part of the id is appended.
    """

    def run(apps: Any, schema_editor: Any) -> None:
        for column, longest in columns.items():
            _clean_column(schema_editor.connection, table, column, longest)

    return migrations.RunPython(run, migrations.RunPython.noop)


def _clean_column(connection: Any, table: str, column: str, longest: int) -> None:
    places = {"table": sql.Identifier(table), "column": sql.Identifier(column)}
    find = sql.SQL("SELECT id, {column} FROM {table} WHERE {column} ~ %s ORDER BY id")
    change = sql.SQL("UPDATE {table} SET {column} = %s WHERE id = %s").format(**places)
    with connection.cursor() as cursor:
        cursor.execute(find.format(**places), [NOT_STORED])
        for pk, text in cursor.fetchall():
            name = cleaned(text, longest=longest)
            mark = pk.hex[-8:]
            try:
                with transaction.atomic(using=connection.alias):
                    cursor.execute(change, [name or ("" if column in MAY_BE_EMPTY else mark), pk])
            except IntegrityError:
                cursor.execute(change, [f"{name[: longest - len(mark) - 1]} {mark}".strip(), pk])
        _check_keys(cursor)


def clean_texts(table: str, column: str, *, longest: int) -> migrations.RunPython:
    """Like `clean`, for texts of several lines, which keep their lines."""

    def run(apps: Any, schema_editor: Any) -> None:
        _rewrite(
            schema_editor.connection,
            table,
            column,
            NOT_STORED_IN_LINES,
            lambda text: cleaned_lines(text)[:longest],
        )

    return migrations.RunPython(run, migrations.RunPython.noop)


def clean_lists(table: str, column: str, *, longest: int) -> migrations.RunPython:
    """Like `clean`, for lists of names without duplicates. Names without visible characters are removed."""

    def run(apps: Any, schema_editor: Any) -> None:
        _rewrite(
            schema_editor.connection,
            table,
            column,
            NOT_STORED,
            lambda texts: names_of(texts, longest),
        )

    return migrations.RunPython(run, migrations.RunPython.noop)


def clean_json(table: str, column: str) -> migrations.RunPython:
    """Like `clean`, for the texts inside of JSON."""

    def run(apps: Any, schema_editor: Any) -> None:
        _rewrite(
            schema_editor.connection,
            table,
            column,
            _IN_JSON,
            lambda text: json.dumps(cleaned_json(json.loads(text))),
        )

    return migrations.RunPython(run, migrations.RunPython.noop)


def names_of(texts: list[str], longest: int) -> list[str]:
    kept = dict.fromkeys(cleaned(text, longest=longest) for text in texts)
    return [text for text in kept if text]


def _rewrite(
    connection: Any, table: str, column: str, pattern: str, rewritten: Callable[[Any], Any]
) -> None:
    places = {"table": sql.Identifier(table), "column": sql.Identifier(column)}
    find = sql.SQL("SELECT id, {column} FROM {table} WHERE {column}::text ~ %s ORDER BY id")
    change = sql.SQL("UPDATE {table} SET {column} = %s WHERE id = %s")
    with connection.cursor() as cursor:
        cursor.execute(find.format(**places), [pattern])
        for pk, value in cursor.fetchall():
            cursor.execute(change.format(**places), [rewritten(value), pk])
        _check_keys(cursor)


def _check_keys(cursor: Any) -> None:
    """Check foreign keys now instead of at the end.

    A row that is changed twice in a transaction has its keys checked again, and a table with pending checks
    cannot be altered, which the migration does next.
    """
    cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")
    cursor.execute("SET CONSTRAINTS ALL DEFERRED")


MAY_BE_EMPTY = frozenset(
    {
        *("user_agent", "suspended_because", "note", "paused_note"),
        *("author", "subject", "path", "username", "external_id"),
    }
)
