"""Which native types a column can be declared with, and how its values are written then.

For a destination of PostgreSQL, a column of a built-in type has this type, and its values are the texts of PostgreSQL's
own output functions, which its input functions read without loss. Enums are texts, and a domain is its base type. Types
of extensions, row types, ranges that a user has defined, and types whose text depends on the server (`money`,
`regclass`, `xml`) are not declared.

For Parquet and DuckDB, `ARROW_TYPES` has the types that they know and Drover's own types lack.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import polars as pl

from apps.engine.frames.columns import DECIMAL_DIGITS, dtype_of_native
from apps.engine.frames.native import NativeColumn, NativeTable, TypeSystem
from apps.engine.sources.postgres.columns import PgColumn

ARROW_TYPES = {
    "int2": "int16",
    "int4": "int32",
    "float4": "float32",
    "uuid": "uuid",
    "json": "json",
    "jsonb": "json",
    "bytea": "binary",
}
# By the type of the items. Numbers with decimals are not exact in a list of JSON.
LIST_TYPES = {
    "bool": "list(boolean)",
    "int2": "list(int16)",
    "int4": "list(int32)",
    "int8": "list(int64)",
    "float8": "list(float64)",
    **dict.fromkeys(("text", "varchar", "bpchar", "name", "uuid", "enum"), "list(text)"),
}


# Types whose values a transform receives in a form that the type does not accept, and types that columns get without a
# declaration too.
NOT_AFTER_TRANSFORMS = {
    *("bytea", "binary", "text", "bigint", "double precision", "boolean", "numeric", "date"),
    *("timestamp without time zone", "timestamp with time zone", "time without time zone"),
}


@dataclass(frozen=True, slots=True)
class TypeChoice:
    """Which native types may be declared, as `StreamSource` describes it.

    A column whose values do not fit its native type is added to `kept_types`, so that the next pages have the same type.
    `unfitting` are columns with values that do not fit their type (see `decode_rows`).
    """

    type_system: TypeSystem = ""
    kept_types: dict[str, str] = field(default_factory=dict)
    is_transformed: bool = False
    unfitting: set[str] = field(default_factory=set)

    def apply(self, columns: Sequence[PgColumn]) -> tuple[PgColumn, ...]:
        """Return the columns with the native types that they arrive with.

        A transform receives values of Drover's types.
        """
        return tuple(columns if self.is_transformed else map(self._apply_to_column, columns))

    def describe(
        self, frame: pl.DataFrame, columns: Sequence[PgColumn], comment: str
    ) -> NativeTable | None:
        """Return what is declared about the columns of a page, and about their table."""
        if not self.type_system:
            return None
        described = {
            column.name: NativeColumn(
                self._type_in_page(frame, column),
                not_null=not column.nullable and not self.is_transformed,
                comment=column.comment,
            )
            for column in columns
        }
        for column in columns:
            if column.native and not described[column.name].type:
                self.kept_types[column.name] = ""
        return NativeTable(described, comment)

    def _apply_to_column(self, column: PgColumn) -> PgColumn:
        native = self._allowed_type(column)
        is_postgres_text = self.type_system == "postgres" and native != ""
        return replace(column, native=native, is_postgres_text=is_postgres_text)

    def _allowed_type(self, column: PgColumn) -> str:
        native = column.postgres_type if self.type_system == "postgres" else ""
        if self.type_system == "arrow":
            native = _arrow_type(column)
        return native if self.kept_types.get(column.name, native) == native else ""

    def _type_in_page(self, frame: pl.DataFrame, column: PgColumn) -> str:
        if self.is_transformed:
            native = self._allowed_type(column)
            return "" if column.typtype == "A" or native in NOT_AFTER_TRANSFORMS else native
        expected = pl.Binary() if column.native == "binary" else dtype_of_native(column.native)
        return column.native if frame.schema[column.name] == expected else ""


def _arrow_type(column: PgColumn) -> str:
    if column.typtype == "A":
        return LIST_TYPES.get(column.item_type, "")
    digits = column.precision or 0
    if column.base_type == "numeric" and column.is_decimal and digits < DECIMAL_DIGITS:
        return f"decimal({digits},{column.scale})"
    return ARROW_TYPES.get(column.base_type, "") if column.typtype == "b" else ""
