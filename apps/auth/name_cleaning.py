"""Migration operation: what an earlier version stored as a name, before the database checks it."""

from __future__ import annotations

from typing import Any

from django.db import IntegrityError, migrations, transaction
from psycopg import sql

from apps.auth.names import NOT_STORED, cleaned


def clean(table: str, **columns: int) -> migrations.RunPython:
    """Clean the names in these columns, each with the length it may have. Reads each table once, and writes only
    the rows that need it; where another row has the clean name already, a part of the id follows it."""

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


MAY_BE_EMPTY = frozenset(
    {
        *("user_agent", "suspended_because", "note", "paused_note"),
        *("author", "subject", "path", "username"),
    }
)
