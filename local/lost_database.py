"""Handle the loss of the database while Drover starts: detect the loss, and wait until the database is back."""

import os
import subprocess
import sys
import time
from collections.abc import Callable
from urllib.parse import urlsplit

from local.errors import LocalError
from local.home import CHECKOUT
from local.terminal import say

# Exit code of a program that lost its database connection. The program may be run again (EX_TEMPFAIL of sysexits.h).
DATABASE_LOST_CODE = 75
MAX_WAIT_SECONDS = 180.0
# Prefixes of the SQLSTATEs of lost connections: connection exceptions and operator intervention.
LOST_SQLSTATES = ("08", "57P")


def is_database_lost(error: BaseException) -> bool:
    """Whether the error or one of its causes is a failed or lost database connection."""
    import psycopg

    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, psycopg.OperationalError | psycopg.InterfaceError):
            return cause.sqlstate is None or cause.sqlstate.startswith(LOST_SQLSTATES)
        cause = cause.__cause__
    return False


class DatabaseMonitor:
    """Checks whether a database server responds, and whether it was restarted.

    Each check runs in a separate process, so that the supervisor does not have to import a database driver.
    """

    def __init__(self, admin_url: str) -> None:
        self._url = admin_url
        self._server_start_time = ""  # at the last successful check; empty before

    @property
    def was_seen(self) -> bool:
        return bool(self._server_start_time)

    def was_lost(self) -> bool:
        """Whether the server does not respond now, or was restarted since the last check.

        Returns False if the server has never responded, because its URL may be wrong.
        """
        before = self._server_start_time
        return bool(before) and (not self.check() or self._server_start_time != before)

    def wait(self, pause: Callable[[], None]) -> None:
        """Wait until the server responds, if it has responded before. Calls `pause` between two checks.

        Raises LocalError after MAX_WAIT_SECONDS.
        """
        if self.check() or not self.was_seen:
            return
        say("  The database is not available; waiting for it ...")
        deadline = time.monotonic() + MAX_WAIT_SECONDS
        while not self.check():
            if time.monotonic() > deadline:
                raise LocalError(
                    f"The database was not available for {MAX_WAIT_SECONDS:.0f} s: make sure that it is running, "
                    "then start Drover again. Completed steps are not repeated."
                )
            pause()
        say("  The database is available again.")

    def check(self) -> bool:
        """Return whether the server responds now."""
        result = subprocess.run(
            [sys.executable, "-m", "local.lost_database"],
            cwd=CHECKOUT,
            env={**os.environ, "DATABASE_URL": self._url},
            stdout=subprocess.PIPE,
            text=True,
            check=False,
        )
        self._server_start_time = result.stdout.strip() or self._server_start_time
        return result.returncode == 0


def main() -> int:
    """Print the start time of the server of DATABASE_URL. Returns DATABASE_LOST_CODE if the server does not respond."""
    import psycopg

    url = os.environ["DATABASE_URL"]
    maintenance_url = urlsplit(url)._replace(path="/postgres").geturl()
    for address in (url, maintenance_url):  # The database in `url` may not exist yet.
        try:
            with psycopg.connect(address, connect_timeout=5) as connection:
                row = connection.execute("SELECT pg_postmaster_start_time()").fetchone()
        except psycopg.Error:
            continue
        sys.stdout.write(f"{row[0] if row else ''}\n")
        return 0
    return DATABASE_LOST_CODE


if __name__ == "__main__":
    sys.exit(main())
