"""A job may name an org and an object of another org, because of a bug or a forged row. It must then do nothing."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from inspect import signature
from typing import Any
from uuid import UUID

import pytest
from django.core import mail
from django.db import transaction
from django.utils import timezone
from procrastinate.contrib.django import app
from pytest_django.plugin import DjangoDbBlocker

from apps.agent.models import Turn, TurnStatus
from apps.alerts.follow_ups.models import FollowUp, FollowUpCall
from apps.alerts.models import Delivery
from apps.connectors.models import Repository
from apps.connectors.storage import database_folder
from apps.orgs.models import Invitation, VerifiedDomain
from apps.orgs.walls.scope import org_scope
from apps.pipelines.models import FileWatch, Pipeline, Schedule
from apps.runs.claiming import leases
from apps.runs.models import Output, Run
from apps.runs.outputs import storage
from tests.isolation.planted import PlantedOrg, plant
from tests.isolation.test_matrix import roll_back

# Tasks without an org. They work for one user, or use functions over all orgs that return only ids.
TASKS_WITHOUT_ORG = {
    "auth.mail_link",
    "auth.mail_notice",
    "orgs.recheck_domains",
    "runs.tick",
    "runs.backfill",
    "runs.depend",
    "runs.watch_files",
    "runs.reconcile",
    "runs.retain",
    "runs.sweep",
    "alerts.tick",
    "alerts.decide",
    "alerts.watch",
    "alerts.follow_up",
    "alerts.watch_subjects",
    "alerts.end_snoozes",
    "alerts.end_incidents",
    "alerts.heartbeat",
    "agent.reconcile",
    "agent.import_packages",
}
# This task ignores its arguments and claims the next run itself. The arguments are for people who read the queue.
WAKE_UP_TASK = "runs.execute"
TURN_JOB = "agent.run_turn"  # see tests/isolation/test_turn_job.py


@dataclass(frozen=True)
class Job:
    """The arguments of a task except its org. `prepare` creates the state in which the task changes something."""

    arguments: Callable[[PlantedOrg], dict[str, str]]
    prepare: Callable[[PlantedOrg], None] = lambda planted: None


def request_cancel(planted: PlantedOrg) -> None:
    with planted.world.scope():
        run = planted.ids["live_run"]
        leases.claim_run(org_id=planted.world.org.pk, run_id=run, worker="gone")
        runs = Run.objects.for_org(planted.world.org).filter(pk=run)
        runs.update(cancel_requested_at=timezone.now())


def make_turn_pending(planted: PlantedOrg) -> None:
    with planted.world.scope():
        turns = Turn.objects.for_org(planted.world.org).filter(pk=planted["turn"])
        turns.update(status=TurnStatus.PENDING)


def succeed_upstream_of_paused_pipeline(planted: PlantedOrg) -> None:
    """Let the pipeline have a success, and resume the pipeline that runs after it."""
    with planted.world.scope():
        rows = Pipeline.objects.for_org(planted.world.org).filter(pk=planted["pipeline"])
        rows.update(last_success_at=timezone.now())
        schedules = Schedule.objects.for_org(planted.world.org)
        schedules.filter(pipeline_id=planted["paused_pipeline"]).update(paused_at=None)


def delete_pipeline(planted: PlantedOrg) -> None:
    """Delete the pipeline's row. The job must delete the folder of its run."""
    with planted.world.scope():
        Run.objects.for_org(planted.world.org).filter(pk=planted["run"]).delete()
        Pipeline.objects.for_org(planted.world.org).filter(pk=planted["pipeline"]).delete()


def store_database_of_deleted_connector(planted: PlantedOrg) -> None:
    """Store a DuckDB file whose connector does not exist. It has the id of the pipeline, which no connector has."""
    folder = database_folder(planted.world.org.pk, UUID(planted["pipeline"]))
    storage.write(f"{folder}/database.duckdb", b"tables")


def make_call_pending(planted: PlantedOrg) -> None:
    """Let the call be due. Its follow-up is disabled, so the job stores that, and does not use the network."""
    with planted.world.scope():
        FollowUp.objects.for_org(planted.world.org).update(enabled=False)
        FollowUpCall.objects.for_org(planted.world.org).update(state="pending")


JOBS = {
    "runs.start_dependents": Job(
        lambda p: {"pipeline_id": p["pipeline"]}, succeed_upstream_of_paused_pipeline
    ),
    "runs.look_for_files": Job(lambda p: {"pipeline_id": p["pipeline"]}),
    "runs.enforce_cancel": Job(lambda p: {"run_id": p["live_run"]}, request_cancel),
    "pipelines.remove_remains": Job(lambda p: {"pipeline_id": p["pipeline"]}, delete_pipeline),
    "connectors.remove_database": Job(
        lambda p: {"connector_id": p["pipeline"]}, store_database_of_deleted_connector
    ),
    "connectors.sync_repository": Job(lambda p: {"repository_id": p["repository"]}),
    "orgs.recheck_domain": Job(lambda p: {"domain_id": p["verified_domain"]}),
    "alerts.call_follow_ups": Job(lambda p: {}, make_call_pending),
    "alerts.deliver": Job(lambda p: {"channel_id": p["waiting_channel"]}),
    "agent.run_turn": Job(lambda p: {"turn_id": p["turn"]}, make_turn_pending),
    "orgs.mail_invitation": Job(lambda p: {"invitation_id": p["invitation"]}),
}


@pytest.fixture(scope="module")
def orgs(
    django_db_setup: None, django_db_blocker: DjangoDbBlocker
) -> Iterator[tuple[PlantedOrg, PlantedOrg]]:
    """Create two orgs for the whole module, in one transaction. Each job is rolled back separately."""
    with django_db_blocker.unblock(), transaction.atomic():
        yield plant(), plant()
        transaction.set_rollback(True)


def our_tasks() -> dict[str, set[str]]:
    """Return the names and arguments of Drover's tasks, without Procrastinate's own task."""
    return {
        name: set(signature(task.func).parameters)
        for name, task in app.tasks.items()
        if "procrastinate." not in name
    }


def test_every_task_is_listed() -> None:
    assert set(our_tasks()) == set(JOBS) | TASKS_WITHOUT_ORG | {WAKE_UP_TASK}
    assert {name for name, arguments in our_tasks().items() if "org_id" in arguments} == {
        *JOBS,
        WAKE_UP_TASK,
    }


def changeable_data(planted: PlantedOrg) -> list[Any]:
    """Return everything that a job could change: rows, and the files of the runs."""
    org = planted.world.org
    with org_scope(org.pk):
        rows = [
            list(model.objects.for_org(org).order_by("pk").values())
            for model in (
                Run,
                Output,
                Pipeline,
                Invitation,
                Repository,
                VerifiedDomain,
                Turn,
                Delivery,
                FollowUpCall,
                FileWatch,
            )
        ]
    return [*rows, sorted(storage.run_ids(org.pk)), storage.database_ids(org.pk)]


def check_job(name: str, mine: PlantedOrg, theirs: PlantedOrg) -> None:
    job, task = JOBS[name], app.tasks[name].func
    job.prepare(mine)
    job.prepare(theirs)
    before = changeable_data(theirs)
    task(org_id=mine["org"], **job.arguments(theirs))
    assert changeable_data(theirs) == before
    assert mail.outbox == []
    task(org_id=theirs["org"], **job.arguments(theirs))
    assert changeable_data(theirs) != before


@pytest.mark.parametrize("name", sorted(set(JOBS) - {TURN_JOB}))
def test_a_job_changes_an_object_only_if_it_names_the_org_of_the_object(
    name: str, orgs: tuple[PlantedOrg, PlantedOrg]
) -> None:
    with roll_back():
        check_job(name, *orgs)
