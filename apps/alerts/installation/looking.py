"""What a web process checks: the queue of the whole installation, and the storage, the disk and the mail server as seen from
its machine.
"""

from __future__ import annotations

import socket
from collections.abc import Iterable, Iterator

from apps.alerts.installation.observing import Observation
from apps.background import health
from apps.background.health import Finding


def look(*, with_mail: bool) -> Iterator[Observation]:
    """Run the checks. Raises DatabaseError if the database does not respond."""
    yield from _observations("", health.check_queue())
    here = socket.gethostname()
    yield from _observations(here, (health.check_storage(), health.check_disk_space()))
    if with_mail:
        yield from _observations(here, (health.check_mail(),))


def _observations(place: str, findings: Iterable[Finding]) -> Iterator[Observation]:
    return (Observation(place, finding) for finding in findings)
