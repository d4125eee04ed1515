"""The metrics show what waits, what failed and how long requests take, and the dashboard for Grafana shows each of them."""

from __future__ import annotations

import json
import re
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from django.conf import settings
from django.utils import timezone

from apps.alerts.models import UndecidedRun
from apps.background.counts import WAITING_REASONS
from apps.engine.failures import FailureClass
from apps.orgs.models import Org
from apps.runs.models import Run, Status, Trigger
from apps.web.metrics import process
from tests.orgs.test_commands import record_worker_heartbeat
from tests.world import World, make_pipeline, make_world, new_client

DASHBOARD = Path(__file__).resolve().parents[2] / "deploy/grafana/dashboard.json"
SUFFIXES = re.compile(r"_(?:bucket|sum|count)$")


@pytest.fixture(autouse=True)
def metrics_token(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(settings, "METRICS_TOKEN", "secret")


def read_metrics() -> dict[str, float]:
    """Return the value of each sample, by its name with labels."""
    answer = new_client().get("/api/v1/metrics", HTTP_AUTHORIZATION="Bearer secret")
    assert answer.status_code == 200
    samples = [line for line in answer.content.decode().splitlines() if not line.startswith("#")]
    return {name: float(value) for name, _, value in (line.rpartition(" ") for line in samples)}


def make_run(world: World, **fields: Any) -> Run:
    """Create a run of a pipeline of its own, because a pipeline has one live run at most."""
    with world.scope():
        pipeline = make_pipeline(world)
        return Run.unscoped.create(
            org=world.org, pipeline=pipeline, version=1, trigger=Trigger.MANUAL, **fields
        )


def change_org(world: World, **fields: Any) -> None:
    with world.scope():
        assert Org.objects.filter(pk=world.org.pk).update(**fields) == 1


def waiting_runs() -> dict[str, float]:
    found = read_metrics()
    counts = {
        reason: found[f'drover_runs_waiting{{reason="{reason}"}}'] for reason in WAITING_REASONS
    }
    return {reason: count for reason, count in counts.items() if count}


def test_waiting_runs_are_counted_by_their_reason(
    committed_db: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    acme, beta, closed = make_world("Acme"), make_world("Beta"), make_world("Closed")
    later = timezone.now() + timedelta(hours=1)
    make_run(acme)
    make_run(acme, not_before=later)
    make_run(acme, not_before=later, attempt=1)
    lease = {"lease": uuid4(), "lease_until": later, "worker": "a"}
    make_run(beta, status=Status.RUNNING, **lease)
    make_run(beta)
    change_org(beta, max_running=1)
    make_run(closed)
    change_org(closed, suspended_at=timezone.now())
    others = {"next_attempt": 1, "start_time": 1, "organization_limit": 1, "organization_closed": 1}
    assert waiting_runs() == {"worker": 1, **others}

    monkeypatch.setattr(settings, "MAX_RUNNING_PLATFORM", 1)
    assert waiting_runs() == {"platform_limit": 1, **others}


def test_the_runs_of_the_last_hour_are_counted_by_their_failure(committed_db: None) -> None:
    world, now = make_world(), timezone.now()
    make_run(world, status=Status.SUCCEEDED, finished_at=now, attempt=1)
    failed = {"status": Status.FAILED, "failure_class": FailureClass.SOURCE}
    make_run(world, **failed, finished_at=now, attempt=3, crashes=2)
    make_run(world, **failed, finished_at=now - timedelta(hours=2), attempt=3, crashes=3)

    found = read_metrics()

    ended = {name: value for name, value in found.items() if "ended_last_hour" in name}
    assert ended == {
        'drover_runs_ended_last_hour{status="failed",failure_class="source"}': 1,
        'drover_runs_ended_last_hour{status="succeeded",failure_class=""}': 1,
    }
    assert found["drover_attempts_last_hour"] == 4
    assert found["drover_attempts_crashed_last_hour"] == 2


def test_undecided_runs_are_counted(committed_db: None) -> None:
    world = make_world()
    with world.scope():
        UndecidedRun.unscoped.create(org=world.org, pipeline=make_pipeline(world), run={})
    assert read_metrics()["drover_alerts_undecided_runs"] == 1


def test_requests_are_counted_by_their_status_and_duration() -> None:
    histogram = process.Histogram()
    for seconds in (0.001, 0.02, 100.0):
        histogram.add("2xx", seconds)
    lines = list(histogram.lines("d"))
    assert 'd_bucket{status="2xx",le="0.005"} 1' in lines
    assert 'd_bucket{status="2xx",le="0.025"} 2' in lines
    assert 'd_bucket{status="2xx",le="30.0"} 2' in lines
    assert 'd_bucket{status="2xx",le="+Inf"} 3' in lines
    assert lines[-2:] == ['d_sum{status="2xx"} 100.021', 'd_count{status="2xx"} 3']


def test_each_request_is_measured(committed_db: None) -> None:
    before = read_metrics()
    new_client().get("/api/v1/nothing")
    count = 'drover_request_duration_seconds_count{status="4xx"}'
    assert read_metrics()[count] == before.get(count, 0) + 1


def test_the_dashboard_shows_each_metric_and_no_other(committed_db: None) -> None:
    record_worker_heartbeat()
    make_run(make_world(), status=Status.SUCCEEDED, finished_at=timezone.now())
    read_metrics()  # the first response contains no duration
    exported = {SUFFIXES.sub("", name.partition("{")[0]) for name in read_metrics()}
    expressions = " ".join(
        target["expr"]
        for panel in json.loads(DASHBOARD.read_text())["panels"]
        for target in panel["targets"]
    )
    shown = {SUFFIXES.sub("", name) for name in re.findall(r"\bdrover_\w+", expressions)}
    assert shown == exported
