"""What a file format must do for the file destinations."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from pathlib import Path
from typing import BinaryIO, ClassVar

import polars as pl

from apps.engine.frames.columns import Column, ColumnType


class FileFormat(ABC):
    """How rows become a file, and how an older file is given the columns of newer ones."""

    name: ClassVar[str]
    extension: ClassVar[str]
    media_type: ClassVar[str]
    one_schema: ClassVar[bool] = True  # all visible parts must have the same columns
    stages_itself: ClassVar[bool] = False  # a staged part of the right columns is a finished file
    staging_compression: str = "lz4"

    @abstractmethod
    def write(self, frame: pl.DataFrame, sink: BinaryIO, *, again: bool) -> None:
        """Write a finished file; `again` says that the rows were in a finished file before."""

    @abstractmethod
    def widened(self, part: Path | bytes, before: list[str], target: pl.Schema) -> pl.DataFrame:
        """The rows of an older file, whose columns were `before`, in the target's. Raises InexactCast."""


def physical(columns: Mapping[str, Column]) -> pl.Schema:
    """The dtypes of files: a column in which no value was seen is text, so that every reader can read it."""
    return pl.Schema(
        {
            name: pl.String() if column.type is ColumnType.NULL else column.dtype
            for name, column in columns.items()
        }
    )
