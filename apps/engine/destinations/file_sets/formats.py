"""The interface of a file format."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from pathlib import Path
from typing import BinaryIO, ClassVar

import polars as pl

from apps.engine.frames.columns import Column, ColumnType


class FileFormat(ABC):
    """How rows are written to a file, and how the rows of an older file get the columns of newer ones."""

    name: ClassVar[str]
    extension: ClassVar[str]
    media_type: ClassVar[str]
    one_schema: ClassVar[bool] = True  # all visible parts must have the same columns
    # a staged part that already has the right columns can be published unchanged
    stages_itself: ClassVar[bool] = False
    staging_compression: str = "lz4"

    @abstractmethod
    def write(self, frame: pl.DataFrame, sink: BinaryIO, *, again: bool) -> None:
        """Write a finished file; `again` means that the rows come from a finished file."""

    @abstractmethod
    def widened(self, part: Path | bytes, before: list[str], target: pl.Schema) -> pl.DataFrame:
        """Convert the rows of an older file with the columns `before` to the target's columns.

        Raises InexactCast.
        """


def physical(columns: Mapping[str, Column]) -> pl.Schema:
    """Return the column types of files: a column without values is text, so that every reader can read it."""
    return pl.Schema(
        {
            name: pl.String() if column.type is ColumnType.NULL else column.dtype
            for name, column in columns.items()
        }
    )
