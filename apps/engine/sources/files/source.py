"""Read files page by page, one file after another, in the order of their paths."""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from typing import Any, BinaryIO, ClassVar

import polars as pl
import pyarrow as pa

from apps.engine.contract import CheckStep, FieldInfo, SizeEstimate, StreamInfo
from apps.engine.failures import ConfigurationError, PositionGone
from apps.engine.frames.decoding import StreamSchema
from apps.engine.sources.connector import (
    ConnectorSource,
    Pagination,
    SourcePage,
    frame_page,
    rows_page,
    run_checks,
)
from apps.engine.sources.files.config import Config
from apps.engine.sources.files.locations import (
    FileLocation,
    FoundFile,
    StorageLocation,
    WebLocation,
    decompress,
    is_compressed,
)
from apps.engine.sources.files.patterns import detect_format, is_address, is_pattern, stream_name
from apps.engine.sources.files.readers import (
    CsvReader,
    JsonLinesReader,
    ParquetReader,
    Piece,
    Reader,
)
from apps.engine.sources.http.responses import PermanentSourceError
from apps.engine.sources.http.session import SourceSession

SAMPLE_ROWS = 1000


class FilesSource(ConnectorSource[Config]):
    Config: ClassVar[type[Config]] = Config
    size_basis: ClassVar[str] = "written in the files"

    _open_path: str | None = None
    _open_file: BinaryIO | None = None
    _reader: Reader | None = None

    def check(self) -> Iterator[CheckStep]:
        return run_checks([("find", self._check_find), ("read", self._check_read)])

    def discover(self) -> list[StreamInfo]:
        schema = StreamSchema()
        content = self._first_piece().content
        if isinstance(content, pl.DataFrame):
            schema.conform(content)
        else:
            schema.decode(content)
        fields = tuple(
            FieldInfo(name, column.field_type) for name, column in schema.columns.items()
        )
        return [StreamInfo(self.name, fields)]

    def stream_names(self) -> list[str]:
        return [self.name]

    def get_total_records_count(self) -> int | None:
        totals = [self._open_reader(file).row_count() for file in self.found_files[:100]]
        if len(self.found_files) > 100 or None in totals:
            return None
        return sum(total or 0 for total in totals) or None

    @property
    def records_per_request(self) -> int:
        return self.settings.page_size

    def estimate_size(self) -> SizeEstimate:
        """Return the number of records that the files contain, or else estimate it by their size."""
        self._require_stream()
        return super().estimate_size() if self._is_counted else self._estimate_by_size()

    def get(self, pagination: Pagination = None) -> SourcePage:
        self._require_stream()
        file, position = self._find_position(pagination or {})
        page_size = min(self.settings.page_size, self.page_limit or self.settings.page_size)
        piece = self._read_piece(file, position, page_size)
        token = self._next_token(file, piece)
        if isinstance(piece.content, pl.DataFrame):
            return frame_page(piece.content, token)
        return rows_page(piece.content, token)

    def get_session(self) -> SourceSession:
        return SourceSession(allow_private=self.allow_private_networks)

    def close(self) -> None:
        if self._open_file is not None:
            self._open_file.close()
        self._open_path = self._open_file = self._reader = None
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
        """Return the files to read. Raises ConfigurationError if there are none."""
        files = self.location.find(self.settings.path)
        if not files:
            verb = "matches" if is_pattern(self.settings.path) else "is named"
            raise ConfigurationError(f"no uploaded file {verb} {self.settings.path!r}")
        return files

    def _require_stream(self) -> None:
        if self.spec.stream != self.name:
            raise ConfigurationError(
                f"there is no stream {self.spec.stream!r}; the only stream is {self.name}"
            )

    def _find_position(self, token: Mapping[str, Any]) -> tuple[FoundFile, Mapping[str, Any]]:
        """Return the token's file, and the position in that file."""
        if not token:
            return self.found_files[0], {}
        for file in self.found_files:
            if file.path != token["file"]:
                continue
            if token["place"] and file.version != token["mark"]:
                raise PositionGone(
                    f"the file {file.path!r} changed while it was read; reset the stream to start from the beginning"
                )
            return file, token["place"]
        raise PositionGone(
            f"the file {token['file']!r} was removed while it was read; reset the stream to start from the beginning"
        )

    def _next_token(self, file: FoundFile, piece: Piece) -> dict[str, Any]:
        if piece.next_position is not None:
            return {"file": file.path, "mark": file.version, "place": piece.next_position}
        later_files = [other for other in self.found_files if other.path > file.path]
        if not later_files:
            return {}
        return {"file": later_files[0].path, "mark": later_files[0].version, "place": {}}

    @property
    def _is_counted(self) -> bool:
        return isinstance(self._open_reader(self.found_files[0]), ParquetReader)

    def _estimate_by_size(self) -> SizeEstimate:
        """Compare the size of the first records with the size of all files. Compressed files are not estimated."""
        if any(is_compressed(file.path) for file in self.found_files):
            return SizeEstimate()
        piece = self._first_piece()
        size = sum(file.size for file in self.found_files)
        sample_size = (piece.next_position or {}).get("offset") or self.found_files[0].size
        records = round(len(piece.content) * size / sample_size) if sample_size else None
        return replace(self.size_of(records), basis="estimated by the size of the files")

    def _first_piece(self) -> Piece:
        return self._read_piece(self.found_files[0], {}, SAMPLE_ROWS)

    def _read_piece(self, file: FoundFile, position: Mapping[str, Any], page_size: int) -> Piece:
        try:
            return self._open_reader(file).read(position, page_size)
        except (gzip.BadGzipFile, EOFError, zlib.error) as error:
            raise PermanentSourceError(
                f"{file.path!r} is not a complete gzip file", evidence=(str(error),)
            ) from error
        except pa.ArrowInvalid as error:
            raise PermanentSourceError(
                f"{file.path!r} is not readable", evidence=(str(error)[:300],)
            ) from error

    def _open_reader(self, file: FoundFile) -> Reader:
        if self._reader is None or self._open_path != file.path:
            if self._open_file is not None:
                self._open_file.close()
            self._open_file = self.location.open(file)
            self._reader = self._make_reader(file, decompress(self._open_file, self.settings.path))
            self._open_path = file.path
        return self._reader

    def _make_reader(self, file: FoundFile, content: BinaryIO) -> Reader:
        setting = self.settings.format
        file_format = detect_format(file.path) if setting == "auto" else setting
        if file_format == "csv":
            return CsvReader(content, self._csv_options(file))
        if file_format == "jsonl":
            return JsonLinesReader(content)
        if file_format == "parquet":
            return ParquetReader(content)
        raise ConfigurationError(
            f"the format of {file.path!r} cannot be detected from its name; set `format`"
        )

    def _csv_options(self, file: FoundFile) -> Any:
        options = self.settings.csv
        if ".tsv" in file.path.lower() and "delimiter" not in options.model_fields_set:
            return options.model_copy(update={"delimiter": "\t"})
        return options

    def _check_find(self) -> str:
        files = self.found_files
        size = sum(file.size for file in files)
        return f"{len(files):,} {'file' if len(files) == 1 else 'files'}, {size:,} bytes"

    def _check_read(self) -> str:
        content = self._first_piece().content
        rows = content.height if isinstance(content, pl.DataFrame) else len(content)
        return f"{rows:,} records at the beginning of {self.found_files[0].path}"
