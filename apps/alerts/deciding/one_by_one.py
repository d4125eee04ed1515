"""Watch many things, so that a fault of one does not keep the others from being watched."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import structlog

logger = structlog.get_logger(__name__)


def watch_each(watches: Mapping[str, Callable[[], bool]]) -> int:
    """Call each function. Returns how many have changed something. Raises the first error at the end."""
    errors: list[Exception] = []
    changed = 0
    for subject, watch in watches.items():
        try:
            changed += watch()
        except Exception as error:  # The others are watched. The first error is raised below.
            logger.exception("could not be watched for alerts", subject=subject)
            errors.append(error)
    if errors:
        raise errors[0]
    return changed
