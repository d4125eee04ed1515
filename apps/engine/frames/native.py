"""Native types: what a source declares about its columns, beyond Drover's own types.

A native type is a name that the source and the destination both know. A destination of PostgreSQL has the names of
PostgreSQL (`numeric(10,2)`, `integer[]`), and its values are PostgreSQL's own texts. For Parquet and DuckDB they are
`int16`, `int32`, `float32`, `decimal(10,2)`, `list(int32)` and `binary`, and the types of texts `uuid` and `json`.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from typing import Literal

# Whose names a destination knows; empty if it stores Drover's own types only.
TypeSystem = Literal["", "postgres", "arrow"]


@dataclass(frozen=True, slots=True)
class NativeColumn:
    """What the source declares about a column. `type` is empty if the values arrive as one of Drover's types."""

    type: str = ""
    not_null: bool = False
    comment: str = ""


@dataclass(frozen=True, slots=True)
class NativeTable:
    """What the source declares about the columns of a page, by name, and about their table."""

    columns: Mapping[str, NativeColumn] = field(default_factory=dict)
    comment: str = ""

    def type_of(self, name: str) -> str:
        """Return the native type of the column; empty if it has none."""
        column = self.columns.get(name)
        return column.type if column else ""

    def without_types(self, names: Collection[str]) -> NativeTable:
        """Return the table without the native types of some columns."""
        columns = {
            name: replace(column, type="") if name in names else column
            for name, column in self.columns.items()
        }
        return NativeTable(columns, self.comment)

    def renamed(self, names: Mapping[str, str]) -> NativeTable:
        """Return the table with the new names of its columns."""
        columns = {names.get(name, name): column for name, column in self.columns.items()}
        return NativeTable(columns, self.comment)


NO_NATIVE_TYPES = NativeTable()
