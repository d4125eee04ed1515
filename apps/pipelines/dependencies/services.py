"""Show and change after which other pipelines a pipeline runs."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from functools import partial
from typing import Any, TypedDict
from uuid import UUID

from django.db import transaction
from django.utils import timezone

from apps.orgs import audit
from apps.orgs.exceptions import Invalid
from apps.orgs.models import Org
from apps.orgs.placement import can_see
from apps.orgs.principals import Principal
from apps.orgs.roles import Permission
from apps.orgs.versions import Match
from apps.pipelines.dependencies import graph as graphs
from apps.pipelines.dependencies.conditions import HIDDEN, Explanation, state_of
from apps.pipelines.dependencies.graph import Graph, Node
from apps.pipelines.models import Dependency, DependencyMode, Pipeline, RunAfter
from apps.pipelines.visibility import find_pipeline, lock_pipeline, pipelines

MAX_UPSTREAMS = 50


class Label(TypedDict):
    id: UUID
    name: str


class UpstreamRow(TypedDict):
    pipeline: Label
    state: str
    last_success_at: datetime | None
    failing_since: datetime | None


class PipelineDependencies(TypedDict):
    """After which pipelines a pipeline runs, and which run after it. Hidden ones are only counted."""

    mode: str
    window_seconds: int | None
    state: str
    reason: str
    upstreams: list[UpstreamRow]
    downstreams: list[Label]
    hidden: int


class GraphNode(TypedDict):
    id: UUID
    name: str
    enabled: bool
    mode: str
    state: str
    reason: str
    is_running: bool
    last_success_at: datetime | None
    failing_since: datetime | None


class GraphEdge(TypedDict):
    pipeline_id: UUID
    upstream_id: UUID


class DependencyGraph(TypedDict):
    pipelines: list[GraphNode]
    edges: list[GraphEdge]


def show(*, org: Org, by: Principal, pipeline_id: UUID) -> tuple[PipelineDependencies, int]:
    """Return the dependencies of the pipeline, and its version. Raises NotFound."""
    pipeline = find_pipeline(org=org, by=by, pipeline_id=pipeline_id)
    return _render(org, by, pipeline), pipeline.etag


def show_graph(*, org: Org, by: Principal) -> DependencyGraph:
    """Return all dependencies between pipelines that the principal can see."""
    graph = graphs.load(org)
    explanation = _explanation(graph, by)
    shown = {node.id: node for node in graph.values() if can_see(by, node.domain_id)}
    return {
        "pipelines": [
            {
                "id": node.id,
                "name": node.name,
                "enabled": node.enabled,
                "mode": node.mode,
                "state": explanation.state(node),
                "reason": explanation.reason(node),
                "is_running": node.is_live,
                "last_success_at": node.last_success_at,
                "failing_since": node.failing_since,
            }
            for node in shown.values()
        ],
        "edges": [
            {"pipeline_id": node.id, "upstream_id": edge.upstream_id}
            for node in shown.values()
            for edge in node.edges
            if edge.upstream_id in shown
        ],
    }


def replace(
    *,
    org: Org,
    by: Principal,
    pipeline_id: UUID,
    mode: str,
    window_seconds: int | None,
    upstream_ids: Sequence[UUID],
    match: Match = None,
) -> tuple[PipelineDependencies, int]:
    """Let the pipeline run after these pipelines. Only successes from now on start it.

    Upstream pipelines that the principal cannot see stay. Raises NotFound, PermissionMissing, ChangedMeanwhile, and
    Invalid for an unknown pipeline or a cycle.
    """
    # The org is locked, so that two requests cannot make a cycle together.
    Org.objects.select_for_update(no_key=True).get(pk=org.pk)
    pipeline = lock_pipeline(
        Permission.PIPELINES_EDIT, org=org, by=by, pipeline_id=pipeline_id, match=match
    )
    before, rule = _upstreams(org, pipeline), _rule(org, pipeline)
    after = {one.pk: one for one in before.values() if not can_see(by, one.domain_id)}
    after |= _find_upstreams(org, by, upstream_ids)
    _refuse_cycle(org, by, pipeline, after)
    with transaction.atomic():
        gone = Dependency.objects.for_org(org).filter(pipeline=pipeline)
        gone.exclude(upstream_id__in=after).delete()
        Dependency.objects.for_org(org).bulk_create(
            Dependency(org=org, pipeline=pipeline, upstream_id=pk, used_until=timezone.now())
            for pk in after.keys() - before.keys()
        )
        RunAfter.objects.for_org(org).update_or_create(
            org=org,
            pipeline=pipeline,
            defaults={"mode": mode, "window_seconds": window_seconds},
        )
        pipeline.etag += 1
        pipeline.save(update_fields=["etag", "updated_at"])
        _record(org, by, pipeline, (rule, before), (mode, window_seconds, after))
    return _render(org, by, pipeline), pipeline.etag


def _rule(org: Org, pipeline: Pipeline) -> RunAfter:
    found = RunAfter.objects.for_org(org).filter(pipeline=pipeline).first()
    return found or RunAfter(org=org, pipeline=pipeline)


def _upstreams(org: Org, pipeline: Pipeline) -> dict[UUID, Pipeline]:
    rows = Dependency.objects.for_org(org).filter(pipeline=pipeline).select_related("upstream")
    return {row.upstream_id: row.upstream for row in rows}


def _find_upstreams(org: Org, by: Principal, ids: Sequence[UUID]) -> dict[UUID, Pipeline]:
    """Return these pipelines. Raises Invalid for those that the principal cannot see."""
    found: dict[UUID, Pipeline] = pipelines(org, by).in_bulk(list(ids))
    message = "There is no such pipeline in this organization."
    faults = [
        (f"upstream_ids.{place}", message, "unknown")
        for place, pk in enumerate(ids)
        if pk not in found
    ]
    if faults:
        raise Invalid(faults)
    return found


def _refuse_cycle(
    org: Org, by: Principal, pipeline: Pipeline, upstreams: dict[UUID, Pipeline]
) -> None:
    cycle = graphs.find_cycle(org, pipeline.pk, upstreams)
    if not cycle:
        return
    visible: dict[UUID, Pipeline] = pipelines(org, by).in_bulk(cycle)
    path = " → ".join(visible[pk].name if pk in visible else HIDDEN for pk in cycle)
    message = f"{pipeline.name} would run after itself: {path}."
    raise Invalid([("upstream_ids", message, "cycle")])


def _render(org: Org, by: Principal, pipeline: Pipeline) -> PipelineDependencies:
    graph = graphs.load(org)
    node = graph.get(pipeline.pk)
    if node is None:
        rule = _rule(org, pipeline)
        return {
            "mode": rule.mode,
            "window_seconds": rule.window_seconds,
            "state": "none",
            "reason": "",
            "upstreams": [],
            "downstreams": [],
            "hidden": 0,
        }
    explanation = _explanation(graph, by)
    upstreams = [(edge, graph[edge.upstream_id]) for edge in node.edges]
    downstreams = [
        other
        for other in graph.values()
        if any(edge.upstream_id == node.id for edge in other.edges)
    ]
    around = [*(upstream for _, upstream in upstreams), *downstreams]
    return {
        "mode": node.mode,
        "window_seconds": int(node.window.total_seconds()) if node.window is not None else None,
        "state": explanation.state(node),
        "reason": explanation.reason(node),
        "upstreams": [
            {
                "pipeline": _label(upstream),
                "state": state_of(node, edge, upstream, explanation.now),
                "last_success_at": upstream.last_success_at,
                "failing_since": upstream.failing_since,
            }
            for edge, upstream in upstreams
            if can_see(by, upstream.domain_id)
        ],
        "downstreams": [_label(other) for other in downstreams if can_see(by, other.domain_id)],
        "hidden": sum(not can_see(by, other.domain_id) for other in around),
    }


def _explanation(graph: Graph, by: Principal) -> Explanation:
    return Explanation(graph, can_see=partial(can_see, by), now=timezone.now())


def _label(node: Node) -> Label:
    return {"id": node.id, "name": node.name}


def _record(
    org: Org,
    by: Principal,
    pipeline: Pipeline,
    before: tuple[RunAfter, dict[UUID, Pipeline]],
    after: tuple[str, int | None, dict[UUID, Pipeline]],
) -> None:
    (rule, old), (mode, window_seconds, new) = before, after
    pairs: dict[str, list[Any]] = {
        "run_after": [_names(old), _names(new)],
        "run_after_mode": [DependencyMode(rule.mode).value, mode],
        "run_after_window_seconds": [rule.window_seconds, window_seconds],
    }
    audit.record(
        org=org,
        by=by,
        action="pipeline.dependencies",
        object_kind="pipeline",
        object_id=pipeline.pk,
        object_label=pipeline.name,
        changes={name: pair for name, pair in pairs.items() if pair[0] != pair[1]},
    )


def _names(upstreams: dict[UUID, Pipeline]) -> list[str]:
    return sorted(upstream.name for upstream in upstreams.values())
