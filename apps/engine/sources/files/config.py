"""Settings of the files source."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, field_validator

from apps.engine.sources.connector import SourceSettings
from apps.engine.sources.files.patterns import check_path

Format = Literal["csv", "jsonl", "parquet"]


class CsvOptions(SourceSettings):
    """How to read CSV."""

    delimiter: str = Field(",", min_length=1, max_length=1, description="What separates fields")
    quote: str | None = Field(
        '"', min_length=1, max_length=1, description="What fields are quoted with"
    )
    header: bool = Field(True, description="Whether the first line names the columns")
    encoding: Literal["utf-8", "latin-1", "windows-1252"] = Field(
        "utf-8", description="How characters are written"
    )
    null_values: list[str] = Field(
        default_factory=list,
        max_length=20,
        description="Texts that mean no value, besides empty fields",
        examples=[["NA", "null"]],
    )
    infer_types: bool = Field(
        True, description="Whether numbers, booleans and times become such, or stay text"
    )


class Config(SourceSettings):
    """Which files to read, and as what."""

    path: str = Field(
        min_length=1,
        max_length=1000,
        description=(
            "A file among the uploaded ones, a pattern for several of the same shape (`logs/*.csv`),"
            " or an https:// address"
        ),
        examples=["airports.csv", "logs/**/*.jsonl", "https://example.com/data.parquet"],
    )
    format: Literal["auto", "csv", "jsonl", "parquet"] = Field(
        "auto", description="Format; `auto` goes by the file's name"
    )
    stream_name: str | None = Field(
        None, min_length=1, max_length=200, description="Name of the stream, if not the file's own"
    )
    csv: CsvOptions = Field(default_factory=CsvOptions, description="How to read CSV")
    page_size: int = Field(50_000, ge=1, le=1_000_000, description="Rows read at a time, about")
    max_download_mb: int = Field(
        1024, ge=1, le=100_000, description="Largest file to download from a web address, in MB"
    )

    @field_validator("path")
    @classmethod
    def _stays_in_the_area(cls, value: str) -> str:
        return check_path(value)
