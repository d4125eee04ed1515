"""A database that goes away while Drover starts: noticed, waited for, and what it broke is done again."""

import contextlib
import time
from collections.abc import Callable
from datetime import datetime
from urllib.parse import urlsplit

import psycopg

from local.errors import LocalError
from local.terminal import say

AWAY = 75  # a program's exit code: it lost the database, and may be run again (EX_TEMPFAIL of sysexits.h)
PATIENCE = 180.0  # seconds that a server may be away
STATES = (
    "08",
    "57P",
)  # SQLSTATEs of connections that end: connection exceptions, operator intervention


def is_away(error: BaseException) -> bool:
    """Whether the error, or what it was raised from, is a connection that was lost or not to be had."""
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, psycopg.OperationalError | psycopg.InterfaceError):
            return cause.sqlstate is None or cause.sqlstate.startswith(STATES)
        cause = cause.__cause__
    return False


class Presence:
    """Whether the server of an administrator's address is there, and whether it was all the time."""

    def __init__(self, admin_url: str) -> None:
        self._url = admin_url
        self._started: datetime | None = None  # of the server that was seen last

    def went_away(self) -> bool:
        """Now, or since it was seen last. False for a server that was never seen: its address may be wrong."""
        before = self._started
        return before is not None and (not self.look() or self._started != before)

    def wait(self, rest: Callable[[], None]) -> None:
        """Until a server that was seen before answers. Raises LocalError after PATIENCE."""
        if self.look() or self._started is None:
            return
        say("  The database is away; waiting for it ...")
        deadline = time.monotonic() + PATIENCE
        while not self.look():
            if time.monotonic() > deadline:
                raise LocalError(
                    f"The database has not come back for {PATIENCE:.0f} s: see that it runs, then "
                    "start again; what was done is kept."
                )
            rest()
        say("  The database is back.")

    def look(self) -> bool:
        """Whether it answers now."""
        maintenance = urlsplit(self._url)._replace(path="/postgres").geturl()
        for url in (self._url, maintenance):  # the database itself may have to be made yet
            with contextlib.suppress(psycopg.Error):
                self._started = _started(url)
                return True
        return False


def _started(url: str) -> datetime:
    with psycopg.connect(url, connect_timeout=5) as connection:
        row = connection.execute("SELECT pg_postmaster_start_time()").fetchone()
    assert row is not None  # noqa: S101 - a SELECT without FROM has one row
    started: datetime = row[0]
    return started
