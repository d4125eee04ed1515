"""The contents of a database: tables and views, their columns, and the key that identifies a row."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any

from psycopg import sql
from psycopg.sql import Composable

from apps.engine.contract import StreamInfo
from apps.engine.failures import WITH_READABLE_COLUMNS, ConfigurationError, StreamMissing
from apps.engine.postgres import Cursor
from apps.engine.source_columns import SourceColumns
from apps.engine.sources.postgres.columns import (
    CURSOR_TYPES,
    FLOAT_TYPES,
    INTEGER_TYPES,
    ROW_ALIAS,
    PgColumn,
)
from apps.json import JsonObject

MAX_RELATIONS = 10_000
# The rows of smaller tables are counted, because estimates for small tables are unreliable.
COUNTABLE_BYTES = 16 << 20

# A quoted or plain part: the schema, if there is one, and the name.
STREAM_NAME = re.compile(r'(?:("(?:[^"]|"")*"|[^".][^.]*)\.)?("(?:[^"]|"")*"|[^".][^.]*)')

SELECT_RELATIONS = """
SELECT c.oid::bigint, n.nspname, c.relname, c.relkind::text, c.relhassubclass,
       c.relkind IN ('r', 'p', 'v') AND has_table_privilege(c.oid, 'SELECT'),
       coalesce(obj_description(c.oid, 'pg_class'), '')
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f') AND NOT c.relispartition
  AND n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'
  AND has_schema_privilege(n.oid, 'USAGE') AND has_any_column_privilege(c.oid, 'SELECT')
  AND (cardinality(%(schemas)s::text[]) = 0 OR n.nspname = ANY(%(schemas)s))
  AND (%(stream)s::text IS NULL OR (n.nspname, c.relname) = (%(schema)s, %(name)s)
       OR n.nspname || '.' || c.relname = %(stream)s
       OR (n.nspname = 'public' AND c.relname = %(stream)s))
ORDER BY n.nspname <> 'public', n.nspname, c.relname
LIMIT %(limit)s
"""
SELECT_COLUMNS = r"""
WITH RECURSIVE bare (attribute, relation, oid, mod) AS (
  SELECT a.attnum, a.attrelid, a.atttypid, a.atttypmod
  FROM pg_attribute a
  WHERE a.attrelid = ANY(%(oids)s::oid[]) AND a.attnum > 0 AND NOT a.attisdropped
    AND has_column_privilege(a.attrelid, a.attnum, 'SELECT')
  UNION ALL
  SELECT b.attribute, b.relation, t.typbasetype, t.typtypmod
  FROM bare b JOIN pg_type t ON t.oid = b.oid WHERE t.typtype = 'd'
)
SELECT a.attrelid::bigint, a.attnum, a.attname, format_type(a.atttypid, a.atttypmod), t.typname,
       CASE WHEN t.typcategory = 'A' THEN 'A' ELSE t.typtype::text END,
       NOT a.attnotnull,
       CASE WHEN t.typname = 'numeric' AND b.mod >= 4 THEN ((b.mod - 4) >> 16) & 65535 END,
       CASE WHEN t.typname = 'numeric' AND b.mod >= 4 THEN (((b.mod - 4) & 2047) # 1024) - 1024 END,
       CASE WHEN t.typtype = 'e' THEN 'text'
            WHEN i.typtype = 'e' THEN 'text[]'
            WHEN t.oid < 16384 AND coalesce(i.typname, t.typname) = ANY(%(types)s)
            THEN format_type(b.oid, b.mod) ELSE '' END,
       CASE WHEN i.typtype = 'e' THEN 'enum' WHEN i.oid < 16384 THEN i.typname::text ELSE '' END,
       coalesce(d.description, '')
FROM bare b
JOIN pg_type t ON t.oid = b.oid AND t.typtype <> 'd'
LEFT JOIN pg_type i ON i.oid = t.typelem AND t.typcategory = 'A' AND t.typname LIKE '\_%%'
JOIN pg_attribute a ON a.attrelid = b.relation AND a.attnum = b.attribute
LEFT JOIN pg_description d
  ON d.classoid = 'pg_class'::regclass AND d.objoid = a.attrelid AND d.objsubid = a.attnum
ORDER BY a.attrelid, a.attnum
"""
# Types that every server has and that read the text that they have written.
BUILT_IN_TYPES = [
    *("bool", "int2", "int4", "int8", "oid", "float4", "float8", "numeric"),
    *("text", "varchar", "bpchar", "char", "name", "bytea", "bit", "varbit", "uuid"),
    *(
        "date",
        "time",
        "timetz",
        "timestamp",
        "timestamptz",
        "interval",
        "json",
        "jsonb",
        "jsonpath",
    ),
    *(
        "inet",
        "cidr",
        "macaddr",
        "macaddr8",
        "point",
        "line",
        "lseg",
        "box",
        "path",
        "polygon",
        "circle",
    ),
    *("int4range", "int8range", "numrange", "daterange", "tsrange", "tstzrange"),
    *("int4multirange", "int8multirange", "nummultirange", "datemultirange", "tsmultirange"),
    *("tstzmultirange", "tsvector", "tsquery", "pg_lsn"),
]
SELECT_KEYS = """
SELECT DISTINCT ON (i.indrelid) i.indrelid::bigint, names.columns, i.indisprimary
FROM pg_index i
CROSS JOIN LATERAL (
  SELECT array_agg(a.attname::text ORDER BY k.position) AS columns, bool_and(a.attnotnull) AS filled
  FROM unnest(i.indkey::int2[]) WITH ORDINALITY AS k(attnum, position)
  JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = k.attnum
  WHERE k.position <= i.indnkeyatts
) names
WHERE i.indrelid = ANY(%(oids)s::oid[]) AND i.indisunique AND i.indisvalid
  AND i.indpred IS NULL AND i.indexprs IS NULL AND names.filled
ORDER BY i.indrelid, NOT i.indisprimary, cardinality(names.columns), i.indexrelid
"""


class NoSuchTable(StreamMissing):
    """The user cannot read a table of this name."""


@dataclass(frozen=True, slots=True)
class Relation:
    """A table or view. `key` is the primary key, or else the columns of a unique index without nulls; empty without either."""

    oid: int
    schema: str
    name: str
    relkind: str  # pg_class.relkind
    can_be_locked: bool  # by LOCK TABLE, which needs the right to read all columns
    comment: str
    columns: tuple[PgColumn, ...]
    key: tuple[str, ...]
    primary_key: tuple[str, ...]

    def to_json(self) -> dict[str, Any]:
        """Return the description for another process. Columns are lists, without the names of their properties."""
        fields = {item.name: getattr(self, item.name) for item in dataclasses.fields(self)}
        return {**fields, "columns": [dataclasses.astuple(column) for column in self.columns]}

    @classmethod
    def from_json(cls, value: JsonObject) -> Relation:
        fields: dict[str, Any] = dict(value)
        columns = tuple(PgColumn(*column) for column in fields["columns"])
        keys = {name: tuple(fields[name]) for name in ("key", "primary_key")}
        return cls(**{**fields, **keys, "columns": columns})

    @property
    def stream_name(self) -> str:
        """Return `table`, or `schema.table` outside of the schema public. Parts that contain a dot are quoted."""
        if self.schema == "public":
            return _quote_part(self.name)
        return f"{_quote_part(self.schema)}.{_quote_part(self.name)}"

    @property
    def sql(self) -> Composable:
        return sql.Identifier(self.schema, self.name)

    @property
    def aliased_sql(self) -> Composable:
        return sql.SQL("{} AS {}").format(self.sql, sql.Identifier(ROW_ALIAS))

    @property
    def stream_info(self) -> StreamInfo:
        cursors = self.cursor_fields
        return StreamInfo(
            self.stream_name,
            tuple(column.field_info for column in self.columns),
            primary_key=self.primary_key,
            cursor_fields=cursors,
            sync_modes=("full_refresh", "incremental") if cursors else ("full_refresh",),
        )

    @property
    def source_columns(self) -> SourceColumns:
        columns = {column.name: column.type for column in self.columns}
        return SourceColumns(columns, self.primary_key, is_complete=True)

    @property
    def cursor_fields(self) -> tuple[str, ...]:
        """Return possible cursor fields: times, and integer keys. Other integers rarely grow over time."""
        identifiers = {"id", *self.key}
        candidates = [
            column
            for column in self.columns
            if column.base_type in CURSOR_TYPES
            and (column.field_type != "integer" or column.name in identifiers)
        ]
        ranked_columns = sorted(candidates, key=lambda column: CURSOR_TYPES.index(column.base_type))
        return tuple(column.name for column in ranked_columns)

    def cursor_column(self, name: str) -> PgColumn:
        """Return the column as a cursor field. Raises ConfigurationError if no values of its type sort by time."""
        column = self.column(name)
        types = {*CURSOR_TYPES, *INTEGER_TYPES, *FLOAT_TYPES, "numeric", "text", "varchar", "uuid"}
        if column.base_type not in types or column.field_type == "json":
            raise ConfigurationError(self.cursor_refusal(column))
        return column

    def cursor_refusal(self, column: PgColumn) -> str:
        choices = ", ".join(self.cursor_fields)
        advice = f"choose one of: {choices}" if choices else "read a view that converts it"
        return (
            f"{column.name!r} of {self.stream_name} cannot be the cursor field, because its values ({column.type}) do"
            f" not sort by time: {advice}"
        )

    def require_readable_key(self, protected_fields: Collection[str]) -> None:
        """Raise ConfigurationError if the key is protected: the position of an incremental stream has the last keys."""
        if hidden := set(self.key).intersection(protected_fields):
            raise ConfigurationError(
                f"An incremental stream stores the last keys that it has read as its position, so {self.stream_name} cannot"
                f" be read incrementally while its key {min(hidden)} is protected: read it by full refresh, or do not"
                " protect the key"
            )

    def column(self, name: str) -> PgColumn:
        """Return the column of that name. Raises ConfigurationError."""
        for column in self.columns:
            if column.name == name:
                return column
        raise ConfigurationError(f"{self.stream_name} has no column {name!r}")


def find_relations(cursor: Cursor, schemas: list[str], stream: str | None = None) -> list[Relation]:
    """Return the tables and views that the user may read; with `stream`, only those with that stream name."""
    schema, name = parse_stream_name(stream) if stream else (None, None)
    parameters = {
        "schemas": schemas,
        "stream": stream,
        "schema": schema,
        "name": name,
        "limit": MAX_RELATIONS,
    }
    rows = cursor.execute(SELECT_RELATIONS, parameters).fetchall()
    oids = {"oids": [row[0] for row in rows]}
    columns: dict[int, list[PgColumn]] = {}
    column_parameters = {**oids, "types": BUILT_IN_TYPES}
    for oid, *fields in cursor.execute(SELECT_COLUMNS, column_parameters).fetchall():
        columns.setdefault(oid, []).append(PgColumn(*fields))
    keys = {row[0]: (row[1], row[2]) for row in cursor.execute(SELECT_KEYS, oids).fetchall()}
    return [
        _make_relation(row, tuple(columns[row[0]]), *keys.get(row[0], ([], False)))
        for row in rows
        if row[0] in columns
    ]


def _make_relation(
    row: tuple[Any, ...], columns: tuple[PgColumn, ...], key: list[str], is_primary: bool
) -> Relation:
    oid, schema, name, relkind, has_child_tables, can_be_locked, comment = row
    readable_names = {column.name for column in columns}
    # If other tables inherit from a table, its key does not apply to their rows.
    is_usable = readable_names.issuperset(key) and not (relkind == "r" and has_child_tables)
    usable_key = tuple(key) if is_usable else ()
    primary_key = usable_key if is_primary else ()
    return Relation(
        *(oid, schema, name, relkind, can_be_locked, comment),
        *(columns, usable_key, primary_key),
    )


def parse_stream_name(stream: str) -> tuple[str, str]:
    """Return the schema and the name of a relation with this stream name."""
    parts = STREAM_NAME.fullmatch(stream)
    if parts is None:
        return "public", stream
    schema, name = (_unquote_part(part) if part else "public" for part in parts.groups())
    return schema, name


def _quote_part(part: str) -> str:
    return '"{}"'.format(part.replace('"', '""')) if "." in part or part.startswith('"') else part


def _unquote_part(part: str) -> str:
    return part[1:-1].replace('""', '"') if part.startswith('"') else part


def find_relation(cursor: Cursor, schemas: list[str], stream: str) -> Relation:
    """Return the table or view of a stream. Raises NoSuchTable if it is missing or unreadable.

    Pipelines may also have the name of earlier versions, in which nothing was quoted.
    """
    candidates = find_relations(cursor, schemas, stream)
    if not candidates:
        raise NoSuchTable(f"there is no table or view {stream!r} {WITH_READABLE_COLUMNS}")
    return next((table for table in candidates if table.stream_name == stream), candidates[0])


@dataclass(frozen=True, slots=True)
class TableFacts:
    """What the statistics say about the rows of a relation, its size in bytes, and whether policies may hide rows."""

    estimate: int
    size: int
    has_row_security: bool


def read_facts(cursor: Cursor, tables: Sequence[Relation]) -> list[TableFacts]:
    """Return the facts about each relation."""
    query = """
    SELECT oid::bigint, reltuples::bigint, pg_relation_size(oid), relrowsecurity AND row_security_active(oid)
    FROM pg_class WHERE oid = ANY(%s::oid[])"""
    rows = cursor.execute(query, [[table.oid for table in tables]]).fetchall()
    facts = {
        oid: TableFacts(estimate, size or 0, has_row_security)
        for oid, estimate, size, has_row_security in rows
    }
    unknown = TableFacts(-1, 0, has_row_security=False)
    return [facts.get(table.oid, unknown) for table in tables]


def estimate_rows(cursor: Cursor, table: Relation, facts: TableFacts) -> int | None:
    """Return the number of rows, or None if it is unknown or zero.

    The rows of a small table are counted. For a larger table, the estimate of the last ANALYZE is returned.
    """
    estimate = facts.estimate
    if table.relkind in {"r", "m"} and facts.size <= COUNTABLE_BYTES:
        counted_row = cursor.execute(
            sql.SQL("SELECT count(*) FROM {}").format(table.sql)
        ).fetchone()
        estimate = counted_row[0] if counted_row else -1
    return int(estimate) if estimate > 0 else None
