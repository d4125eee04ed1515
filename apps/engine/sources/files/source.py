"""Read files page by page, one after the other, ordered by path."""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from typing import Any, BinaryIO, ClassVar

import polars as pl
import pyarrow as pa

from apps.engine.contract import CheckStep, FieldInfo, StreamInfo
from apps.engine.failures import ConfigurationError, PositionGone
from apps.engine.frames.decoding import StreamSchema
from apps.engine.sources.connector import (
    ConnectorSource,
    Pagination,
    SourcePage,
    checked,
    frame_page,
    rows_page,
)
from apps.engine.sources.files.area import Area, Found, StoredArea, WebArea, unpacked
from apps.engine.sources.files.config import Config
from apps.engine.sources.files.patterns import format_of, is_address, is_pattern, stream_name
from apps.engine.sources.files.readers import (
    CsvReader,
    JsonLinesReader,
    ParquetReader,
    Piece,
    Reader,
)
from apps.engine.sources.http.answers import UnhelpfulSourceError
from apps.engine.sources.http.session import SourceSession

SAMPLE_ROWS = 1000


class FilesSource(ConnectorSource[Config]):
    Config: ClassVar[type[Config]] = Config

    _open_path: str | None = None
    _open_file: BinaryIO | None = None
    _reader: Reader | None = None

    def check(self) -> Iterator[CheckStep]:
        return checked([("find", self._check_find), ("read", self._check_read)])

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

    def get_total_records_count(self) -> int | None:
        totals = [self._reading(found).total() for found in self.files_found[:100]]
        if len(self.files_found) > 100 or None in totals:
            return None
        return sum(total or 0 for total in totals) or None

    def get(self, pagination: Pagination = None) -> SourcePage:
        self._require_stream()
        found, place = self._at(pagination or {})
        rows = min(self.settings.page_size, self.page_limit or self.settings.page_size)
        piece = self._read(found, place, rows)
        token = self._following(found, piece)
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
    def area(self) -> Area:
        if is_address(self.settings.path):
            return WebArea(self.get_session(), max_bytes=self.settings.max_download_mb << 20)
        return StoredArea(self.files)

    @cached_property
    def files_found(self) -> Sequence[Found]:
        """The files to read. Raises ConfigurationError if there are none."""
        found = self.area.find(self.settings.path)
        if not found:
            what = (
                "no uploaded file matches" if is_pattern(self.settings.path) else "no uploaded file"
            )
            raise ConfigurationError(f"{what} {self.settings.path!r}")
        return found

    def _require_stream(self) -> None:
        if self.spec.stream != self.name:
            raise ConfigurationError(
                f"there is no stream {self.spec.stream!r}; there is {self.name}"
            )

    def _at(self, token: Mapping[str, Any]) -> tuple[Found, Mapping[str, Any]]:
        """Return the file and the position in it that a token refers to."""
        if not token:
            return self.files_found[0], {}
        for found in self.files_found:
            if found.path != token["file"]:
                continue
            if token["place"] and found.mark != token["mark"]:
                raise PositionGone(
                    f"the file {found.path!r} changed while it was read; reset the stream to start from the beginning"
                )
            return found, token["place"]
        raise PositionGone(
            f"the file {token['file']!r} was removed while it was read; reset the stream to start from the beginning"
        )

    def _following(self, found: Found, piece: Piece) -> dict[str, Any]:
        if piece.following is not None:
            return {"file": found.path, "mark": found.mark, "place": piece.following}
        later = [each for each in self.files_found if each.path > found.path]
        return {"file": later[0].path, "mark": later[0].mark, "place": {}} if later else {}

    def _first_piece(self) -> Piece:
        return self._read(self.files_found[0], {}, SAMPLE_ROWS)

    def _read(self, found: Found, place: Mapping[str, Any], rows: int) -> Piece:
        try:
            return self._reading(found).read(place, rows)
        except (gzip.BadGzipFile, EOFError, zlib.error) as error:
            raise UnhelpfulSourceError(
                f"{found.path!r} is not a complete gzip file", evidence=(str(error),)
            ) from error
        except pa.ArrowInvalid as error:
            raise UnhelpfulSourceError(
                f"{found.path!r} is not readable", evidence=(str(error)[:300],)
            ) from error

    def _reading(self, found: Found) -> Reader:
        if self._reader is None or self._open_path != found.path:
            if self._open_file is not None:
                self._open_file.close()
            self._open_file = self.area.open(found)
            self._reader = self._reader_of(found, unpacked(self._open_file, self.settings.path))
            self._open_path = found.path
        return self._reader

    def _reader_of(self, found: Found, file: BinaryIO) -> Reader:
        chosen = self.settings.format
        kind = format_of(found.path) if chosen == "auto" else chosen
        if kind == "csv":
            return CsvReader(file, self._csv_options(found))
        if kind == "jsonl":
            return JsonLinesReader(file)
        if kind == "parquet":
            return ParquetReader(file)
        raise ConfigurationError(
            f"the name of {found.path!r} does not tell its format; set `format`"
        )

    def _csv_options(self, found: Found) -> Any:
        options = self.settings.csv
        if ".tsv" in found.path.lower() and "delimiter" not in options.model_fields_set:
            return options.model_copy(update={"delimiter": "\t"})
        return options

    def _check_find(self) -> str:
        files = self.files_found
        size = sum(found.size for found in files)
        return f"{len(files):,} {'file' if len(files) == 1 else 'files'}, {size:,} bytes"

    def _check_read(self) -> str:
        content = self._first_piece().content
        rows = content.height if isinstance(content, pl.DataFrame) else len(content)
        return f"{rows:,} records at the beginning of {self.files_found[0].path}"
