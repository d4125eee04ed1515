"""Tell orgs by web processes that no worker starts their runs, and deliver their other alerts meanwhile.

Nobody is told until operators were told, so a restart of the workers does not alarm orgs. Many web processes do this at the same
time. As with many workers, an alert opens once, and a message is claimed before it is sent.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable

from apps.alerts.deciding import by_subject
from apps.alerts.models import InstallationProblem
from apps.alerts.sending import delivering

MAX_SECONDS = 60.0  # after which the process looks after the installation again


def tell_without_workers(is_stopping: Callable[[], bool]) -> int:
    """Open the alerts about missing workers, and deliver what is due. Return for how many channels."""
    workers = InstallationProblem.objects.filter(part="workers", ended_at=None)
    if not workers.filter(told_at__isnull=False).exists():
        return 0
    by_subject.tick()
    channels = delivering.channels_due()
    random.shuffle(channels)  # So that web processes do not all wait for the same channel.
    ends_at, count = time.monotonic() + MAX_SECONDS, 0
    for org_id, channel_id in channels:
        if is_stopping() or time.monotonic() > ends_at:
            break
        delivering.deliver(org_id=org_id, channel_id=channel_id)
        count += 1
    return count
