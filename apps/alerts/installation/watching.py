"""The thread of each web process that looks after the installation, and tells orgs what workers cannot tell."""

from __future__ import annotations

import random
import threading
import time

import structlog
from django.conf import settings
from django.db import DatabaseError, connection

from apps.alerts.installation import sending
from apps.alerts.installation.for_orgs import tell_without_workers
from apps.alerts.installation.looking import look
from apps.alerts.installation.observing import observe
from apps.background.database_errors import first_line

logger = structlog.get_logger(__name__)

MAIL_EVERY = 600.0  # seconds between two log-ins at the mail server
STOP_WAIT = 5.0  # seconds


class Watcher:
    """Looks every quarter of OPERATOR_PATIENCE, and sends what is due to operators, and without workers to orgs."""

    def __init__(self) -> None:
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="installation", daemon=True)
        self._mail_at = 0.0

    def start_in_web_process(self) -> None:
        """Start the thread, but not in a test, which uses the application in its own process."""
        if settings.PROCESS == "web":
            self._thread.start()

    def close(self) -> None:
        """Stop. A message that is being sent now is sent again by another process if it does not end soon."""
        self._stop.set()
        if self._thread.is_alive():
            self._thread.join(STOP_WAIT)

    def _run(self) -> None:
        every = settings.OPERATOR_PATIENCE / 4
        # The processes do not all look at the same time.
        while not self._stop.wait(every * random.uniform(0.75, 1.25)):  # noqa: S311 - spreads load
            try:
                self._look_once()
            except DatabaseError as error:
                logger.warning("could not look after the installation", error=first_line(error))
            except Exception:  # The outermost edge of the thread: it looks again.
                logger.exception("could not look after the installation")

    def _look_once(self) -> None:
        with_mail = time.monotonic() >= self._mail_at
        if with_mail:
            self._mail_at = time.monotonic() + MAIL_EVERY
        try:
            observe(look(with_mail=with_mail))
            sending.send_due()
            tell_without_workers(self._stop.is_set)
        finally:
            connection.close()  # The thread keeps no connection of the pool.
