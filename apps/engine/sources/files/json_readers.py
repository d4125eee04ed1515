"""Read JSON Lines and JSON documents, a limited number of records at a time."""

from __future__ import annotations

import codecs
import json
import re
from collections.abc import Callable
from typing import Any, BinaryIO

from apps.engine.failures import ConfigurationError
from apps.engine.frames import json_values
from apps.engine.frames.json_numbers import (
    EXACT_DECODER,
    UNIQUE_DECODER,
    RepeatedName,
    have_inexact_numbers,
    may_have_repeated_names,
    parse_json,
    require_unique_names,
)
from apps.engine.sources.files.readers import (
    MAX_PIECE_BYTES,
    MAX_RECORD_BYTES,
    MIN_PIECE_BYTES,
    NOT_UTF8,
    BadRecord,
    Piece,
    Position,
    piece_bytes,
    read_fully,
    shown_text,
)
from apps.engine.sources.http.responses import PermanentSourceError

WHITESPACE = re.compile(r"[ \t\r\n]*")
EXCERPT = 100  # characters of a document around an error


class JsonLinesReader:
    """Reads JSON Lines by byte ranges that end where a line ends."""

    def __init__(self, file: BinaryIO, label: str, start: int = 0) -> None:
        self._file = file
        self._label = label
        self._start = start
        file.seek(start)
        beginning = read_fully(file, MIN_PIECE_BYTES)
        self._line_end = b"\r" if b"\n" not in beginning and b"\r" in beginning else b"\n"

    def read(self, position: Position, page_size: int) -> Piece:
        offset = int(position.get("offset", self._start))
        line = int(position.get("line", 1))
        data, is_last = self._read_lines(offset, line, piece_bytes(page_size))
        json_values.require_few_values(data)
        texts = data.split(self._line_end)
        records, bad_records = self._parse_lines(texts, line)
        if may_have_repeated_names(data, records):
            records, bad_records = self._parse_lines(texts, line, require_unique_names)
        next_position = {"offset": offset + len(data), "line": line + data.count(self._line_end)}
        return Piece(records, None if is_last else next_position, bad_records)

    def row_count(self) -> int | None:
        return None

    def describe(self) -> str:
        return "JSON Lines"

    def _parse_lines(
        self, texts: list[bytes], line: int, check: Callable[[bytes], None] | None = None
    ) -> tuple[list[Any], list[BadRecord]]:
        records: list[Any] = []
        bad_records: list[BadRecord] = []
        exactness = have_inexact_numbers(texts)
        for number, (text, exactly) in enumerate(zip(texts, exactness, strict=True), start=line):
            try:
                if text.strip():
                    record = parse_json(text, exactly=exactly)
                    if check is not None:
                        check(text)
                    records.append(record)
            except (ValueError, RecursionError) as error:
                bad_records.append(self._bad_record(error, text, number))
        return records, bad_records

    def _bad_record(self, error: Exception, text: bytes, line: int) -> BadRecord:
        column, reason = _place_and_reason(error, text)
        return BadRecord(
            f"{self._label}, line {line:,}, character {column:,}", reason, shown_text(text)
        )

    def _read_lines(self, offset: int, line: int, size: int) -> tuple[bytes, bool]:
        """Return whole lines from the offset, and whether the file ends after them."""
        self._file.seek(offset)
        data = b""
        while len(data) < MAX_RECORD_BYTES:
            wanted = max(size, len(data))
            new_data = read_fully(self._file, wanted)
            data += new_data
            if len(new_data) < wanted:
                return data, True
            if end := data.rfind(self._line_end) + 1:
                return data[:end], False
        raise PermanentSourceError(
            f"{self._label}: line {line:,} is longer than {MAX_RECORD_BYTES >> 20} MB"
        )


def _place_and_reason(error: Exception, text: bytes) -> tuple[int, str]:
    """Return the column of the character where a line is not JSON, and what is wrong."""
    if isinstance(error, json.JSONDecodeError):
        return error.colno, f"this is not JSON: {error.msg}"
    if isinstance(error, UnicodeDecodeError):
        return len(text[: error.start].decode("utf-8", "replace")) + 1, NOT_UTF8
    return 1, "the record is nested too deeply" if isinstance(error, RecursionError) else str(error)


def _paths_of_lists(value: Any, prefix: str = "", depth: int = 3) -> list[str]:
    """Return the paths of the lists of objects in an object, at most three."""
    if not isinstance(value, dict) or depth == 0:
        return []
    paths: list[str] = []
    for name, inner in value.items():
        if isinstance(inner, list) and inner and isinstance(inner[0], dict):
            paths.append(f"{prefix}{name}")
        paths += _paths_of_lists(inner, f"{prefix}{name}.", depth - 1)
    return paths[:3]


class JsonReader:
    """Reads a JSON document: the records of a list, or one object. Several documents may follow each other.

    The position is before a record of a list: how many objects around the list are open, and how many names of the
    path have led to it, are the same number.
    """

    def __init__(self, file: BinaryIO, label: str, path: str | None, start: int = 0) -> None:
        self._file = file
        self._label = label
        self._path = path.split(".") if path else []
        self._start = start
        self._lists: list[str] = []  # the paths of lists of objects in an object that is one record

    def read(self, position: Position, page_size: int) -> Piece:
        text = _Window(self._file, self._label, position or {"offset": self._start, "line": 1})
        is_in_list = bool(position.get("in_list"))
        records: list[Any] = []
        limit = piece_bytes(page_size)
        while True:
            if not is_in_list and not text.peek():
                return Piece(records, None, text.bad_records)
            is_in_list = is_in_list or self._enter(text, records)
            if is_in_list:
                is_in_list = not self._read_list(text, records, page_size, limit)
            if is_in_list or len(records) >= page_size:
                return Piece(records, {**text.position(), "in_list": is_in_list}, text.bad_records)

    def row_count(self) -> int | None:
        return None

    def describe(self) -> str:
        if self._path:
            return f"JSON, records at {'.'.join(self._path)}"
        if self._lists:
            return f"JSON, each object is one record; to read a list in it, set `json.records` to {' or '.join(self._lists)}"
        return "JSON"

    def _enter(self, text: _Window, records: list[Any]) -> bool:
        """Go to the list of records of the next document, and return whether there is one."""
        for depth, name in enumerate(self._path):
            if not self._find_member(text, name):
                path = ".".join(self._path[: depth + 1])
                raise ConfigurationError(
                    f"{self._label}: there is no {path!r} in the document (`json.records`)"
                )
        if text.peek() == "[":
            text.take("[")
            return True
        count = len(records)
        text.add_record(records)
        if len(records) > count and not self._path and not self._lists:
            self._lists = _paths_of_lists(records[-1])
        if len(records) > count and self._path and records[-1] is None:
            records.pop()
        self._leave(text)
        return False

    def _find_member(self, text: _Window, name: str) -> bool:
        """Go to the value of a member of the object that follows. Return whether there is one."""
        if text.peek() != "{":
            return False
        text.take("{")
        while text.peek() == '"':
            is_found = text.value() == name
            text.take(":")
            if is_found:
                return True
            text.value()
            if text.peek() == ",":
                text.take(",")
        return False

    def _read_list(self, text: _Window, records: list[Any], page_size: int, limit: int) -> bool:
        """Read records of the list, and return whether it has ended."""
        while text.peek() != "]":
            text.add_record(records)
            if text.peek() == ",":
                text.take(",")
                if text.peek() == "]":
                    raise text.error("a value must follow the comma")
            elif text.peek() != "]":
                raise text.error("a comma or the end of the list must follow")
            if len(records) >= page_size or text.consumed > limit:
                return False
        text.take("]")
        self._leave(text)
        return True

    def _leave(self, text: _Window) -> None:
        """Read the end of the objects around the list, so that an incomplete document is found."""
        for list_name in reversed(self._path):
            while text.peek() == ",":
                text.take(",")
                if text.value() == list_name:
                    raise text.error(f"an object has the name {list_name!r} twice")
                text.take(":")
                text.value()
            text.take("}")


class _Window:
    """The text of a document from a position. It is read as far as it is needed."""

    def __init__(self, file: BinaryIO, label: str, position: Position) -> None:
        self._file = file
        self._label = label
        self._offset = int(position["offset"])  # in bytes
        self._line = int(position["line"])
        self._decoder = codecs.getincrementaldecoder("utf-8")()
        self._text = ""
        self._index = 0
        self.bad_records: list[BadRecord] = []
        self._at_end = False
        file.seek(self._offset)

    @property
    def consumed(self) -> int:
        """The number of characters before the index, which is not more than the number of bytes."""
        return self._index

    def position(self) -> dict[str, int]:
        """Return the position of the next value."""
        before = self._text[: self._index]
        return {
            "offset": self._offset + len(before.encode()),
            "line": self._line + before.count("\n"),
        }

    def peek(self) -> str:
        """Return the next character that is not white space, or an empty text at the end."""
        while True:
            match = WHITESPACE.match(self._text, self._index)
            self._index = match.end() if match else self._index
            if self._index < len(self._text) or not self._read_more():
                return self._text[self._index : self._index + 1]

    def take(self, character: str) -> None:
        if self.peek() != character:
            raise self.error(f"{character} must follow")
        self._index += 1

    def add_record(self, records: list[Any]) -> None:
        """Parse the value that begins here and add it to the records, unless an object in it has a name twice."""
        begin = self._index
        try:
            records.append(self.value(UNIQUE_DECODER))
        except RepeatedName as error:
            self._index = begin
            self.value()
            line, column = self._place(begin)
            place = f"{self._label}, line {line:,}, character {column:,}"
            shown = shown_text(self._text[begin : self._index].encode())
            self.bad_records.append(BadRecord(place, str(error), shown))

    def value(self, decoder: json.JSONDecoder = EXACT_DECODER) -> Any:
        """Parse the next value."""
        self.peek()
        while True:
            try:
                value, end = decoder.raw_decode(self._text, self._index)
            except json.JSONDecodeError as error:
                if not self._read_more():
                    raise self.error(error.msg, error.pos) from error
                continue
            except RecursionError as error:
                raise self.error("a value is nested too deeply") from error
            if end < len(self._text) or not self._read_more():
                self._index = end
                return value

    def error(self, reason: str, index: int | None = None) -> PermanentSourceError:
        index = self._index if index is None else index
        if self._at_end and index >= len(self._text):
            reason = f"the document ends here: {reason}"
        line, column = self._place(index)
        start = max(index + 1 - column, index - EXCERPT // 2)
        shown = self._text[start : index + EXCERPT // 2].partition("\n")[0]
        return PermanentSourceError(
            f"{self._label} is not JSON: line {line:,}, character {column:,}: {reason}",
            evidence=(shown,) if shown else (),
        )

    def _place(self, index: int) -> tuple[int, int]:
        """Return the line and the character in it."""
        line = self._line + self._text.count("\n", 0, index)
        return line, index - self._text.rfind("\n", 0, index)

    def _read_more(self) -> bool:
        """Add text and return whether there was any."""
        if self._at_end:
            return False
        if len(self._text) - self._index > MAX_RECORD_BYTES:
            raise self.error(f"a value is longer than {MAX_RECORD_BYTES >> 20} MB")
        size = max(MAX_PIECE_BYTES // 8, len(self._text) - self._index)
        data = read_fully(self._file, size)
        self._at_end = len(data) < size
        try:
            new_text = self._decoder.decode(data, final=self._at_end)
        except UnicodeDecodeError as error:
            self._text += error.object[: error.start].decode("utf-8", "replace")
            raise self.error(NOT_UTF8, len(self._text)) from error
        self._text += new_text
        if len(self._text) - self._index > MAX_PIECE_BYTES:
            json_values.require_few_values(self._text[self._index :].encode("utf-8", "replace"))
        return bool(new_text) or not self._at_end


def is_document(beginning: bytes) -> bool:
    """Whether a text with an unknown name begins like JSON."""
    return beginning.lstrip(b"\xef\xbb\xbf \t\r\n")[:1] in (b"{", b"[")


def begins_with_object(file: BinaryIO) -> bool:
    """Whether the first line of a text is a JSON object, so that it is not the header of a CSV file."""
    file.seek(0)
    beginning = read_fully(file, MAX_PIECE_BYTES).removeprefix(codecs.BOM_UTF8).lstrip()
    line = beginning.partition(b"\n")[0]
    try:
        return line.startswith(b"{") and isinstance(parse_json(line), dict)
    except (ValueError, RecursionError):
        return False
