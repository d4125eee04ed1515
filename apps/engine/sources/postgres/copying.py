"""Read the lines of a COPY from libpq with little overhead."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import psycopg
import psycopg.abc
from psycopg import sql
from psycopg.errors import error_from_result
from psycopg.pq import ExecStatus
from psycopg.pq.abc import PGconn

from apps.engine.process.progress import progress

Cursor = psycopg.Cursor[tuple[Any, ...]]


@dataclass(frozen=True, slots=True)
class CopiedLines:
    """Whole lines, one per row. `is_cut` means that the size limit was reached, so the query may have more rows."""

    body: bytes
    row_count: int
    is_cut: bool


class _SizeLimitReached(Exception):
    """The lines are longer than the size limit."""


def copy_lines(cursor: Cursor, query: sql.Composed, max_bytes: int) -> CopiedLines:
    """Return the output of a COPY, which is cancelled as soon as its lines exceed `max_bytes`."""
    lines: list[Any] = []
    try:
        with cursor.copy(query) as copy:
            _collect_lines(copy, cursor.connection.pgconn, lines, max_bytes)
    except (
        _SizeLimitReached
    ):  # psycopg cancels the rest of a query only if its block ends with an exception.
        return CopiedLines(b"".join(lines), len(lines), is_cut=True)
    return CopiedLines(b"".join(lines), len(lines), is_cut=False)


def _collect_lines(
    copy: psycopg.Copy, connection: PGconn, lines: list[Any], max_bytes: int
) -> None:
    """Append lines to `lines`.

    Lines that libpq has already received are fetched by direct C calls. psycopg waits for further lines.
    """
    line: psycopg.abc.Buffer
    while True:
        size, line = connection.get_copy_data(1)
        if size == 0:
            progress.report()
            line = copy.read()
            size = len(line)
            if size == 0:
                return None
        elif size < 0:
            return _finish_copy(connection)
        lines.append(line)
        max_bytes -= size
        if max_bytes < 0:
            raise _SizeLimitReached


def _finish_copy(connection: PGconn) -> None:
    """Fetch the results that end a COPY. Raises the server's error."""
    while (result := connection.get_result()) is not None:
        if result.status != ExecStatus.COMMAND_OK:
            raise error_from_result(result)
