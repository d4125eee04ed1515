"""A database that goes away while Drover starts: noticed, waited for, and what it broke is done again."""

import os
import subprocess
import sys
import time
from collections.abc import Callable
from urllib.parse import urlsplit

from local.errors import LocalError
from local.home import CHECKOUT
from local.terminal import say

AWAY = 75  # a program's exit code: it lost the database, and may be run again (EX_TEMPFAIL of sysexits.h)
PATIENCE = 180.0  # seconds that a server may be away
# How SQLSTATEs of connections that end begin: connection exceptions, operator intervention.
STATES = ("08", "57P")


def is_away(error: BaseException) -> bool:
    """Whether the error, or what it was raised from, is a connection that was lost or not to be had."""
    import psycopg

    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, psycopg.OperationalError | psycopg.InterfaceError):
            return cause.sqlstate is None or cause.sqlstate.startswith(STATES)
        cause = cause.__cause__
    return False


class Presence:
    """Whether the server of an administrator's address is there, and whether it was all the time.

    Each look is a program of its own: the supervisor, which asks, stays without a database driver.
    """

    def __init__(self, admin_url: str) -> None:
        self._url = admin_url
        self._started = ""  # when the server that was seen last did; empty before it was seen

    @property
    def was_seen(self) -> bool:
        return bool(self._started)

    def went_away(self) -> bool:
        """Now, or since it was seen last. False for a server that was never seen: its address may be wrong."""
        before = self._started
        return bool(before) and (not self.look() or self._started != before)

    def wait(self, rest: Callable[[], None]) -> None:
        """Until a server that was seen before answers. Raises LocalError after PATIENCE."""
        if self.look() or not self.was_seen:
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
        looked = subprocess.run(
            [sys.executable, "-m", "local.away"],
            cwd=CHECKOUT,
            env={**os.environ, "DATABASE_URL": self._url},
            stdout=subprocess.PIPE,
            text=True,
            check=False,
        )
        self._started = looked.stdout.strip() or self._started
        return looked.returncode == 0


def main() -> int:
    """Print when the server of DATABASE_URL started; AWAY if it does not answer."""
    import psycopg

    url = os.environ["DATABASE_URL"]
    maintenance = urlsplit(url)._replace(path="/postgres").geturl()
    for place in (url, maintenance):  # the database itself may have to be made yet
        try:
            with psycopg.connect(place, connect_timeout=5) as connection:
                row = connection.execute("SELECT pg_postmaster_start_time()").fetchone()
        except psycopg.Error:
            continue
        sys.stdout.write(f"{row[0] if row else ''}\n")
        return 0
    return AWAY


if __name__ == "__main__":
    sys.exit(main())
