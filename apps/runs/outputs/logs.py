"""A run's log: structured lines, stored in parts that are found by line number."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field
from typing import Any, TypedDict
from uuid import UUID

import orjson

from apps.engine.contract import LogLine
from apps.json import JsonObject
from apps.runs.models import LogPart
from apps.runs.outputs import storage
from apps.runs.outputs.log_search import LineFilter, SearchTime, format_fields

PART_BYTES = 64 * 1024  # bytes of content after which a part is complete
MAX_PARTS = 500  # parts read for one page; a page may have fewer lines than its limit, but never skips lines
MAX_COUNTED_PARTS = 5000  # parts whose lines are counted for one answer


@dataclass(frozen=True, slots=True)
class PartLocation:
    """The location of a stored part: its key, its first line, and its number of lines."""

    key: str
    first_line: int
    lines: int
    levels: Mapping[str, int] = field(default_factory=dict)  # number of lines of each level

    @property
    def end(self) -> int:
        return self.first_line + self.lines


@dataclass(frozen=True, slots=True)
class MatchingPart:
    """A part that has lines for a filter: its first line, its number of lines, and how many of them match."""

    first_line: int
    lines: int
    matches: int


@dataclass(frozen=True, slots=True)
class MatchingParts:
    """The parts that have matching lines, and the number of the line before which all lines were searched."""

    parts: list[MatchingPart]
    next_offset: int


@dataclass(frozen=True, slots=True)
class LogPage:
    """A page of lines. `next_offset` is the number of the first line of the next page."""

    lines: list[dict[str, Any]]
    next_offset: int


def encode(lines: Sequence[LogLine]) -> bytes:
    """Encode log lines as JSON lines."""
    return b"".join(
        orjson.dumps(render_line(line), option=_ORJSON_OPTIONS) + b"\n" for line in lines
    )


class RenderedLine(TypedDict):
    """A line as it is stored and sent to clients."""

    at: str
    level: str
    message: str
    fields: JsonObject


def render_line(line: LogLine) -> RenderedLine:
    return {
        "at": line.at,
        "level": line.level,
        "message": line.message,
        "fields": dict(line.fields),
    }


def is_by_code(fields: JsonObject) -> bool:
    """Whether the line with these fields was written by code of the organization, or printed by a process.

    Older releases have marked printed lines with the stream `output`, which is the name of a stream now.
    """
    return "by" in fields or fields.get("stream") == "output"


@dataclass(frozen=True, slots=True)
class Draft:
    """The newest part of a log. It is stored again with each addition until it has PART_BYTES.

    So storage gets every line soon, and a log does not become thousands of small objects.
    """

    first_line: int
    content: bytes = b""
    levels: tuple[str, ...] = ()  # level of each line

    @property
    def lines(self) -> int:
        return len(self.levels)

    @property
    def is_full(self) -> bool:
        return len(self.content) >= PART_BYTES

    def with_lines(self, lines: Sequence[LogLine]) -> Draft:
        levels = (*self.levels, *(line.level for line in lines))
        return Draft(self.first_line, self.content + encode(lines), levels)


def store(draft: Draft, *, org_id: UUID, run_id: UUID, attempt: int) -> LogPart:
    """Write the part to storage. Returns its row, which the caller saves in the transaction that checks the lease."""
    key = storage.log_key(org_id, run_id, attempt, draft.first_line)
    storage.write(key, draft.content)
    return LogPart(
        org_id=org_id,
        run_id=run_id,
        first_line=draft.first_line,
        lines=draft.lines,
        bytes=len(draft.content),
        key=key,
        levels=dict(Counter(draft.levels)),
    )


def save(part: LogPart) -> None:
    """Add the part's row, or update it if the part was saved before."""
    LogPart.unscoped.bulk_create(
        [part],
        update_conflicts=True,
        unique_fields=["org", "run", "first_line"],
        update_fields=["lines", "bytes", "key", "levels"],
    )


def find_parts(
    *, org_id: UUID, run_id: UUID, offset: int, level: str | None, limit: int | None = MAX_PARTS
) -> list[PartLocation]:
    """Return the parts that may have lines from `offset` on, and one more part than `limit` if there are more.

    With a level, parts without lines of that level or a more severe level are left out.
    """
    log_parts = LogPart.objects.for_org(org_id).filter(run_id=run_id)
    start = (
        log_parts.filter(first_line__lte=offset)
        .order_by("-first_line")
        .values_list("first_line", flat=True)
        .first()
    )
    rows = log_parts.filter(first_line__gte=start or 0).order_by("first_line")
    if level:
        rows = rows.filter(levels__has_any_keys=list(LineFilter(level).levels))
    columns = rows.values_list("key", "first_line", "lines", "levels")
    return [PartLocation(*row) for row in columns[: None if limit is None else limit + 1]]


def read_page(
    log_parts: Sequence[PartLocation],
    *,
    offset: int,
    limit: int,
    level: str | None,
    total: int,
    text: str = "",
) -> LogPage:
    """Read a page of a log that has `total` lines. Uses storage only, not the database.

    A search for a text ends after some seconds. The page then has the lines that were found so far.
    """
    line_filter = LineFilter(level, text)
    lines: list[dict[str, Any]] = []
    with SearchTime() if text else nullcontext() as search_time:
        for number, part in enumerate(log_parts):
            if number and (number == MAX_PARTS or (search_time and search_time.is_over)):
                return LogPage(lines, part.first_line)
            for line in _read_lines(part, offset, line_filter):
                lines.append(line)
                if len(lines) == limit:
                    return LogPage(lines, line["line"] + 1)
    return LogPage(lines, total)


def count_matches(
    log_parts: Sequence[PartLocation], *, level: str | None, text: str, total: int
) -> MatchingParts:
    """Count the matching lines of each part of a log that has `total` lines.

    Without a text it reads nothing, because the rows of the parts have the counts. A search for a text ends after
    some seconds.
    """
    line_filter = LineFilter(level, text)
    found: list[MatchingPart] = []
    with SearchTime() if text else nullcontext() as search_time:
        for number, part in enumerate(log_parts):
            if number and (number == MAX_COUNTED_PARTS or (search_time and search_time.is_over)):
                return MatchingParts(found, part.first_line)
            matches = _count_matches(part, line_filter, text)
            if matches:
                found.append(MatchingPart(part.first_line, part.lines, matches))
    return MatchingParts(found, max([total, *(part.end for part in log_parts[-1:])]))


def _count_matches(part: PartLocation, line_filter: LineFilter, text: str) -> int:
    if text:
        return sum(1 for _ in _read_lines(part, 0, line_filter))
    return sum(part.levels.get(name, 0) for name in line_filter.levels)


def as_text(log_parts: Sequence[PartLocation]) -> Iterator[str]:
    """Yield all lines as text, part by part, for a download. Ends early if the log is removed meanwhile."""
    for part in log_parts:
        try:
            content = storage.read(part.key)
        except FileNotFoundError:
            return
        lines = map(orjson.loads, content.splitlines()[: part.lines])
        yield "".join(map(_text_of, lines))


def _text_of(line: Mapping[str, Any]) -> str:
    """Return the line as text. Line breaks in it are indented, so that code cannot write lines that look like others."""
    text = f"{line['at']} {line['level']:<7} {line['message'].rstrip()}"
    if line["fields"]:
        text = f"{text} {format_fields(line['fields'])}"
    return "\n    ".join(text.splitlines()) + "\n"


def _read_lines(
    part: PartLocation, offset: int, line_filter: LineFilter
) -> Iterator[dict[str, Any]]:
    """Yield the lines from `offset` on that match."""
    content = storage.read(part.key)
    stored_lines = content.splitlines()
    # The part may have grown since its row was read, so use only the lines that the row counts.
    for index in line_filter.candidates(content, end=part.lines):
        number = part.first_line + index
        if number >= offset:
            line: Mapping[str, Any] = orjson.loads(stored_lines[index])
            if line_filter.matches(line):
                yield {"line": number, **line}


_ORJSON_OPTIONS = orjson.OPT_NON_STR_KEYS
