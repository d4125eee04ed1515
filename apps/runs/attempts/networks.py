"""Sum up the hosts that the streams of an attempt have tried to reach."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from apps.engine.contract import Network

COUNTERS = ("connections", "sent", "received")


def merge_networks(networks: Iterable[Network]) -> Network:
    """Return the hosts of all networks, with summed counters. A host is listed once for each reason of a refusal."""
    merged: dict[tuple[Any, ...], dict[str, Any]] = {}
    for host in (host for network in networks for host in network.hosts):
        key = tuple(value for name, value in sorted(host.items()) if name not in COUNTERS)
        if key not in merged:
            merged[key] = dict(host)
            continue
        for name in COUNTERS:
            merged[key][name] += host[name]
    return Network(list(merged.values()))
