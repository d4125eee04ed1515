"""DuckDB's types for Drover's types, and the expressions that widen one to another without loss."""

from __future__ import annotations

import re

from apps.engine.frames.columns import DECIMAL_DIGITS, EXACT_INTEGERS, Column, ColumnType

TYPES: dict[ColumnType, str] = {
    ColumnType.NULL: "VARCHAR",
    ColumnType.BOOLEAN: "BOOLEAN",
    ColumnType.INTEGER: "BIGINT",
    ColumnType.NUMBER: "DOUBLE",
    ColumnType.STRING: "VARCHAR",
    ColumnType.JSON: "VARCHAR",
    ColumnType.DATE: "DATE",
    ColumnType.TIMESTAMP: "TIMESTAMP",
    ColumnType.INSTANT: "TIMESTAMP WITH TIME ZONE",
    ColumnType.TIME: "TIME",
    ColumnType.BINARY: "BLOB",
}
_KINDS = {
    spelling: Column(kind)
    for kind, spelling in TYPES.items()
    if kind not in {ColumnType.NULL, ColumnType.JSON}
}
_DECIMAL = re.compile(r"DECIMAL\(\d+,(\d+)\)")
_TEXTS: dict[ColumnType, str] = {
    ColumnType.TIMESTAMP: "strftime({}, '%Y-%m-%dT%H:%M:%S.%f')",
    ColumnType.INSTANT: "strftime(timezone('UTC', {}), '%Y-%m-%dT%H:%M:%S.%f+00:00')",
    ColumnType.BINARY: "base64({})",
}


def type_of(column: Column) -> str:
    if column.type is ColumnType.DECIMAL:
        return f"DECIMAL({DECIMAL_DIGITS},{column.scale})"
    return TYPES[column.type]


def column_of_type(spelling: str) -> Column | None:
    """Return Drover's column for a type as DuckDB spells it; None for types that Drover never creates."""
    decimal = _DECIMAL.fullmatch(spelling)
    if decimal:
        return Column(ColumnType.DECIMAL, scale=int(decimal[1]))
    return _KINDS.get(spelling)


def widened(expression: str, column: Column, to: Column) -> str:
    """Return the expression converted to a wider type, with exact text."""
    if type_of(to) == "VARCHAR":
        return _TEXTS.get(column.type, "CAST({} AS VARCHAR)").format(expression)
    return f"CAST({expression} AS {type_of(to)})"


def unfit(expression: str, column: Column, to: Column) -> str:
    """Return a condition that is true if the value would change or fail when widened."""
    if column.type is ColumnType.INTEGER and to.type is ColumnType.NUMBER:
        return f"abs({expression}::HUGEINT) > {EXACT_INTEGERS}"
    return f"{expression} IS NOT NULL AND TRY_CAST({expression} AS {type_of(to)}) IS NULL"


def quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'
