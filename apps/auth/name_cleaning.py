"""Migration operations that clean names stored by an earlier version, before the database checks them."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from django.db import IntegrityError, migrations, transaction
from psycopg import sql

from apps.auth.names import (
    REFUSED_BY_DATABASE,
    REFUSED_IN_MULTILINE_BY_DATABASE,
    clean_json_texts,
    clean_multiline_text,
    clean_name,
)

# PostgreSQL regular expression of the refused characters and of the escape sequences for control characters.
_REFUSED_IN_JSON = f"{REFUSED_BY_DATABASE}|[\\\\](u00[0-9a-f]|[bfr])"


def clean(table: str, **columns: int) -> migrations.RunPython:
    """Clean the names in these columns, given with their maximum lengths.

    Writes only the rows whose name changes. If another row already has the clean name, a part of the id is
    appended.
    """

    def run(apps: Any, schema_editor: Any) -> None:
        for column, longest in columns.items():
            _clean_column(schema_editor.connection, table, column, longest)

    return migrations.RunPython(run, migrations.RunPython.noop)


def _clean_column(connection: Any, table: str, column: str, longest: int) -> None:
    identifiers = {"table": sql.Identifier(table), "column": sql.Identifier(column)}
    select = sql.SQL("SELECT id, {column} FROM {table} WHERE {column} ~ %s ORDER BY id")
    update = sql.SQL("UPDATE {table} SET {column} = %s WHERE id = %s").format(**identifiers)
    with connection.cursor() as cursor:
        cursor.execute(select.format(**identifiers), [REFUSED_BY_DATABASE])
        for pk, text in cursor.fetchall():
            name = clean_name(text, max_length=longest)
            id_suffix = pk.hex[-8:]
            try:
                with transaction.atomic(using=connection.alias):
                    cursor.execute(
                        update,
                        [name or ("" if column in COLUMNS_THAT_MAY_BE_EMPTY else id_suffix), pk],
                    )
            except IntegrityError:
                cursor.execute(
                    update, [f"{name[: longest - len(id_suffix) - 1]} {id_suffix}".strip(), pk]
                )
        _check_keys(cursor)


def clean_texts(table: str, column: str, *, longest: int) -> migrations.RunPython:
    """Clean the texts in this column. They may have several lines."""

    def run(apps: Any, schema_editor: Any) -> None:
        _rewrite_column(
            schema_editor.connection,
            table,
            column,
            REFUSED_IN_MULTILINE_BY_DATABASE,
            lambda text: clean_multiline_text(text)[:longest],
        )

    return migrations.RunPython(run, migrations.RunPython.noop)


def clean_lists(table: str, column: str, *, longest: int) -> migrations.RunPython:
    """Clean the lists of names in this column. Duplicates and names without visible characters are removed."""

    def run(apps: Any, schema_editor: Any) -> None:
        _rewrite_column(
            schema_editor.connection,
            table,
            column,
            REFUSED_BY_DATABASE,
            lambda texts: clean_name_list(texts, longest),
        )

    return migrations.RunPython(run, migrations.RunPython.noop)


def clean_json(table: str, column: str) -> migrations.RunPython:
    """Clean the texts inside the JSON values of this column."""

    def run(apps: Any, schema_editor: Any) -> None:
        _rewrite_column(
            schema_editor.connection,
            table,
            column,
            _REFUSED_IN_JSON,
            lambda text: json.dumps(clean_json_texts(json.loads(text))),
        )

    return migrations.RunPython(run, migrations.RunPython.noop)


def clean_name_list(texts: list[str], longest: int) -> list[str]:
    clean_names = dict.fromkeys(clean_name(text, max_length=longest) for text in texts)
    return [text for text in clean_names if text]


def _rewrite_column(
    connection: Any, table: str, column: str, pattern: str, clean_value: Callable[[Any], Any]
) -> None:
    identifiers = {"table": sql.Identifier(table), "column": sql.Identifier(column)}
    select = sql.SQL("SELECT id, {column} FROM {table} WHERE {column}::text ~ %s ORDER BY id")
    update = sql.SQL("UPDATE {table} SET {column} = %s WHERE id = %s")
    with connection.cursor() as cursor:
        cursor.execute(select.format(**identifiers), [pattern])
        for pk, value in cursor.fetchall():
            cursor.execute(update.format(**identifiers), [clean_value(value), pk])
        _check_keys(cursor)


def _check_keys(cursor: Any) -> None:
    """Check foreign keys now instead of at the end of the transaction.

    PostgreSQL cannot alter a table that has pending checks, and the migration alters the table next.
    """
    cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")
    cursor.execute("SET CONSTRAINTS ALL DEFERRED")


COLUMNS_THAT_MAY_BE_EMPTY = frozenset(
    {
        *("user_agent", "suspended_because", "note", "paused_note"),
        *("author", "subject", "path", "username", "external_id"),
    }
)
