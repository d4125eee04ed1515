"""Parquet files. A staged part with the right columns is published unchanged."""

from __future__ import annotations

from pathlib import Path
from typing import BinaryIO, Literal

import polars as pl

from apps.engine.destinations.file_sets.destination import FilesDestination
from apps.engine.destinations.file_sets.formats import FileFormat
from apps.engine.destinations.parquet.config import ParquetConfig
from apps.engine.frames.columns import fit_frame


class ParquetFormat(FileFormat):
    """Nested values are stored as JSON text, decimals with 38 digits, and timestamps in UTC and microseconds."""

    name = "parquet"
    extension = "parquet"
    media_type = "application/vnd.apache.parquet"
    publishes_staged_parts = True

    def __init__(
        self, compression: Literal["zstd", "snappy", "gzip", "lz4", "uncompressed"]
    ) -> None:
        self.staging_compression = compression
        self._compression = compression

    def write(self, frame: pl.DataFrame, sink: BinaryIO, *, is_rewrite: bool) -> None:
        frame.write_parquet(sink, compression=self._compression)

    def widen(self, part: Path | bytes, old_columns: list[str], target: pl.Schema) -> pl.DataFrame:
        return fit_frame(pl.read_parquet(part), target)


class ParquetDestination(FilesDestination):
    """Writes Parquet files."""

    Config = ParquetConfig
    config: ParquetConfig

    def make_format(self) -> FileFormat:
        return ParquetFormat(self.config.compression)
