"""Settings of the files source."""

from __future__ import annotations

from typing import Any, Literal, Self

from pydantic import Field, field_validator, model_validator

from apps.engine.sources.connector import SourceSettings
from apps.engine.sources.files.patterns import Grouping, check_path, is_pattern

Format = Literal["csv", "jsonl", "json", "parquet", "excel"]
Encoding = Literal[
    "auto",
    "utf-8",
    "utf-16",
    "utf-16-le",
    "utf-16-be",
    "utf-32",
    "windows-1252",
    "latin-1",
    "windows-1250",
    "windows-1251",
    "iso-8859-2",
    "iso-8859-15",
    "shift_jis",
    "gb18030",
    "big5",
    "euc-kr",
]


class CsvOptions(SourceSettings):
    """Options for reading CSV. What is not set is detected for each file; the check shows what was detected."""

    delimiter: str | None = Field(
        None,
        min_length=1,
        max_length=1,
        description="Field separator, one ASCII character; detected if it is empty",
        examples=[",", ";", "|"],
    )
    quote: str = Field(
        "auto",
        pattern=r"^(auto|none|[ -~])$",
        description='Quote character, such as ". `auto` detects it; `none` if values are not quoted',
    )
    escape: Literal["auto", "double", "backslash"] = Field(
        "auto",
        description=(
            'How a quote is written inside a quoted value: `double` as "", `backslash` also as \\".'
            " `auto` detects it"
        ),
    )
    header: Literal["auto", "yes", "no"] = Field(
        "auto",
        description=(
            "Whether the first record has the column names. `auto` detects it: a file without a header begins with a"
            " record with numbers or times"
        ),
    )
    skip_lines: int | None = Field(
        None,
        ge=0,
        le=10_000,
        description="Lines before the header or the first record that are left out; detected if it is empty",
    )
    comment: str | None = Field(
        None,
        min_length=1,
        max_length=1,
        description="Lines that begin with this character are left out. Comments above the header are detected",
        examples=["#"],
    )
    decimal: Literal["auto", "point", "comma"] = Field(
        "auto",
        description="Decimal mark of numbers. `auto` detects a comma if the delimiter is another character",
    )
    encoding: Encoding = Field(
        "auto",
        description="Character encoding. `auto` detects UTF-8, UTF-16 and Windows-1252, and a byte order mark",
    )
    null_values: list[str] = Field(
        default_factory=list,
        max_length=20,
        description=(
            "Unquoted texts that mean null, besides empty fields. With an empty text in this list, quoted texts mean null"
            " too"
        ),
        examples=[["NA", "null"]],
    )
    infer_types: bool = Field(
        True,
        description="Whether to detect numbers, booleans and times, or keep all values as text",
    )
    short_records: Literal["reject", "fill"] = Field(
        "reject",
        description="What happens to a record with too few values: `fill` makes the missing values null",
    )

    @field_validator("quote", mode="before")
    @classmethod
    def _name_no_quote(cls, value: Any) -> Any:
        return "none" if value is None else value

    @field_validator("header", mode="before")
    @classmethod
    def _name_header(cls, value: Any) -> Any:
        return {True: "yes", False: "no"}[value] if isinstance(value, bool) else value

    @field_validator("delimiter", "comment")
    @classmethod
    def _check_ascii(cls, value: str | None) -> str | None:
        if value is not None and (not value.isascii() or value in "\r\n"):
            raise ValueError("must be one ASCII character that is not a line end")
        return value


class JsonOptions(SourceSettings):
    """Options for reading JSON documents."""

    records: str | None = Field(
        None,
        min_length=1,
        max_length=200,
        description=(
            "Path of the list of records inside the document, with dots between the names. Without a path, a list is a"
            " list of records, and an object is one record"
        ),
        examples=["data.items"],
    )


class ExcelOptions(SourceSettings):
    """Options for reading Excel workbooks (.xlsx)."""

    sheet: str | None = Field(
        None,
        min_length=1,
        max_length=100,
        description="Name of the sheet; the first one if it is empty",
    )
    header: Literal["auto", "yes", "no"] = Field(
        "auto", description="Whether the first row of the table has the column names"
    )
    skip_rows: int | None = Field(
        None,
        ge=0,
        le=10_000,
        description="Rows before the header or the first record that are left out; detected if it is empty",
    )


class Config(SourceSettings):
    """Which files to read, and in which format."""

    path: str = Field(
        min_length=1,
        max_length=1000,
        description=(
            "An uploaded file, a pattern for several files (`logs/*.csv`), or an https:// address."
            " Files may be compressed (gzip, bzip2, zstd) or in a zip archive"
        ),
        examples=["airports.csv", "logs/**/*.jsonl", "https://example.com/data.parquet"],
        json_schema_extra={"format": "uploaded-file"},
    )
    format: Literal["auto", "csv", "jsonl", "json", "parquet", "excel"] = Field(
        "auto", description="Format; `auto` uses the file's name and its content"
    )
    one_stream_per: Grouping = Field(
        "pattern",
        description=(
            "Which of the files that match a pattern are one stream, so that they have the same columns: `pattern`, all of"
            " them; `file`, each file; `folder`, those of each folder; `name`, those whose names differ only in numbers"
            " and dates, such as orders-2026-01.csv"
        ),
    )
    stream_name: str | None = Field(
        None,
        min_length=1,
        max_length=200,
        description="Name of the stream, if there is one; the file's name when empty",
    )
    csv: CsvOptions = Field(default_factory=CsvOptions, description="CSV options")
    json_: JsonOptions = Field(
        default_factory=JsonOptions, alias="json", description="JSON options"
    )
    excel: ExcelOptions = Field(default_factory=ExcelOptions, description="Excel options")
    bad_lines: Literal["reject", "skip"] = Field(
        "reject",
        description=(
            "Lines of text files that cannot be read: `reject` counts them as rejected, so that the run fails if there"
            " are too many; `skip` leaves them out"
        ),
    )
    page_size: int = Field(
        50_000, ge=1, le=1_000_000, description="Approximate number of records read at a time"
    )
    max_download_mb: int = Field(
        1024, ge=1, le=100_000, description="Largest file to download from a web address, in MB"
    )

    @field_validator("path")
    @classmethod
    def _check_path(cls, value: str) -> str:
        return check_path(value)

    @model_validator(mode="after")
    def _check_streams(self) -> Self:
        if self.one_stream_per != "pattern":
            if not is_pattern(self.path):
                raise ValueError("`one_stream_per` needs a path with a wildcard, such as *.csv")
            if self.stream_name:
                raise ValueError("`stream_name` is for one stream; leave it empty")
        return self
