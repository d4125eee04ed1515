"""Handle a database that disappears while Drover starts: detect it, wait for it, and repeat the failed step."""

import os
import subprocess
import sys
import time
from collections.abc import Callable
from urllib.parse import urlsplit

from local.errors import LocalError
from local.home import CHECKOUT
from local.terminal import say

DATABASE_LOST = 75  # exit code of a program that lost the database and may be run again (EX_TEMPFAIL of sysexits.h)
PATIENCE = 180.0  # seconds to wait for the server
# Prefixes of SQLSTATEs of broken connections: connection exceptions, operator intervention.
STATES = ("08", "57P")


def is_lost(error: BaseException) -> bool:
    """Whether the error, or one of its causes, is a lost or impossible connection."""
    import psycopg

    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, psycopg.OperationalError | psycopg.InterfaceError):
            return cause.sqlstate is None or cause.sqlstate.startswith(STATES)
        cause = cause.__cause__
    return False


class Presence:
    """Checks whether the server of an administrator's URL is running, and whether it was restarted.

    Each check runs in a separate process, so that the supervisor needs no database driver.
    """

    def __init__(self, admin_url: str) -> None:
        self._url = admin_url
        self._started = ""  # when the server that was last seen started; empty before

    @property
    def was_seen(self) -> bool:
        return bool(self._started)

    def was_lost(self) -> bool:
        """Whether it is away now, or was restarted since the last check.

        False for a server that was never seen, because its URL may be wrong.
        """
        before = self._started
        return bool(before) and (not self.look() or self._started != before)

    def wait(self, rest: Callable[[], None]) -> None:
        """Wait until a server that was seen before responds. Raises LocalError after PATIENCE."""
        if self.look() or not self.was_seen:
            return
        say("  The database is not available; waiting for it ...")
        deadline = time.monotonic() + PATIENCE
        while not self.look():
            if time.monotonic() > deadline:
                raise LocalError(
                    f"The database was not available for {PATIENCE:.0f} s: make sure it is running, then "
                    "start again; completed steps are kept."
                )
            rest()
        say("  The database is available again.")

    def look(self) -> bool:
        """Check now whether it responds."""
        looked = subprocess.run(
            [sys.executable, "-m", "local.lost_database"],
            cwd=CHECKOUT,
            env={**os.environ, "DATABASE_URL": self._url},
            stdout=subprocess.PIPE,
            text=True,
            check=False,
        )
        self._started = looked.stdout.strip() or self._started
        return looked.returncode == 0


def main() -> int:
    """Print when the server of DATABASE_URL was started; DATABASE_LOST if it does not respond."""
    import psycopg

    url = os.environ["DATABASE_URL"]
    maintenance = urlsplit(url)._replace(path="/postgres").geturl()
    for place in (url, maintenance):  # The database itself may not exist yet.
        try:
            with psycopg.connect(place, connect_timeout=5) as connection:
                row = connection.execute("SELECT pg_postmaster_start_time()").fetchone()
        except psycopg.Error:
            continue
        sys.stdout.write(f"{row[0] if row else ''}\n")
        return 0
    return DATABASE_LOST


if __name__ == "__main__":
    sys.exit(main())
