"""The interface of a file format."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import BinaryIO, ClassVar

import polars as pl

from apps.engine.destinations.stored_rows import Row
from apps.engine.frames.columns import Column, ColumnType


class FileFormat(ABC):
    """Writes rows to a file, and adds the columns of newer files to the rows of an older file."""

    name: ClassVar[str]
    extension: ClassVar[str]
    media_type: ClassVar[str]
    # whether all visible parts must have the same columns
    needs_same_columns: ClassVar[bool] = True
    # whether a staged part that already has the right columns can be published unchanged
    publishes_staged_parts: ClassVar[bool] = False
    staging_compression: str = "lz4"

    @abstractmethod
    def write(
        self,
        frame: pl.DataFrame,
        sink: BinaryIO,
        columns: Mapping[str, Column],
        *,
        is_rewrite: bool,
    ) -> None:
        """Write a finished file with these columns. With `is_rewrite`, the rows come from an earlier finished file."""

    @abstractmethod
    def widen(
        self, part: Path | bytes, old_columns: Mapping[str, Column], target: pl.Schema
    ) -> pl.DataFrame:
        """Return the rows of an older file with the columns of the target.

        Raises InexactCast.
        """

    @abstractmethod
    def read_rows(
        self,
        part: Path | bytes,
        columns: Mapping[str, Column],
        names: Sequence[str],
        offset: int,
        limit: int,
    ) -> list[Row]:
        """Return at most `limit` rows of a file after the first `offset`, with these of its columns.

        The file may be hostile. Raises PolarsError, ValueError, OSError and RecursionError for one that cannot be read.
        """


def file_schema(columns: Mapping[str, Column]) -> pl.Schema:
    """Return the column types of files. A column without values is text, so that every reader can read it."""
    return pl.Schema(
        {
            name: pl.String() if column.type is ColumnType.NULL else column.dtype
            for name, column in columns.items()
        }
    )


def have_same_types(columns: Mapping[str, Column], others: Mapping[str, Column]) -> bool:
    """Return whether files with these columns have the same names and types, in the same order."""
    types, other_types = (
        [(name, dtype, named[name].native) for name, dtype in file_schema(named).items()]
        for named in (columns, others)
    )
    return types == other_types
