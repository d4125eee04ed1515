"""The exceptions for connections that are not allowed. The engine reports them as configuration failures."""

from __future__ import annotations


class EgressError(Exception):
    """Base class of the exceptions in this module.

    `evidence` has short lines without secrets that support the message. `retryable` says whether a retry without
    changes can help.
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
    """The name of the host has no address now. A later DNS query may find one."""

    retryable = True


class ProxyRefused(EgressError):
    """Proxies are not used, because they would connect to hosts that the policy has not checked."""
