"""Parquet files. A staged part with the right columns is published unchanged."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import BinaryIO

import polars as pl

from apps.engine.destinations.file_sets.destination import FilesDestination
from apps.engine.destinations.file_sets.formats import FileFormat
from apps.engine.destinations.file_sets.parquet_files import Compression, read_file, write_file
from apps.engine.destinations.file_sets.reading import texts_of
from apps.engine.destinations.parquet.config import ParquetConfig
from apps.engine.destinations.parquet.reading import read_frame
from apps.engine.destinations.stored_rows import Row
from apps.engine.frames.columns import Column, fit_frame


class ParquetFormat(FileFormat):
    """Nested values are stored as JSON text, decimals with 38 digits, and timestamps in UTC and microseconds.

    A column with a native type has this type.
    """

    name = "parquet"
    extension = "parquet"
    media_type = "application/vnd.apache.parquet"
    publishes_staged_parts = True

    def __init__(self, compression: Compression) -> None:
        self.staging_compression = compression
        self._compression = compression

    def write(
        self,
        frame: pl.DataFrame,
        sink: BinaryIO,
        columns: Mapping[str, Column],
        *,
        is_rewrite: bool,
    ) -> None:
        write_file(frame, sink, columns, compression=self._compression)

    def widen(
        self, part: Path | bytes, old_columns: Mapping[str, Column], target: pl.Schema
    ) -> pl.DataFrame:
        return fit_frame(read_file(part, old_columns), target)

    def read_rows(
        self,
        part: Path | bytes,
        columns: Mapping[str, Column],
        names: Sequence[str],
        offset: int,
        limit: int,
    ) -> list[Row]:
        return texts_of(read_frame(part, columns, names, offset, limit), names)


class ParquetDestination(FilesDestination):
    """Writes Parquet files."""

    Config = ParquetConfig
    config: ParquetConfig
    type_system = "arrow"

    def make_format(self) -> FileFormat:
        return ParquetFormat(self.config.compression)
