"""`manage.py size` says how busy the workers are, over all organizations."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from io import StringIO

from django.core.management import call_command
from django.db import connection
from django.utils import timezone
from pytest_django import Settings

from apps.background import registry
from apps.engine.failures import FailureClass
from apps.runs.models import Run, Status
from apps.runs.statistics.size import advice, read_size
from tests.deployment.test_metrics import make_run
from tests.orgs.test_commands import record_worker_heartbeat
from tests.world import World, make_world


def make_ended_run(world: World, began: datetime, minutes: float, **fields: object) -> None:
    run = make_run(world, status=Status.SUCCEEDED, attempt=1, **fields)
    end = began + timedelta(minutes=minutes)
    with world.scope():
        Run.objects.for_org(world.org).filter(pk=run.pk).update(
            started_at=began, claimed_at=began, finished_at=end
        )


def test_the_busiest_hour_counts_the_runs_of_all_organizations(committed_db: None) -> None:
    hour = timezone.now().replace(minute=0, second=0, microsecond=0) - timedelta(hours=3)
    acme, beta = make_world("Acme"), make_world("Beta")
    make_ended_run(acme, hour, minutes=45)
    make_ended_run(beta, hour + timedelta(minutes=30), minutes=60)  # half of it in the next hour
    make_ended_run(beta, hour - timedelta(days=9), minutes=600)
    busiest = read_size().busiest
    assert busiest is not None
    assert (busiest.at.astimezone(UTC), busiest.runs, round(busiest.running, 2)) == (hour, 2, 1.25)


def test_another_worker_is_advised_if_the_places_were_in_use(
    committed_db: None, settings: Settings
) -> None:
    settings.WORKER_CONCURRENCY = 1
    record_worker_heartbeat()
    world = make_world()
    assert advice(read_size()) == ["The workers are sufficient."]
    hour = timezone.now().replace(minute=0, second=0, microsecond=0) - timedelta(hours=3)
    make_ended_run(world, hour, minutes=54)
    (sentence,) = advice(read_size())
    assert sentence.startswith("In the busiest hour 90% of the places were in use: add a worker")


def test_a_worker_is_counted_once_although_it_serves_many_queues(
    committed_db: None, settings: Settings
) -> None:
    settings.WORKER_CONCURRENCY = 8
    with connection.cursor() as cursor:
        for _ in range(2 * len(registry.queues())):
            cursor.execute("INSERT INTO procrastinate_workers DEFAULT VALUES")
    size = read_size()
    assert (size.workers, size.places) == (2, 16)


def test_runs_that_began_late_are_named(committed_db: None) -> None:
    record_worker_heartbeat()
    world = make_world()
    make_ended_run(world, timezone.now() + timedelta(minutes=2), minutes=0.1)
    (sentence,) = advice(read_size())
    assert sentence.startswith("1 of 1 runs began more than a minute late.")


def test_the_command_prints_counts_and_tables_and_misses_a_worker(committed_db: None) -> None:
    failed = {"status": Status.FAILED, "failure_class": FailureClass.SOURCE}
    make_run(make_world(), **failed, finished_at=timezone.now())
    output = StringIO()
    call_command("size", stdout=output)
    text = output.getvalue()
    assert "1, of which 1 failed; 0 records written" in text
    assert "runs_run" in text
    assert "-> No worker is alive: start one with `manage.py worker`." in text
