"""What was decided for a whole stream of files before its first page. Each token has it, so that no page differs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from apps.engine.frames.columns import Column, ColumnType


@dataclass(slots=True)
class Plan:
    """The types of the columns of text files and workbooks, and whether CSV files and workbooks have headers."""

    columns: dict[str, Column] = field(default_factory=dict)
    has_header: bool | None = None  # None if none of them has records

    def to_json(self) -> dict[str, Any]:
        """Return a short form, because every checkpoint stores it."""
        return {"columns": _columns_to_json(self.columns), "header": self.has_header}

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Plan:
        return cls(_columns_from_json(value["columns"]), value["header"])


def _columns_to_json(columns: Mapping[str, Column]) -> list[list[Any]]:
    return [
        [name, column.type.value, column.scale] if column.scale else [name, column.type.value]
        for name, column in columns.items()
    ]


def _columns_from_json(value: Sequence[Sequence[Any]]) -> dict[str, Column]:
    return {
        name: Column(ColumnType(kind), scale=scale[0] if scale else 0)
        for name, kind, *scale in value
    }
