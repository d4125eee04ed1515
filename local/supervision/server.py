"""Restart the PostgreSQL server of an installation when it dies, also if it dies during its start."""

import time
from dataclasses import dataclass, field

from local.database.postgres import EmbeddedPostgres
from local.errors import ServerFailed
from local.supervision.children import restart_delay
from local.terminal import complain, say


@dataclass
class WatchedServer:
    """Watches a server, and restarts it when it has stopped."""

    postgres: EmbeddedPostgres
    _failures: int = field(default=0, repr=False)  # failed starts since the last success
    _next_start: float = field(default=0.0, repr=False)

    @property
    def pid(self) -> int | None:
        """The process id of the running server."""
        process = self.postgres.process
        return process.pid if process is not None else None

    def watch(self) -> None:
        """Restart the server if it has stopped. If the start fails, try again after a pause."""
        process = self.postgres.process
        if process is not None:
            if process.poll() is None:
                return
            complain("PostgreSQL stopped and will be restarted")
            self.postgres.process = None
        elif time.monotonic() < self._next_start:
            return
        self._start()

    def stop(self, seconds: float) -> None:
        self.postgres.stop(seconds)

    def _start(self) -> None:
        try:
            self.postgres.start()
        except ServerFailed as failure:
            self._failures += 1
            delay = restart_delay(self._failures)
            self._next_start = time.monotonic() + delay
            complain(f"{failure} The next try is in {delay:g} s.")
        else:
            self._failures = 0
            say("PostgreSQL was restarted")
