"""A run's log: structured lines, stored in parts that are found by line number."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypedDict
from uuid import UUID

import orjson

from apps.engine.contract import LogLine
from apps.json import JsonObject
from apps.runs.models import LogPart
from apps.runs.outputs import storage

LEVELS = ("debug", "info", "warning", "error")
PART_BYTES = 64 * 1024  # bytes of content after which a part is complete
MAX_PARTS = 500  # parts read for one page; a page may have fewer lines than its limit, but never skips lines


@dataclass(frozen=True, slots=True)
class PartLocation:
    """The location of a stored part: its key, its first line, and its number of lines."""

    key: str
    first_line: int
    lines: int


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


def find_parts(*, org_id: UUID, run_id: UUID, offset: int, level: str | None) -> list[PartLocation]:
    """Return the parts that may have lines from `offset` on.

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
        rows = rows.filter(levels__has_any_keys=list(_levels_from(level)))
    return [
        PartLocation(key, first, lines)
        for key, first, lines in rows.values_list("key", "first_line", "lines")[: MAX_PARTS + 1]
    ]


def read_page(
    log_parts: Sequence[PartLocation], *, offset: int, limit: int, level: str | None, total: int
) -> LogPage:
    """Read a page of a log that has `total` lines. Uses storage only, not the database."""
    levels = frozenset(_levels_from(level)) if level else frozenset(LEVELS)
    lines: list[dict[str, Any]] = []
    for part in log_parts[:MAX_PARTS]:
        for line in _read_lines(part, offset):
            if line["level"] in levels:
                lines.append(line)
            if len(lines) == limit:
                return LogPage(lines, line["line"] + 1)
    if len(log_parts) > MAX_PARTS:
        return LogPage(lines, log_parts[MAX_PARTS].first_line)
    return LogPage(lines, total)


def _read_lines(part: PartLocation, offset: int) -> Iterator[dict[str, Any]]:
    stored_lines = storage.read(part.key).splitlines()
    # The part may have grown since its row was read, so use only the lines that the row counts.
    for number, text in enumerate(stored_lines[: part.lines], start=part.first_line):
        if number >= offset:
            line: Mapping[str, Any] = orjson.loads(text)
            yield {"line": number, **line}


def _levels_from(level: str) -> Sequence[str]:
    """Return this level and all more severe levels."""
    return LEVELS[LEVELS.index(level) :]


_ORJSON_OPTIONS = orjson.OPT_NON_STR_KEYS
