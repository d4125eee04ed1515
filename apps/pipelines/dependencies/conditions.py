"""When a pipeline starts after others, and in words why it does not start."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from enum import StrEnum
from uuid import UUID

from apps.pipelines.dependencies.graph import Edge, Graph, Node
from apps.pipelines.models import DependencyMode

HIDDEN = "a pipeline that you cannot see"


class UpstreamState(StrEnum):
    READY = "ready"  # it has a success that has not started the pipeline yet
    WAITING = "waiting"  # it has no such success
    FAILED = "failed"  # its last run has failed
    TOO_OLD = "too_old"  # its success is older than the window


class DependencyState(StrEnum):
    NONE = "none"  # the pipeline runs after no other pipeline
    READY = "ready"  # it starts now, or after its current run
    WAITING = "waiting"
    BLOCKED = "blocked"  # an upstream pipeline has failed
    DISABLED = "disabled"
    PAUSED = "paused"
    BLACKOUT = "blackout"  # it starts afterwards, if it may start then


def state_of(node: Node, edge: Edge, upstream: Node, now: datetime) -> UpstreamState:
    """Return the state of an upstream pipeline. The function dependents_due in the database decides the same."""
    success = upstream.last_success_at
    is_new = success is not None and success > edge.used_until
    if upstream.failing_since is not None and (node.mode == DependencyMode.ALL or not is_new):
        return UpstreamState.FAILED
    if success is None or not is_new:
        return UpstreamState.WAITING
    if node.window is not None and success < now - node.window:
        return UpstreamState.TOO_OLD
    return UpstreamState.READY


def edges_that_start(node: Node, graph: Graph, now: datetime) -> list[Edge]:
    """Return the upstream pipelines whose successes start the pipeline now. Empty if it has to wait."""
    if not node.enabled or node.is_paused or end_of_blackout(node, now):
        return []
    states = [state_of(node, edge, graph[edge.upstream_id], now) for edge in node.edges]
    ready = [
        edge for edge, state in zip(node.edges, states, strict=True) if state == UpstreamState.READY
    ]
    if node.mode == DependencyMode.ALL and len(ready) < len(node.edges):
        return []
    return ready


class Explanation:
    """Says for the pipelines of a graph whether they can start, to somebody who may not see all of them."""

    def __init__(
        self, graph: Graph, *, can_see: Callable[[UUID | None], bool], now: datetime
    ) -> None:
        self.graph, self.can_see, self.now = graph, can_see, now
        self._causes: dict[UUID, Node | None] = {}

    def state(self, node: Node) -> DependencyState:
        if not node.edges:
            return DependencyState.NONE
        if not node.enabled:
            return DependencyState.DISABLED
        if node.is_paused:
            return DependencyState.PAUSED
        if end_of_blackout(node, self.now):
            return DependencyState.BLACKOUT
        if edges_that_start(node, self.graph, self.now):
            return DependencyState.READY
        is_blocked = bool(self._failure_behind(node))
        return DependencyState.BLOCKED if is_blocked else DependencyState.WAITING

    def reason(self, node: Node) -> str:
        """Return why the pipeline does not run now, or that it will. Empty if it runs after no other pipeline."""
        match self.state(node):
            case DependencyState.NONE:
                return ""
            case DependencyState.DISABLED:
                return "This pipeline is disabled, so it does not start after others."
            case DependencyState.PAUSED:
                return "The schedule of this pipeline is paused, so it does not start after others."
            case DependencyState.BLACKOUT if end := end_of_blackout(node, self.now):
                return (
                    f"The schedule of this pipeline has a blackout until {_time(end)}. "
                    "What has succeeded meanwhile starts it afterwards."
                )
            case DependencyState.READY if node.is_live:
                return "It starts once more when its current run has ended."
            case DependencyState.READY:
                return "It starts in a few seconds."
        parts = [
            f"{self._name(upstream)}, {self._why(node, edge, upstream)}"
            for edge, upstream in self._upstreams(node)
            if state_of(node, edge, upstream, self.now) != UpstreamState.READY
        ]
        separator = "; and for " if node.mode == DependencyMode.ALL else "; or for "
        return f"Waits for {separator.join(parts)}."

    def _upstreams(self, node: Node) -> list[tuple[Edge, Node]]:
        return [(edge, self.graph[edge.upstream_id]) for edge in node.edges]

    def _name(self, node: Node) -> str:
        return node.name if self.can_see(node.domain_id) else HIDDEN

    def _why(self, node: Node, edge: Edge, upstream: Node) -> str:
        state = state_of(node, edge, upstream, self.now)
        if upstream.is_live:
            return "which is running"
        if state == UpstreamState.FAILED and upstream.failing_since is not None:
            return f"which failed at {_time(upstream.failing_since)}"
        if state == UpstreamState.TOO_OLD and upstream.last_success_at and node.window:
            return (
                f"whose last success, at {_time(upstream.last_success_at)}, is older than "
                f"{_duration(node.window)}"
            )
        if not upstream.enabled:
            return "which is disabled"
        if (cause := self._failure_behind(upstream)) and cause.failing_since is not None:
            return (
                f"which waits for {self._name(cause)}, which failed at {_time(cause.failing_since)}"
            )
        return "which has no new success"

    def _failure_behind(self, node: Node) -> Node | None:
        """Return the failed pipeline that keeps this one from running, also through others, or None.

        It does not call itself: a chain may have more pipelines than Python has frames.
        """
        waiting, begun = [node], set[UUID]()
        while node.id not in self._causes:
            current = waiting[-1]
            begun.add(current.id)
            further = [
                upstream
                for edge, upstream in self._upstreams(current)
                if upstream.id not in begun
                and upstream.id not in self._causes
                and not self._has_failed(current, edge, upstream)
            ]
            if further:
                waiting += further
            else:
                self._causes[waiting.pop().id] = self._find_cause(current)
        return self._causes[node.id]

    def _find_cause(self, node: Node) -> Node | None:
        """Return the cause, from the causes that are known of its upstream pipelines."""
        causes = [
            upstream if self._has_failed(node, edge, upstream) else self._causes.get(upstream.id)
            for edge, upstream in self._upstreams(node)
        ]
        if node.mode == DependencyMode.ANY and not all(causes):
            return None  # Another upstream pipeline can still start it.
        return next(filter(None, causes), None)

    def _has_failed(self, node: Node, edge: Edge, upstream: Node) -> bool:
        return state_of(node, edge, upstream, self.now) == UpstreamState.FAILED


def end_of_blackout(node: Node, now: datetime) -> datetime | None:
    return node.blackouts.end_after(now) if node.blackouts else None


def _time(at: datetime) -> str:
    return f"{at:%Y-%m-%d %H:%M} UTC"


def _duration(window: timedelta) -> str:
    seconds = int(window.total_seconds())
    for name, size in (("days", 86400), ("hours", 3600), ("minutes", 60)):
        if seconds % size == 0:
            count = seconds // size
            return f"{count} {name if count > 1 else name[:-1]}"
    return f"{seconds} seconds"
