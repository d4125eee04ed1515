"""What other apps add to every new org, in the transaction that creates it, such as the first rule for alerts."""

from __future__ import annotations

from collections.abc import Callable

from apps.orgs.models import Org

Listener = Callable[[Org], None]  # is called in the org's scope
_listeners: list[Listener] = []


def add_listener(listener: Listener) -> None:
    """Register a function that is called for every new org."""
    if listener not in _listeners:
        _listeners.append(listener)


def report(org: Org) -> None:
    """Call all listeners."""
    for listener in _listeners:
        listener(org)
