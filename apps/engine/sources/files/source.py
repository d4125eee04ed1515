"""Read the files of a stream page by page, one file after another, in the order of their paths."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from typing import Any, ClassVar

import polars as pl
from loguru import logger

from apps.engine.answers import FilesOfStream
from apps.engine.contract import CheckStep, FieldInfo, SizeEstimate, StreamInfo
from apps.engine.failures import EXPECTED_ERRORS, ConfigurationError, PositionGone
from apps.engine.frames.columns import NULL, STRING
from apps.engine.frames.decoding import StreamSchema
from apps.engine.frames.left_out import Kind, LeftOutRecords
from apps.engine.frames.text_types import TextColumn
from apps.engine.process.progress import progress
from apps.engine.sources.connector import (
    ConnectorSource,
    Pagination,
    SourcePage,
    frame_page,
    rows_page,
    run_checks,
)
from apps.engine.sources.files.config import Config
from apps.engine.sources.files.csv_reader import CsvReader
from apps.engine.sources.files.excel_reader import ExcelReader
from apps.engine.sources.files.locations import (
    FileLocation,
    FoundFile,
    StorageLocation,
    WebLocation,
)
from apps.engine.sources.files.opened import OpenedFile
from apps.engine.sources.files.parquet_reader import ParquetReader
from apps.engine.sources.files.patterns import (
    detect_format,
    is_address,
    is_pattern,
    stream_name,
    stream_of_file,
)
from apps.engine.sources.files.plans import Plan
from apps.engine.sources.files.readers import Piece, Reader

SAMPLE_ROWS = 1000
MAX_DESCRIBED = 200  # streams whose fields are listed: each costs the beginning of a file
TYPED_FORMATS = ("json", "jsonl", "parquet")


class FilesSource(ConnectorSource[Config]):
    """Reads the files that match a path, as one stream or as several."""

    Config: ClassVar[type[Config]] = Config
    size_basis: ClassVar[str] = "written in the files"

    _opened: OpenedFile | None = None
    _plan: Plan | None = None  # None until it is made, and in previews

    def check(self) -> Iterator[CheckStep]:
        return run_checks(
            [("find", self._check_find), ("read", self._check_read), ("format", self._check_format)]
        )

    def discover(self) -> list[StreamInfo]:
        if not self._has_several:
            return [StreamInfo(self.name, self._fields_of(self.all_files[0]))]
        return [
            StreamInfo(name, self._fields_if_readable(files[0]) if number < MAX_DESCRIBED else ())
            for number, (name, files) in enumerate(self.files_by_stream.items())
        ]

    def _fields_if_readable(self, file: FoundFile) -> tuple[FieldInfo, ...]:
        """Return the fields, or none: one bad file must not hide the streams of the others."""
        try:
            return self._fields_of(file)
        except EXPECTED_ERRORS:
            return ()

    def _fields_of(self, file: FoundFile) -> tuple[FieldInfo, ...]:
        schema = StreamSchema()
        content = self._first_piece(file).content
        if isinstance(content, pl.DataFrame):
            schema.conform(content)
        else:
            schema.decode(content)
        return tuple(FieldInfo(name, column.field_type) for name, column in schema.columns.items())

    def stream_names(self) -> list[str]:
        return list(self.files_by_stream) if self._has_several else [self.name]

    def get_total_records_count(self) -> int | None:
        total = 0
        for file in self.found_files[:100]:
            opened = self._open(file)
            for entry in opened.entries:
                count = opened.reader(entry).row_count()
                if count is None:
                    return None
                total += count
        return total or None if len(self.found_files) <= 100 else None

    @property
    def read_as(self) -> str:
        return self._opened.read_as if self._opened is not None else ""

    @property
    def records_per_request(self) -> int:
        return self.settings.page_size

    def estimate_size(self) -> SizeEstimate:
        """Return the number of records that the files contain, or else estimate it by their size."""
        self._require_stream()
        return super().estimate_size() if self._is_counted else self._estimate_by_size()

    def get(self, pagination: Pagination = None) -> SourcePage:
        self._require_stream()
        token: Mapping[str, Any] = pagination or {}
        file, entry, position = self._find_position(token)
        if self.page_limit is None:
            self._use_plan(token)
        page_size = min(self.settings.page_size, self.page_limit or self.settings.page_size)
        piece = self._read_piece(file, entry, position, page_size)
        return self._page(piece, self._next_token(file, entry, piece))

    def close(self) -> None:
        self._close_file()
        super().close()

    @property
    def name(self) -> str:
        return self.settings.stream_name or stream_name(self.settings.path)

    @cached_property
    def location(self) -> FileLocation:
        if is_address(self.settings.path):
            return WebLocation(self.get_session(), max_bytes=self.settings.max_download_mb << 20)
        return StorageLocation(self.files)

    @cached_property
    def found_files(self) -> Sequence[FoundFile]:
        """Return the files of the stream. Raises ConfigurationError if there are none."""
        if not self._has_several:
            return self.all_files
        files = self.files_by_stream.get(self.spec.stream)
        if not files:
            raise ConfigurationError(
                f"no file that matches {self.settings.path!r} belongs to the stream {self.spec.stream!r}"
            )
        return files

    @cached_property
    def all_files(self) -> Sequence[FoundFile]:
        """Return the files of all streams. Raises ConfigurationError if there are none."""
        files = self.location.find(self.settings.path)
        if not files:
            verb = "matches" if is_pattern(self.settings.path) else "is named"
            raise ConfigurationError(f"no uploaded file {verb} {self.settings.path!r}")
        return files

    @cached_property
    def files_by_stream(self) -> Mapping[str, Sequence[FoundFile]]:
        """Return the files of each stream by its name. The name of a file alone decides to which stream it belongs."""
        return self._by_stream(self.all_files)

    def list_files(self) -> dict[str, FilesOfStream]:
        files = self.location.list_files(self.settings.path)
        by_stream = self._by_stream(files) if self._has_several else {self.name: files}
        return {
            name: {"digest": _digest_of(each), "files": len(each)}
            for name, each in by_stream.items()
        }

    def _by_stream(self, files: Sequence[FoundFile]) -> dict[str, Sequence[FoundFile]]:
        found: dict[str, list[FoundFile]] = {}
        for file in files:
            name = stream_of_file(file.path, self.settings.path, self.settings.one_stream_per)
            found.setdefault(name, []).append(file)
        return dict(sorted(found.items()))

    @property
    def _has_several(self) -> bool:
        return self.settings.one_stream_per != "pattern"

    def _require_stream(self) -> None:
        if self._has_several:
            _ = self.found_files
            return
        if self.spec.stream != self.name:
            raise ConfigurationError(
                f"there is no stream {self.spec.stream!r}; the only stream is {self.name}"
            )

    def _page(self, piece: Piece, token: Mapping[str, Any]) -> SourcePage:
        """Return the page, and the records that cannot be read, which the user may have chosen to skip."""
        left_out = LeftOutRecords()
        kind: Kind = "skipped" if self.settings.bad_lines == "skip" else "rejected"
        for bad in piece.bad_records:
            left_out.add(kind, bad.record, reason=bad.reason, position=bad.position)
        if isinstance(piece.content, pl.DataFrame):
            return frame_page(piece.content, token, left_out=left_out)
        return rows_page(piece.content, token, left_out=left_out)

    # The plan. It is the same on all pages, in all files and attempts.

    def _use_plan(self, token: Mapping[str, Any]) -> None:
        """Take the plan from the token, or make it before the first page."""
        if token and token.get("files") not in (None, self._files_digest):
            raise PositionGone("files were added, removed or changed while they were read")
        if self._plan is not None:
            return
        self._plan = Plan.from_json(token["plan"]) if "plan" in token else self._make_plan()
        self._close_file()  # Its reader does not know the plan.

    def _make_plan(self) -> Plan:
        """Read all values of text files and workbooks, whose columns have no types of their own."""
        plan = Plan()
        texts: dict[str, TextColumn] = {}
        known = set(self.known_columns)
        for file in self.found_files:
            if self._has_types(file):
                continue
            opened = self._open(file, plan)
            for entry in opened.entries:
                reader = opened.reader(entry)
                logger.info("Reading {}: {}", opened.label(entry), reader.describe())
                if isinstance(reader, (CsvReader, ExcelReader)) and reader.names:
                    reader.require_columns_of_stream(known)
                    known.update(reader.names)
                for _ in self._decide(reader, plan, texts):
                    progress.report()
        for name, text in texts.items():
            plan.columns[name] = plan.columns.get(name, NULL).widen(text.column)
        text_names = self.text_columns | set(filter(self.is_text_field, plan.columns))
        plan.columns |= dict.fromkeys(text_names & plan.columns.keys(), STRING)
        return plan

    def _has_types(self, file: FoundFile) -> bool:
        """Whether the setting or the name says that the columns of a file have types of their own."""
        setting = self.settings.format
        return (detect_format(file.path) if setting == "auto" else setting) in TYPED_FORMATS

    def _decide(self, reader: Reader, plan: Plan, texts: dict[str, TextColumn]) -> Iterator[None]:
        """Add what a file says about the plan. Yields after each piece."""
        if not isinstance(reader, (CsvReader, ExcelReader)) or not reader.names:
            return
        if plan.has_header is None:
            plan.has_header = reader.has_header
        if isinstance(reader, ExcelReader):
            yield from reader.decide(plan.columns)
        elif self.settings.csv.infer_types:
            yield from reader.decide(texts, self.settings.page_size)

    @cached_property
    def _files_digest(self) -> str:
        return _digest_of(self.found_files)[:16]

    # Positions

    def _find_position(self, token: Mapping[str, Any]) -> tuple[FoundFile, int, Mapping[str, Any]]:
        """Return the token's file, the number of its entry, and the position in that entry."""
        if not token:
            return self.found_files[0], 0, {}
        for file in self.found_files:
            if file.path != token["file"]:
                continue
            if (token["place"] or token.get("entry")) and file.version != token["mark"]:
                raise PositionGone(f"the file {file.path!r} changed while it was read")
            return file, int(token.get("entry", 0)), token["place"]
        raise PositionGone(f"the file {token['file']!r} was removed while it was read")

    def _next_token(self, file: FoundFile, entry: int, piece: Piece) -> dict[str, Any]:
        if piece.next_position is not None:
            return self._token(file, entry, piece.next_position)
        if entry + 1 < len(self._open(file).entries):
            return self._token(file, entry + 1, {})
        later_files = [other for other in self.found_files if other.path > file.path]
        return self._token(later_files[0], 0, {}) if later_files else {}

    def _token(self, file: FoundFile, entry: int, place: Mapping[str, Any]) -> dict[str, Any]:
        token: dict[str, Any] = {"file": file.path, "mark": file.version, "place": place}
        if entry:
            token["entry"] = entry
        if self._plan is not None and self._plan != Plan():
            token |= {"files": self._files_digest, "plan": self._plan.to_json()}
        return token

    @property
    def _is_counted(self) -> bool:
        opened = self._open(self.found_files[0])
        return isinstance(opened.reader(opened.entries[0]), ParquetReader)

    def _estimate_by_size(self) -> SizeEstimate:
        """Compare the size of the first records with the size of all files. Packed files are not estimated."""
        if self._open(self.found_files[0]).is_packed:
            return SizeEstimate()
        piece = self._first_piece(self.found_files[0])
        size = sum(file.size for file in self.found_files)
        sample_size = self.found_files[0].size
        if piece.next_position is not None:
            sample_size = piece.next_position.get("offset", 0)  # Rows of a workbook have no size.
        records = round(len(piece.content) * size / sample_size) if sample_size else None
        return replace(self.size_of(records), basis="estimated by the size of the files")

    def _first_piece(self, file: FoundFile) -> Piece:
        return self._read_piece(file, 0, {}, SAMPLE_ROWS)

    def _read_piece(
        self, file: FoundFile, entry: int, position: Mapping[str, Any], page_size: int
    ) -> Piece:
        opened = self._open(file)
        reader = opened.reader(opened.entries[entry])
        if isinstance(reader, (CsvReader, ExcelReader)) and self._plan is None:
            return reader.read_sample(position, page_size)
        return reader.read(position, page_size)

    def _open(self, file: FoundFile, plan: Plan | None = None) -> OpenedFile:
        if self._opened is None or self._opened.file != file:
            self._close_file()
            content = self.location.open(file)
            self._opened = OpenedFile(file, content, self.settings, plan or self._plan)
            self._warn_about_left_out(self._opened)
        return self._opened

    def _warn_about_left_out(self, opened: OpenedFile) -> None:
        """Say once for each archive which of its files are not read."""
        if opened.left_out and self.page_limit is None and opened.file.path not in self._warned:
            self._warned.add(opened.file.path)
            logger.warning("{}", opened.left_out)

    @cached_property
    def _warned(self) -> set[str]:
        return set()

    def _close_file(self) -> None:
        if self._opened is not None:
            self._opened.close()
            self._opened = None

    def _check_find(self) -> str:
        files = self.all_files
        size = sum(file.size for file in files)
        found = f"{len(files):,} {'file' if len(files) == 1 else 'files'}, {size:,} bytes"
        return f"{found}, {_streams(len(self.files_by_stream))}" if self._has_several else found

    def _check_read(self) -> str:
        piece = self._first_piece(self.all_files[0])
        rows = len(piece.content)
        message = f"{rows:,} {'record' if rows == 1 else 'records'} at the beginning of {self.all_files[0].path}"
        if piece.bad_records:
            first = piece.bad_records[0]
            message += f"; {len(piece.bad_records):,} cannot be read, the first in {first.position}: {first.reason}"
        if left_out := self._open(self.all_files[0]).left_out:
            message += f"; {left_out}"
        return message

    def _check_format(self) -> str:
        """Return in words how the first file is read."""
        opened = self._open(self.all_files[0])
        entry = opened.entries[0]
        return f"{opened.label(entry)}: {opened.reader(entry).describe()}"


def _digest_of(files: Sequence[FoundFile]) -> str:
    digest = hashlib.sha256()
    for file in files:
        digest.update(f"{file.path}\0{file.version}\0".encode("utf-8", "surrogateescape"))
    return digest.hexdigest()


def _streams(count: int) -> str:
    return f"{count:,} {'stream' if count == 1 else 'streams'}"
