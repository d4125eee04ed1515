"""The types that were decided for the columns of a stream, as a token stores them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from apps.engine.frames.columns import Column, ColumnType


def columns_to_json(columns: Mapping[str, Column]) -> list[list[Any]]:
    """Return a short form, because every checkpoint stores it."""
    return [
        [name, column.type.value, column.scale] if column.scale else [name, column.type.value]
        for name, column in columns.items()
    ]


def columns_from_json(value: Sequence[Sequence[Any]]) -> dict[str, Column]:
    return {
        name: Column(ColumnType(kind), scale=scale[0] if scale else 0)
        for name, kind, *scale in value
    }
