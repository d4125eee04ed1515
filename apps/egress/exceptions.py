"""Why something may not be reached. The engine reports each as a matter of the configuration."""

from __future__ import annotations


class EgressError(Exception):
    """Base of what egress raises on purpose.

    `evidence` are short lines that back the message, free of secrets. `retryable` says whether trying again
    unchanged can help.
    """

    retryable: bool = False

    def __init__(self, message: str, *, evidence: tuple[str, ...] = ()) -> None:
        super().__init__(message)
        self.message = message
        self.evidence = evidence


class NotAHost(EgressError):
    """What should name a host, or a port of it, names none."""


class HostRefused(EgressError):
    """The policy does not allow anybody to reach this host."""


class HostNotFound(EgressError):
    """The name of the host has no address right now; DNS may answer later."""

    retryable = True


class ProxyRefused(EgressError):
    """Proxies are not used: they would reach hosts that the policy has not judged."""
