"""The graph of an org's dependencies: which pipelines run after which others, and what the others did last."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from django.db.models import Q

from apps.orgs.models import Org
from apps.pipelines.models import Dependency, DependencyMode, Pipeline, RunAfter, Schedule
from apps.pipelines.schedules.blackouts import Blackouts, blackouts_of


@dataclass(frozen=True, slots=True)
class Edge:
    """The pipeline runs after this upstream pipeline. Its successes until `used_until` start nothing any more."""

    id: UUID
    upstream_id: UUID
    used_until: datetime


@dataclass(frozen=True, slots=True)
class Node:
    """A pipeline with its upstream pipelines."""

    id: UUID
    name: str
    domain_id: UUID | None
    enabled: bool
    is_paused: bool
    is_live: bool
    last_success_at: datetime | None
    failing_since: datetime | None
    mode: DependencyMode = DependencyMode.ALL
    window: timedelta | None = None
    edges: tuple[Edge, ...] = ()
    blackouts: Blackouts | None = None


Graph = Mapping[UUID, Node]


def load(org: Org, *, only: UUID | None = None) -> Graph:
    """Return all pipelines that have a dependency, or are one. With `only`, this pipeline and its upstream pipelines.

    It takes four queries.
    """
    edges = Dependency.objects.for_org(org).order_by("upstream__name", "pk")
    rules = RunAfter.objects.for_org(org)
    if only is not None:
        edges, rules = edges.filter(pipeline_id=only), rules.filter(pipeline_id=only)
    edges_of: dict[UUID, list[Edge]] = defaultdict(list)
    ids: set[UUID] = set()
    for row in edges:
        edges_of[row.pipeline_id].append(Edge(row.pk, row.upstream_id, row.used_until))
        ids |= {row.pipeline_id, row.upstream_id}
    rule_of = {rule.pipeline_id: rule for rule in rules}
    schedules = Schedule.objects.for_org(org).filter(pipeline_id__in=ids)
    schedule_of = {schedule.pipeline_id: schedule for schedule in schedules}
    pipelines = Pipeline.objects.for_org(org).filter(pk__in=ids).order_by("name", "pk")
    return {
        pipeline.pk: _node(
            pipeline,
            rule_of.get(pipeline.pk),
            edges_of[pipeline.pk],
            schedule_of.get(pipeline.pk),
        )
        for pipeline in pipelines
    }


def _node(
    pipeline: Pipeline, rule: RunAfter | None, edges: Iterable[Edge], schedule: Schedule | None
) -> Node:
    seconds = rule.window_seconds if rule else None
    return Node(
        id=pipeline.pk,
        name=pipeline.name,
        domain_id=pipeline.domain_id,
        enabled=pipeline.enabled,
        is_paused=schedule is not None and schedule.paused_at is not None,
        blackouts=blackouts_of(schedule) if schedule and schedule.blackouts else None,
        is_live=pipeline.last_run_status in {"pending", "running"},
        last_success_at=pipeline.last_success_at,
        failing_since=pipeline.failing_since,
        mode=DependencyMode(rule.mode) if rule else DependencyMode.ALL,
        window=None if seconds is None else timedelta(seconds=seconds),
        edges=tuple(edges),
    )


def find_cycle(org: Org, pipeline_id: UUID, upstream_ids: Iterable[UUID]) -> list[UUID]:
    """Return the pipelines of a cycle that these upstream pipelines would make, from the pipeline to itself, or nothing.

    The caller has locked the org, so that two changes cannot make a cycle together.
    """
    rows = Dependency.objects.for_org(org).filter(~Q(pipeline_id=pipeline_id))
    upstreams_of: dict[UUID, list[UUID]] = defaultdict(list)
    for pipeline, upstream in rows.order_by("pk").values_list("pipeline_id", "upstream_id"):
        upstreams_of[pipeline].append(upstream)
    came_from: dict[UUID, UUID] = {}
    waiting = [(upstream, pipeline_id) for upstream in upstream_ids]
    while waiting:
        found, below = waiting.pop()
        if found == pipeline_id:
            return _path(came_from, below, pipeline_id)
        if found not in came_from:
            came_from[found] = below
            waiting += [(upstream, found) for upstream in upstreams_of[found]]
    return []


def _path(came_from: Mapping[UUID, UUID], last: UUID, pipeline_id: UUID) -> list[UUID]:
    """Return the pipelines in the order in which they would run."""
    path = [pipeline_id]
    while last != pipeline_id:
        path.append(last)
        last = came_from[last]
    return [*path, pipeline_id]
