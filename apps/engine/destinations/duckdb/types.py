"""DuckDB's types for Drover's types, and the expressions that widen one to another without loss."""

from __future__ import annotations

import re

from apps.engine.frames.columns import DECIMAL_DIGITS, MAX_EXACT_INTEGER, Column, ColumnType

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
NATIVE_TYPES = {
    "int16": "SMALLINT",
    "int32": "INTEGER",
    "float32": "FLOAT",
    "uuid": "UUID",
    "json": "JSON",
    "list(boolean)": "BOOLEAN[]",
    "list(int16)": "SMALLINT[]",
    "list(int32)": "INTEGER[]",
    "list(int64)": "BIGINT[]",
    "list(float64)": "DOUBLE[]",
    "list(text)": "VARCHAR[]",
}
DECIMAL_TO_FLOAT = (ColumnType.DECIMAL, "float32")
_COLUMNS_BY_TYPE = {
    type_name: Column(kind)
    for kind, type_name in TYPES.items()
    if kind not in {ColumnType.NULL, ColumnType.JSON}
} | {type_name: Column.of_native_type(native) for native, type_name in NATIVE_TYPES.items()}
_DECIMAL = re.compile(r"DECIMAL\((\d+),(\d+)\)")
# DuckDB writes 1.5e-05 for 0.000015, and 1.5e-07 for 1.5e-7.
_NUMBER_TEXT = r"""CASE WHEN isnan({0}) THEN 'NaN'
 WHEN abs({0}) >= 1e-5 AND abs({0}) < 1e-4
 THEN rtrim(CAST(CAST(CAST({0} AS VARCHAR) AS DECIMAL(38,24)) AS VARCHAR), '0')
 ELSE regexp_replace(CAST({0} AS VARCHAR), 'e([+-])0', 'e\1') END"""
# The texts are those of `as_text`.
_TEXT_EXPRESSIONS: dict[ColumnType, str] = {
    ColumnType.NUMBER: _NUMBER_TEXT,
    ColumnType.TIME: r"regexp_replace(strftime(DATE '2000-01-01' + CAST({0} AS TIME), '%H:%M:%S.%f'), '\.000000$', '')",
    ColumnType.TIMESTAMP: "strftime({}, '%Y-%m-%dT%H:%M:%S.%f')",
    ColumnType.INSTANT: "strftime(timezone('UTC', {}), '%Y-%m-%dT%H:%M:%S.%f+00:00')",
    ColumnType.BINARY: "base64({})",
}


def sql_type(column: Column) -> str:
    if column.type is ColumnType.DECIMAL:
        return f"DECIMAL({DECIMAL_DIGITS},{column.scale})"
    if column.type is ColumnType.NATIVE:
        return NATIVE_TYPES.get(column.native) or column.native.upper()  # decimal(10,2)
    return TYPES[column.type]


def column_of_type(type_name: str) -> Column | None:
    """Return Drover's column for the name of one of DuckDB's types, or None for a type that Drover never creates."""
    decimal = _DECIMAL.fullmatch(type_name)
    if decimal and int(decimal[1]) == DECIMAL_DIGITS:
        return Column(ColumnType.DECIMAL, scale=int(decimal[2]))
    if decimal:
        return Column.of_native_type(type_name.lower())
    return _COLUMNS_BY_TYPE.get(type_name)


def widen_expression(expression: str, column: Column, target: Column) -> str:
    """Return an expression that converts the value to a wider type. A conversion to text keeps the exact value."""
    if sql_type(target) == sql_type(column):
        return expression
    if sql_type(target) == "VARCHAR" and sql_type(column).endswith("[]"):
        return f"CAST(to_json({expression}) AS VARCHAR)"
    if sql_type(column) == "FLOAT":  # The number with the same shortest text.
        number = Column(ColumnType.NUMBER)
        return widen_expression(f"CAST(CAST({expression} AS VARCHAR) AS DOUBLE)", number, target)
    if sql_type(target) == "VARCHAR":
        return _TEXT_EXPRESSIONS.get(column.type, "CAST({} AS VARCHAR)").format(expression)
    return f"CAST({expression} AS {sql_type(target)})"


def changes_number_condition(expression: str, column: Column, target: Column) -> str:
    """Return a condition that is true if the number would change in a column of a native type, which may be smaller."""
    if (column.type, target.native) == DECIMAL_TO_FLOAT:
        return "true"  # They cannot be compared exactly.
    return f"{expression} IS DISTINCT FROM TRY_CAST({expression} AS {sql_type(target)})"


def changes_value_condition(expression: str, column: Column, target: Column) -> str:
    """Return a condition that is true if a conversion to the wider type would change the value or fail."""
    if column.type is ColumnType.INTEGER and target.type is ColumnType.NUMBER:
        return f"abs({expression}::HUGEINT) > {MAX_EXACT_INTEGER}"
    return f"{expression} IS NOT NULL AND TRY_CAST({expression} AS {sql_type(target)}) IS NULL"


def is_number(column: Column) -> bool:
    return column.type in {ColumnType.INTEGER, ColumnType.NUMBER, ColumnType.DECIMAL}


def quote_name(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'
