"""A run's log: structured lines in parts in storage, found by line number."""

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
MAX_PARTS = 500  # bytes read for one page; a page may have fewer lines than its limit, but never skips lines


@dataclass(frozen=True, slots=True)
class Part:
    """A part of the log as the reader needs it."""

    key: str
    first_line: int
    lines: int


@dataclass(frozen=True, slots=True)
class LogPage:
    """Lines from `offset` on. `next_offset` is the offset of the next page."""

    lines: list[dict[str, Any]]
    next_offset: int


def encode(lines: Sequence[LogLine]) -> bytes:
    """Encode as JSON lines."""
    return b"".join(orjson.dumps(shown(line), option=_PLAIN) + b"\n" for line in lines)


class ShownLine(TypedDict):
    """A line as storage and streams hold it."""

    at: str
    level: str
    message: str
    fields: JsonObject


def shown(line: LogLine) -> ShownLine:
    return {
        "at": line.at,
        "level": line.level,
        "message": line.message,
        "fields": dict(line.fields),
    }


@dataclass(frozen=True, slots=True)
class Draft:
    """The part that is being written. It is stored again with each addition until it has PART_BYTES.

    So storage is never more than a second behind, and the log does not consist of thousands of small objects
    that a reader would have to fetch one by one.
    """

    first_line: int
    content: bytes = b""
    levels: tuple[str, ...] = ()  # level of each line

    @property
    def lines(self) -> int:
        return len(self.levels)

    @property
    def full(self) -> bool:
        return len(self.content) >= PART_BYTES

    def plus(self, lines: Sequence[LogLine]) -> Draft:
        levels = (*self.levels, *(line.level for line in lines))
        return Draft(self.first_line, self.content + encode(lines), levels)


def store(draft: Draft, *, org_id: UUID, run_id: UUID, attempt: int) -> LogPart:
    """Write the part to storage. Returns its unsaved row, which is saved in the lease's transaction."""
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
    """Add the part's row, or update its length."""
    LogPart.unscoped.bulk_create(
        [part],
        update_conflicts=True,
        unique_fields=["org", "run", "first_line"],
        update_fields=["lines", "bytes", "key", "levels"],
    )


def parts(*, org_id: UUID, run_id: UUID, offset: int, level: str | None) -> list[Part]:
    """Return the parts that may have lines from `offset` on; with a level, only parts with such lines."""
    found = LogPart.objects.for_org(org_id).filter(run_id=run_id)
    start = (
        found.filter(first_line__lte=offset)
        .order_by("-first_line")
        .values_list("first_line", flat=True)
        .first()
    )
    rows = found.filter(first_line__gte=start or 0).order_by("first_line")
    if level:
        rows = rows.filter(levels__has_any_keys=list(_from(level)))
    return [
        Part(key, first, lines)
        for key, first, lines in rows.values_list("key", "first_line", "lines")[: MAX_PARTS + 1]
    ]


def page(
    found: Sequence[Part], *, offset: int, limit: int, level: str | None, total: int
) -> LogPage:
    """Read the lines. Accesses storage, not the database."""
    wanted = frozenset(_from(level)) if level else frozenset(LEVELS)
    lines: list[dict[str, Any]] = []
    for part in found[:MAX_PARTS]:
        for line in _lines_of(part, offset):
            if line["level"] in wanted:
                lines.append(line)
            if len(lines) == limit:
                return LogPage(lines, line["line"] + 1)
    if len(found) > MAX_PARTS:
        return LogPage(lines, found[MAX_PARTS].first_line)
    return LogPage(lines, total)


def _lines_of(part: Part, offset: int) -> Iterator[dict[str, Any]]:
    rows = storage.read(part.key).splitlines()[
        : part.lines
    ]  # The part may have grown since its row was read.
    for number, raw in enumerate(rows, start=part.first_line):
        if number >= offset:
            line: Mapping[str, Any] = orjson.loads(raw)
            yield {"line": number, **line}


def _from(level: str) -> Sequence[str]:
    """Return this level and all more severe ones."""
    return LEVELS[LEVELS.index(level) :]


_PLAIN = orjson.OPT_NON_STR_KEYS
