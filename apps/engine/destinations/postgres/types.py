"""PostgreSQL's types for Drover's types, and the expressions that widen one to another without loss."""

from __future__ import annotations

import re

from psycopg import sql

from apps.engine.failures import ConfigurationError
from apps.engine.frames.columns import MAX_EXACT_INTEGER, Column, ColumnType

SQL_TYPES: dict[ColumnType, str] = {  # as format_type() spells them
    # The type of staged columns without values. PostgreSQL changes it to text without rewriting the table. It has
    # the greatest possible length, which tells it from a type that the source has declared.
    ColumnType.NULL: "character varying(10485760)",
    ColumnType.BOOLEAN: "boolean",
    ColumnType.INTEGER: "bigint",
    ColumnType.NUMBER: "double precision",
    ColumnType.DECIMAL: "numeric",
    ColumnType.STRING: "text",
    ColumnType.JSON: "text",
    ColumnType.DATE: "date",
    ColumnType.TIMESTAMP: "timestamp without time zone",
    ColumnType.INSTANT: "timestamp with time zone",
    ColumnType.TIME: "time without time zone",
    ColumnType.BINARY: "bytea",
}
COLUMN_TYPES: dict[str, ColumnType] = {
    sql_name: column_type
    for column_type, sql_name in SQL_TYPES.items()
    if column_type is not ColumnType.JSON
}
# The types of integers that are smaller than Drover's, each with the first number that is too large for it.
SMALL_INTEGER_LIMITS = {"smallint": 2**15, "integer": 2**31}
# PostgreSQL writes `1` for 1.0, 1e+15 for 1000000000000000.0, 1.5e-05 for 0.000015, and 1.5e-07 for 1.5e-7.
_NUMBER_TEXT = r"""replace(regexp_replace(regexp_replace(
 CASE WHEN abs({0}) >= 1e-5 AND abs({0}) < 1e16 THEN {0}::text::numeric::text ELSE {0}::text END,
 'e([+-])0', 'e\1'), '^(-?[0-9]+)$', '\1.0'), 'Infinity', 'inf')"""
_TIME_TEXT = r"""CASE WHEN {0} = '24:00' THEN '24:00:00'
 ELSE regexp_replace(to_char(date '2000-01-01' + {0}, 'HH24:MI:SS.US'), '\.000000$', '') END"""
# The texts are those of `as_text`.
_TEXT_EXPRESSIONS: dict[ColumnType, str] = {
    ColumnType.NUMBER: _NUMBER_TEXT,
    ColumnType.TIME: _TIME_TEXT,
    ColumnType.TIMESTAMP: """to_char({0}, 'YYYY-MM-DD"T"HH24:MI:SS.US')""",
    ColumnType.INSTANT: """to_char({0} AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US+00:00')""",
    ColumnType.BINARY: "replace(encode({0}, 'base64'), E'\\n', '')",
}


# The built-in types as format_type() spells them. The name comes from the server of the source, which may be hostile: any
# other word could be a clause, such as DEFAULT.
_TYPE_NAME = re.compile(
    r"""(boolean|smallint|integer|bigint|oid|real|double\ precision|text|name|"char"|bpchar|"bit"|bytea|uuid
    |date|jsonb?|jsonpath|inet|cidr|macaddr8?|point|line|lseg|box|path|polygon|circle|tsvector|tsquery|pg_lsn
    |(int4|int8|num|date|ts|tstz)(range|multirange)
    |numeric(\(\d+,-?\d+\))?
    |(character|bit)(\ varying)?(\(\d+\))?
    |time(stamp)?(\(\d+\))?\ with(out)?\ time\ zone
    |interval(\ (year|month|day|hour|minute|second)(\ to\ (month|hour|minute|second))?)?(\(\d+\))?
    )(\[\])?""",
    re.VERBOSE | re.ASCII,
)


def sql_type(column: Column) -> sql.SQL:
    return sql.SQL(type_name(column))


def type_name(column: Column) -> str:
    """Return the name of the column's type, as format_type() spells it. Raises ConfigurationError for an unknown name."""
    if column.type is not ColumnType.NATIVE:
        return SQL_TYPES[column.type]
    if not _TYPE_NAME.fullmatch(column.native):
        raise ConfigurationError(
            "The source declares a type that PostgreSQL does not have",
            evidence=(column.native[:100],),
        )
    return column.native


def widen_expression(
    expression: sql.Composable, current_type: ColumnType, new_type: ColumnType
) -> sql.Composable:
    """Return an expression that converts the value to a wider type. Values that become text stay exact."""
    if SQL_TYPES[current_type] == SQL_TYPES[new_type]:
        return expression
    if SQL_TYPES[new_type] == "text":
        return sql.SQL(_TEXT_EXPRESSIONS.get(current_type, "{0}::text")).format(expression)
    return sql.SQL("{}::{}").format(expression, sql.SQL(SQL_TYPES[new_type]))


def outside_exact_floats_condition(column: sql.Composable) -> sql.Composable:
    """Return a condition that is true for an integer outside the range in which floats are exact."""
    limit = sql.Literal(MAX_EXACT_INTEGER)
    return sql.SQL("({0} > {1} OR {0} < -{1})").format(column, limit)
