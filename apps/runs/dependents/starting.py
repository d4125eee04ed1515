"""Start pipelines after others have succeeded, exactly once for each set of successes, with any number of workers.

The end of a run only defers a job, in the transaction that ends it. What has to be started is read from the rows of the
pipelines, so nothing is lost if the job is: a tick finds the rest. A start stores which successes it has used. If another
worker has used one of them meanwhile, the start is rolled back.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from django.db import IntegrityError, connection, transaction
from django.db.models import Case, Q, Value, When
from django.utils import timezone

from apps.auth.constraints import violates
from apps.background import jobs
from apps.background.registry import SYSTEM_QUEUE
from apps.background.retries import apply_to_rows
from apps.orgs.models import Org
from apps.orgs.principals import SYSTEM
from apps.orgs.walls.scope import org_scope
from apps.pipelines.dependencies import graph as graphs
from apps.pipelines.dependencies.conditions import edges_that_start
from apps.pipelines.dependencies.graph import Edge, Graph, Node
from apps.pipelines.exceptions import RunInProgress
from apps.pipelines.models import Dependency, RunKind
from apps.runs import services
from apps.runs.models import ORDINARY_RUNS, Run, Status, Trigger, UpstreamRun
from apps.runs.snapshots import RunSnapshot

START_TASK = "runs.start_dependents"
PIPELINES_PER_TICK = 500


class AlreadyUsed(Exception):
    """Another worker has started the pipeline after one of these successes."""


def on_end(org_id: UUID, run: RunSnapshot) -> None:
    """Let a worker start the pipelines that may start now, as this run has ended. A listener of apps.runs.endings.

    They are those behind the pipeline, and the pipeline itself if a success came while it was running.
    """
    pipeline_id = run["pipeline"]["id"]
    affected = Q(pipeline_id=pipeline_id)
    if run["status"] == Status.SUCCEEDED and run["kind"] == RunKind.ORDINARY:
        affected |= Q(upstream_id=pipeline_id)
    if Dependency.objects.for_org(org_id).filter(affected).exists():
        arguments = {"org_id": str(org_id), "pipeline_id": str(pipeline_id)}
        jobs.defer(START_TASK, queue=SYSTEM_QUEUE, arguments=arguments)


def start_around(*, org_id: UUID, pipeline_id: UUID) -> int:
    """Start the pipeline and those directly behind it, as far as they may start now. Returns how many were started."""
    with org_scope(org_id):
        rows = Dependency.objects.for_org(org_id).filter(upstream_id=pipeline_id)
        ids = [pipeline_id, *rows.order_by("pk").values_list("pipeline_id", flat=True)]
    return _start_each([(org_id, each) for each in ids])


def tick() -> int:
    """Start up to PIPELINES_PER_TICK pipelines that may start now. Returns how many were started."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT org_id, pipeline_id FROM dependents_due(%s)", [PIPELINES_PER_TICK])
        ready = cursor.fetchall()
    return _start_each(ready)


def _start_each(rows: Sequence[tuple[UUID, UUID]]) -> int:
    return apply_to_rows(
        rows, lambda org, pipeline: start_if_ready(org_id=org, pipeline_id=pipeline)
    )


def start_if_ready(*, org_id: UUID, pipeline_id: UUID, now: datetime | None = None) -> bool:
    """Start a run of the pipeline, in one transaction, if the successes of others start it. Returns whether they did."""
    with org_scope(org_id):
        org = Org.objects.get(pk=org_id)
        if org.suspended_at is not None or org.deletion_at is not None:
            return False
        graph = graphs.load(org, only=pipeline_id)
        node = graph.get(pipeline_id)
        edges = edges_that_start(node, graph, now or timezone.now()) if node else []
        if node is None or not edges:
            return False
        try:
            with transaction.atomic():
                _start(org, node, edges, graph)
        except (RunInProgress, AlreadyUsed):
            return False  # The end of the live run defers a job again.
        except IntegrityError as error:
            if not violates(error, "runs_upstreamrun_once"):
                raise
            return False
        return True


def _start(org: Org, node: Node, edges: Sequence[Edge], graph: Graph) -> None:
    """Start a run. The order of locks is that of every start: the new run, its pipeline, and then its dependencies."""
    services.start(
        org=org,
        by=SYSTEM,
        pipeline_id=node.id,
        trigger=Trigger.DEPENDENCY,
        upstream_runs=_successes(org, node, edges, graph),
    )
    unused = Q()
    for edge in edges:
        unused |= Q(pk=edge.id, used_until=edge.used_until)
    used_until = [
        When(pk=edge.id, then=Value(graph[edge.upstream_id].last_success_at)) for edge in edges
    ]
    rows = Dependency.objects.for_org(org).filter(unused)
    if rows.update(used_until=Case(*used_until)) != len(edges):
        raise AlreadyUsed


def _successes(org: Org, node: Node, edges: Sequence[Edge], graph: Graph) -> list[UpstreamRun]:
    """Return the successes that start the pipeline, not stored yet."""
    runs = Q()
    for edge in edges:
        runs |= Q(pipeline_id=edge.upstream_id, finished_at=graph[edge.upstream_id].last_success_at)
    rows = Run.objects.for_org(org).filter(ORDINARY_RUNS, runs, status=Status.SUCCEEDED)
    return [
        UpstreamRun(
            org=org, pipeline_id=node.id, upstream_id=row.pipeline_id, upstream_run_id=row.pk
        )
        for row in rows.order_by("pipeline_id", "-id").distinct("pipeline_id")
    ]
