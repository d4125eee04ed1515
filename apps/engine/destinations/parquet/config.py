"""Settings of the Parquet destination."""

from __future__ import annotations

from typing import Literal

from pydantic import ConfigDict, Field

from apps.engine.destinations.file_sets.config import BucketSettings


class ParquetConfig(BucketSettings):
    """The folder of the files, and their compression."""

    model_config = ConfigDict(extra="forbid", title="Parquet files")

    compression: Literal["zstd", "snappy", "gzip", "lz4", "uncompressed"] = Field(
        default="zstd",
        title="Compression",
        description="zstd makes the smallest files; snappy is supported by the oldest tools.",
        examples=["zstd"],
    )
