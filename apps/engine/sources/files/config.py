"""Settings of the files source."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, field_validator

from apps.engine.sources.connector import SourceSettings
from apps.engine.sources.files.patterns import check_path

Format = Literal["csv", "jsonl", "parquet"]


class CsvOptions(SourceSettings):
    """Options for reading CSV."""

    delimiter: str = Field(",", min_length=1, max_length=1, description="Field separator")
    quote: str | None = Field('"', min_length=1, max_length=1, description="Quote character")
    header: bool = Field(True, description="Whether the first line has the column names")
    encoding: Literal["utf-8", "latin-1", "windows-1252"] = Field(
        "utf-8", description="Character encoding"
    )
    null_values: list[str] = Field(
        default_factory=list,
        max_length=20,
        description="Texts that mean null, besides empty fields",
        examples=[["NA", "null"]],
    )
    infer_types: bool = Field(
        True,
        description="Whether to detect numbers, booleans and times, or keep all values as text",
    )


class Config(SourceSettings):
    """Which files to read, and in which format."""

    path: str = Field(
        min_length=1,
        max_length=1000,
        description=(
            "An uploaded file, a pattern for several files with the same columns (`logs/*.csv`),"
            " or an https:// address"
        ),
        examples=["airports.csv", "logs/**/*.jsonl", "https://example.com/data.parquet"],
    )
    format: Literal["auto", "csv", "jsonl", "parquet"] = Field(
        "auto", description="Format; `auto` uses the file's name"
    )
    stream_name: str | None = Field(
        None,
        min_length=1,
        max_length=200,
        description="Name of the stream; the file's name when empty",
    )
    csv: CsvOptions = Field(default_factory=CsvOptions, description="CSV options")
    page_size: int = Field(
        50_000, ge=1, le=1_000_000, description="Approximate number of rows read at a time"
    )
    max_download_mb: int = Field(
        1024, ge=1, le=100_000, description="Largest file to download from a web address, in MB"
    )

    @field_validator("path")
    @classmethod
    def _check_path(cls, value: str) -> str:
        return check_path(value)
