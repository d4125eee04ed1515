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
class Copied:
    """Whole lines, one per row; `cut` means that more would have followed."""

    body: bytes
    rows: int
    cut: bool


class _Full(Exception):
    """The size limit is reached."""


def copy_lines(cursor: Cursor, query: sql.Composed, room: int) -> Copied:
    """Return the output of a COPY, cancelled after the line that exceeds `room` bytes."""
    lines: list[Any] = []
    try:
        with cursor.copy(query) as copy:
            _collect(copy, cursor.connection.pgconn, lines, room)
    except _Full:  # psycopg cancels the rest of a query only if its block ends with an exception.
        return Copied(b"".join(lines), len(lines), cut=True)
    return Copied(b"".join(lines), len(lines), cut=False)


def _collect(copy: psycopg.Copy, connection: PGconn, lines: list[Any], room: int) -> None:
    """Fetch lines that libpq has already received by direct C calls; wait for more through psycopg."""
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
            return _finish(connection)
        lines.append(line)
        room -= size
        if room < 0:
            raise _Full


def _finish(connection: PGconn) -> None:
    """Fetch the results that end a COPY. Raises the server's error."""
    while (result := connection.get_result()) is not None:
        if result.status != ExecStatus.COMMAND_OK:
            raise error_from_result(result)
