"""One open file, and the readers of the data in it."""

from __future__ import annotations

from typing import BinaryIO

from apps.engine.failures import ConfigurationError
from apps.engine.sources.files.config import Config
from apps.engine.sources.files.contents import Contents, Entry, magic_of
from apps.engine.sources.files.csv_reader import CsvReader
from apps.engine.sources.files.excel_reader import ExcelReader
from apps.engine.sources.files.json_readers import (
    JsonLinesReader,
    JsonReader,
    begins_with_object,
    is_document,
)
from apps.engine.sources.files.locations import FoundFile
from apps.engine.sources.files.parquet_reader import ParquetReader
from apps.engine.sources.files.patterns import detect_format
from apps.engine.sources.files.plans import Plan
from apps.engine.sources.files.readers import Reader
from apps.engine.sources.files.streams import BYTE_ORDER_MARKS, as_utf8
from apps.engine.sources.http.responses import PermanentSourceError

# A zip archive with data files has been opened already, so a zip archive is a workbook here.
CONTENT_FORMATS = {"parquet": "parquet", "zip": "excel"}


class OpenedFile:
    """A file of the stream. It may have several entries, if it is an archive.

    The plan is None for a preview, and incomplete while it is made.
    """

    def __init__(
        self, file: FoundFile, content: BinaryIO, settings: Config, plan: Plan | None
    ) -> None:
        self.file = file
        self._settings = settings
        self._plan = plan
        self._contents = Contents(content, file.path)
        self.entries = self._contents.entries
        self._reader: Reader | None = None
        self._reader_entry: Entry | None = None

    @property
    def is_packed(self) -> bool:
        """Whether the size of the file is not the size of its data."""
        return self._contents.is_compressed or self.entries[0].path != ""

    @property
    def read_as(self) -> str:
        """How the entry that was read last is read, in words."""
        return self._reader.describe() if self._reader is not None else ""

    @property
    def left_out(self) -> str:
        """The files of an archive that are not read, in words; empty if there are none."""
        names = self._contents.left_out
        if not names:
            return ""
        shown = ", ".join(repr(name[:100]) for name in names[:5])
        return (
            f"{len(names):,} files of {self.file.path} are not read, because their names do not say that they are CSV, JSON, Excel or Parquet: {shown}"
            + (", ..." if len(names) > 5 else "")
        )

    def label(self, entry: Entry) -> str:
        """Return the name of the entry in messages."""
        return f"{self.file.path}, {entry.path}" if entry.path else self.file.path

    def reader(self, entry: Entry) -> Reader:
        """Return the reader of an entry. Raises EngineError."""
        if self._reader is None or self._reader_entry != entry:
            self._reader = self._make_reader(entry)
            self._reader_entry = entry
        return self._reader

    def close(self) -> None:
        self._contents.close()

    def _make_reader(self, entry: Entry) -> Reader:
        label = self.label(entry)
        plan = self._plan or Plan()
        data = self._contents.open(entry)
        file_format = self._format(entry, data)
        if file_format in ("csv", "json", "jsonl"):
            _require_no_markup(data, label)
        if file_format == "csv":
            columns = plan.columns if self._plan and self._settings.csv.infer_types else None
            return CsvReader(data, self._settings.csv, label, columns, has_header=plan.has_header)
        if file_format in ("json", "jsonl"):
            text, start = as_utf8(data, _json_encoding(data))
            if file_format == "jsonl":
                return JsonLinesReader(text, label, start)
            return JsonReader(text, label, self._settings.json_.records, start)
        data = self._contents.random_access(data)
        if file_format == "parquet":
            return ParquetReader(data, label)
        reader = ExcelReader(data, self._settings.excel, label, has_header=plan.has_header)
        reader.columns = self._plan.columns if self._plan else None
        return reader

    def _format(self, entry: Entry, data: BinaryIO) -> str:
        """Return the format: the setting, or what the content or else the name says."""
        if self._settings.format != "auto":
            return self._settings.format
        if by_content := CONTENT_FORMATS.get(magic_of(data) or ""):
            return by_content
        by_name = detect_format(entry.path or self.file.path)
        if by_name == "csv" and begins_with_object(data):
            raise PermanentSourceError(
                f"{self.label(entry)} has the name of a CSV file, but its first line is a JSON object; set `format` to"
                " `jsonl` or `json` if it is the right file"
            )
        if by_name:
            return by_name
        data.seek(0)
        if is_document(data.read(1024)):
            return "json"
        raise ConfigurationError(
            f"the format of {self.label(entry)!r} is not known: neither the content nor the name says that it is CSV, JSON,"
            " Excel or Parquet. Choose another file, or set `format` if it is text"
        )


def _require_no_markup(data: BinaryIO, label: str) -> None:
    """Raise PermanentSourceError for a web page, which servers send in place of a file that needs a log-in."""
    data.seek(0)
    beginning = data.read(1024).removeprefix(BYTE_ORDER_MARKS["utf-8"]).lstrip().lower()
    if beginning.startswith((b"<!doctype", b"<html", b"<?xml")):
        raise PermanentSourceError(
            f"{label} is a web page or an XML document, not a file of records"
        )


def _json_encoding(data: BinaryIO) -> str:
    """Return the encoding of JSON, which is UTF-8 unless a byte order mark says something else."""
    data.seek(0)
    beginning = data.read(4)
    for encoding, mark in BYTE_ORDER_MARKS.items():
        if beginning.startswith(mark):
            return encoding
    return "utf-8"
