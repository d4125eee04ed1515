"""Copy comments and NOT NULL from the source's table, if the settings ask for it.

The staging table gets them, so a table that replaces another one has them. An existing table that is filled in place gets
the comments, and keeps its columns as they are.
"""

from __future__ import annotations

from dataclasses import dataclass

from psycopg import sql

from apps.engine.destinations.postgres.identifiers import TableName
from apps.engine.destinations.postgres.tables import Table
from apps.engine.frames.native import NativeTable
from apps.engine.postgres import Cursor

SELECT_COMMENTS = """
SELECT a.attname, d.description
FROM pg_description d
LEFT JOIN pg_attribute a ON a.attrelid = d.objoid AND a.attnum = d.objsubid AND a.attnum > 0
WHERE d.classoid = 'pg_class'::regclass AND d.objoid = %s::oid"""


@dataclass(frozen=True, slots=True)
class CopiedProperties:
    """Which properties are copied."""

    comments: bool = False
    not_null: bool = False

    def add_to_table(self, cursor: Cursor, table: TableName, native: NativeTable) -> None:
        """Give the staging table the comment of the source's table."""
        if self.comments and native.comment:
            _set_comment(cursor, table, None, native.comment)

    def add_to_column(
        self, cursor: Cursor, table: TableName, name: str, native: NativeTable
    ) -> None:
        """Give a new column of the staging table the properties of the source's column."""
        column = native.columns.get(name)
        if column is None:
            return
        if self.comments and column.comment:
            _set_comment(cursor, table, name, column.comment)
        if self.not_null and column.not_null:
            command = sql.SQL("ALTER TABLE {} ALTER COLUMN {} SET NOT NULL")
            cursor.execute(command.format(table.identifier(), sql.Identifier(name)))

    def copy_comments(self, cursor: Cursor, staging: Table, target: TableName) -> None:
        """Give an existing table the comments of the staging table."""
        rows = cursor.execute(SELECT_COMMENTS, (staging.oid,)).fetchall() if self.comments else []
        for name, comment in rows:
            _set_comment(cursor, target, name, comment)


NO_PROPERTIES = CopiedProperties()


def _set_comment(cursor: Cursor, table: TableName, column: str | None, comment: str) -> None:
    subject = sql.SQL("TABLE {}").format(table.identifier())
    if column is not None:
        name = sql.Identifier(table.schema, table.name, column)
        subject = sql.SQL("COLUMN {}").format(name)
    cursor.execute(sql.SQL("COMMENT ON {} IS {}").format(subject, sql.Literal(comment)))
