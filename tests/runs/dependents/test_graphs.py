"""Random graphs: each pipeline runs exactly once per wave, cycles are refused, and SQL and Python agree."""

from __future__ import annotations

import itertools
import random
import threading
from dataclasses import replace
from datetime import timedelta
from uuid import uuid4

import pytest
from django.db import connection
from django.utils import timezone

from apps.orgs.roles import Role
from apps.pipelines.dependencies import graph as graphs
from apps.pipelines.dependencies.conditions import Explanation, edges_that_start
from apps.pipelines.models import Dependency, Pipeline, RunAfter, Schedule
from apps.runs.dependents import starting
from apps.runs.models import Run, UpstreamRun
from tests.runs.conftest import make_pipeline
from tests.runs.dependents.conftest import (
    end,
    execute_deferred_jobs,
    live_runs,
    path_of,
    run_after,
    start_run,
    started_runs,
    succeed,
)
from tests.threads import DatabaseThread
from tests.world import World, make_world


@pytest.mark.sample(3)
@pytest.mark.parametrize("seed", range(6))
def test_each_pipeline_runs_exactly_once_per_wave(world: World, seed: int) -> None:
    chance = random.Random(seed)
    pipelines = [make_pipeline(world, name=f"P{number}") for number in range(8)]
    edges = 0
    for place, pipeline in enumerate(pipelines):
        upstreams = [other for other in pipelines[:place] if chance.random() < 0.4]
        edges += len(upstreams)
        if upstreams:
            run_after(world, pipeline, *upstreams)
    with world.scope():
        dependents = set(
            Dependency.objects.for_org(world.org).values_list("pipeline_id", flat=True)
        )
    roots = [pipeline for pipeline in pipelines if pipeline.pk not in dependents]

    for wave in range(1, 4):
        chance.shuffle(roots)
        for root in roots:
            succeed(world, root)
        while waiting := [run for pipeline in pipelines for run in live_runs(world, pipeline)]:
            end(world, chance.choice(waiting))
            starting.tick()
        for pipeline in pipelines:
            expected = wave if pipeline.pk in dependents else 0
            assert len(started_runs(world, pipeline)) == expected, pipeline.name
    with world.scope():
        assert UpstreamRun.objects.for_org(world.org).count() == 3 * edges


@pytest.mark.sample(2)
@pytest.mark.parametrize("seed", range(4))
def test_an_edge_is_refused_if_and_only_if_it_makes_a_cycle(world: World, seed: int) -> None:
    chance = random.Random(seed)
    pipelines = [make_pipeline(world, name=f"P{number}") for number in range(6)]
    client = world.client(Role.MEMBER)
    upstreams: dict[int, set[int]] = {number: set() for number in range(6)}

    def is_behind(below: int, above: int) -> bool:
        return below == above or any(is_behind(one, above) for one in upstreams[below])

    refused = 0
    for _ in range(40):
        below, above = chance.randrange(6), chance.randrange(6)
        wanted = upstreams[below] | {above}
        body = {"upstream_ids": [str(pipelines[number].pk) for number in wanted]}
        answer = client.put(path_of(pipelines[below]), body)
        if is_behind(above, below):
            refused += 1
            assert answer.status_code == 422, answer.content
            (error,) = answer.json()["errors"]
            assert (error["field"], error["code"]) == ("upstream_ids", "cycle")
            _, _, path = error["message"].rstrip(".").partition(": ")
            names = path.split(" → ")
            assert names[0] == names[-1] == f"P{below}"
            for earlier, later in itertools.pairwise(names):
                known = {f"P{number}" for number in upstreams[int(later[1:])]}
                assert earlier in known or later == f"P{below}"
        else:
            assert answer.status_code == 200, answer.content
            upstreams[below] = wanted
    assert refused


def test_the_function_of_the_database_finds_what_python_starts(world: World) -> None:
    chance = random.Random(11)
    now = timezone.now()
    pipelines = [make_pipeline(world) for _ in range(150)]
    with world.scope():
        for pipeline in pipelines:
            Pipeline.objects.for_org(world.org).filter(pk=pipeline.pk).update(
                enabled=chance.random() < 0.8,
                last_success_at=chance.choice(
                    [None, now - timedelta(minutes=chance.randrange(300))]
                ),
                failing_since=chance.choice([None, None, None, now]),
            )
            if chance.random() < 0.2:
                Schedule.unscoped.create(
                    org=world.org, pipeline=pipeline, cron="0 6 * * *", paused_at=now
                )
            RunAfter.unscoped.create(
                org=world.org,
                pipeline=pipeline,
                mode=chance.choice(["all", "any"]),
                window_seconds=chance.choice([None, 3600, 7200]),
            )
            for upstream in chance.sample(pipelines, chance.randrange(4)):
                if upstream is not pipeline:
                    Dependency.unscoped.create(
                        org=world.org,
                        pipeline=pipeline,
                        upstream=upstream,
                        used_until=now - timedelta(minutes=chance.randrange(400)),
                    )
        graph = graphs.load(world.org)
        by_python = {node.id for node in graph.values() if edges_that_start(node, graph, now)}
        without_windows = [replace(node, window=None) for node in graph.values()]
        ignoring_windows = {
            node.id for node in without_windows if edges_that_start(node, graph, now)
        }
    with connection.cursor() as cursor:
        cursor.execute("SELECT pipeline_id FROM dependents_due(1000)")
        by_database = {row[0] for row in cursor.fetchall()}
    assert by_python
    assert by_python < ignoring_windows, "the example has no success that is too old"
    assert by_database == by_python


def test_many_workers_start_a_pipeline_once(committed_db: None) -> None:
    world = make_world()
    upstreams = [make_pipeline(world) for _ in range(4)]
    report = make_pipeline(world, name="Report")
    run_after(world, report, *upstreams)
    runs = [start_run(world, upstream) for upstream in upstreams]
    barrier = threading.Barrier(len(runs))
    errors: list[BaseException] = []

    def end_at_once(run: Run) -> None:
        barrier.wait()
        try:
            end(world, run)
            starting.tick()
            starting.start_if_ready(org_id=world.org.pk, pipeline_id=report.pk)
        except BaseException as error:
            errors.append(error)
            raise

    threads = [DatabaseThread(target=end_at_once, args=[run]) for run in runs]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    execute_deferred_jobs()

    assert not errors
    (run,) = started_runs(world, report)
    with world.scope():
        assert UpstreamRun.objects.for_org(world.org).filter(run=run).count() == 4


def test_a_worker_that_was_slow_does_not_start_it_again(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A worker reads the dependencies, and goes on after another worker's run for the same success has ended."""
    orders, report = make_pipeline(world), make_pipeline(world)
    run_after(world, report, orders)
    succeed(world, orders)
    (first,) = started_runs(world, report)
    end(world, first)
    with world.scope():
        edge = Dependency.objects.for_org(world.org).get()
        stale = Dependency(
            pk=edge.pk,
            org=world.org,
            pipeline=report,
            upstream=orders,
            used_until=edge.used_until - timedelta(hours=1),
        )
    real_load = graphs.load

    def load_stale(org: object, **options: object) -> graphs.Graph:
        graph = dict(real_load(org, **options))  # type: ignore[arg-type]
        node = graph[report.pk]
        old = graphs.Edge(stale.pk, orders.pk, stale.used_until)
        fields = {name: getattr(node, name) for name in node.__slots__}
        return {**graph, report.pk: graphs.Node(**{**fields, "edges": (old,)})}

    monkeypatch.setattr(graphs, "load", load_stale)
    assert not starting.start_if_ready(org_id=world.org.pk, pipeline_id=report.pk)
    with world.scope():
        UpstreamRun.objects.for_org(world.org).all().delete()
    assert not starting.start_if_ready(org_id=world.org.pk, pipeline_id=report.pk)
    assert len(started_runs(world, report)) == 1


def test_a_long_chain_is_explained_by_its_failed_pipeline() -> None:
    """The chain is longer than the stack of Python, and no reason names all pipelines between."""
    now = timezone.now()
    first = graphs.Node(uuid4(), "First", None, True, False, False, None, failing_since=now)
    chain = [first]
    for number in range(3000):
        edge = graphs.Edge(uuid4(), chain[-1].id, used_until=now)
        node = replace(first, id=uuid4(), name=f"P{number}", failing_since=None, edges=(edge,))
        chain.append(node)
    explanation = Explanation({node.id: node for node in chain}, can_see=lambda _: True, now=now)

    reasons = [explanation.reason(node) for node in reversed(chain)]

    failed = f"First, which failed at {now:%Y-%m-%d %H:%M} UTC."
    assert reasons[0] == f"Waits for P2998, which waits for {failed}"
    assert reasons[-2:] == [f"Waits for {failed}", ""]
    assert {explanation.state(node) for node in chain[1:]} == {"blocked"}
