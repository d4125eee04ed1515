"""What other apps do when a run ends, in the transaction that ends it.

For example, apps.alerts decides then who is told. So what follows from the end of a run is stored with it, or neither is.
A run ends when it has succeeded, was cancelled, or has failed after its retries.
"""

from __future__ import annotations

from collections.abc import Callable
from uuid import UUID

from apps.runs.snapshots import RunSnapshot

Listener = Callable[[UUID, RunSnapshot], None]  # is called with the org's id, in its scope
_listeners: list[Listener] = []


def add_listener(listener: Listener) -> None:
    """Register a function that is called when a run ends. If it raises, the run does not end, and is tried again.

    So it should catch what can go wrong in a savepoint, and store it. apps.alerts does so. It must be quick, because the rows of the run and of its pipeline are locked.
    """
    if listener not in _listeners:
        _listeners.append(listener)


def report(org_id: UUID, run: RunSnapshot) -> None:
    """Call all listeners."""
    for listener in _listeners:
        listener(org_id, run)
