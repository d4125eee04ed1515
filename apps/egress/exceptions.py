"""The reasons why a connection is not allowed. The engine reports each as a configuration failure."""

from __future__ import annotations


class EgressError(Exception):
    """Base of the exceptions of egress.

    `evidence` are short lines that support the message, free of secrets. `retryable` says whether a retry
    without changes can help.
    """

    retryable: bool = False

    def __init__(self, message: str, *, evidence: tuple[str, ...] = ()) -> None:
        super().__init__(message)
        self.message = message
        self.evidence = evidence


class NotAHost(EgressError):
    """The value is not a host name, or its port is not valid."""


class HostRefused(EgressError):
    """The policy does not allow connections to this host."""


class HostNotFound(EgressError):
    """The host's name has no address now; DNS may resolve it later."""

    retryable = True


class ProxyRefused(EgressError):
    """Proxies are not used: they would connect to hosts that the policy has not checked."""
