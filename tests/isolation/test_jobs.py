"""Arguments of jobs: an org with an object of another org, as a bug or a forged row could combine them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from inspect import signature
from typing import Any

import pytest
from django.core import mail
from django.utils import timezone
from procrastinate.contrib.django import app

from apps.connectors.models import Repository
from apps.orgs.models import Invitation, VerifiedDomain
from apps.orgs.walls.scope import org_scope
from apps.pipelines.models import Pipeline
from apps.runs.claiming import leases
from apps.runs.models import Output, Run
from apps.runs.outputs import storage
from tests.isolation.planted import Planted, plant

# Tasks without an org: they use the user of an address, or functions over all orgs that return ids.
OF_NO_ORG = {
    "auth.mail_link",
    "auth.mail_notice",
    "orgs.recheck_domains",
    "runs.tick",
    "runs.reconcile",
    "runs.retain",
    "runs.sweep",
}
# Its arguments are only for readers of the queue: the task claims the next run itself.
TICKET = "runs.execute"


@dataclass(frozen=True)
class Job:
    """The arguments of a task besides its org, and the state it needs to have something to do."""

    arguments: Callable[[Planted], dict[str, str]]
    ready: Callable[[Planted], None] = lambda planted: None


def ask_to_cancel(planted: Planted) -> None:
    with planted.world.scope():
        run = planted.ids["live_run"]
        leases.take(org_id=planted.world.org.pk, run_id=run, worker="gone")
        asked = Run.objects.for_org(planted.world.org).filter(pk=run)
        asked.update(cancel_requested_at=timezone.now())


def delete_pipeline(planted: Planted) -> None:
    """The row; its run's folder is kept for the job."""
    with planted.world.scope():
        Run.objects.for_org(planted.world.org).filter(pk=planted["run"]).delete()
        Pipeline.objects.for_org(planted.world.org).filter(pk=planted["pipeline"]).delete()


JOBS = {
    "runs.enforce_cancel": Job(lambda p: {"run_id": p["live_run"]}, ask_to_cancel),
    "pipelines.remove_remains": Job(lambda p: {"pipeline_id": p["pipeline"]}, delete_pipeline),
    "connectors.sync_repository": Job(lambda p: {"repository_id": p["repository"]}),
    "orgs.recheck_domain": Job(lambda p: {"domain_id": p["verified_domain"]}),
    "orgs.mail_invitation": Job(lambda p: {"invitation_id": p["invitation"]}),
}


@pytest.fixture
def orgs(committed_db: None) -> tuple[Planted, Planted]:
    return plant(), plant()


def ours() -> dict[str, set[str]]:
    """Return our tasks and their arguments; Procrastinate adds one of its own."""
    return {
        name: set(signature(task.func).parameters)
        for name, task in app.tasks.items()
        if "procrastinate." not in name
    }


def test_every_task_is_listed() -> None:
    assert set(ours()) == set(JOBS) | OF_NO_ORG | {TICKET}
    assert {name for name, takes in ours().items() if "org_id" in takes} == {*JOBS, TICKET}


def everything_of(planted: Planted) -> list[Any]:
    """Return what a job could change: rows, and the files of the runs."""
    org = planted.world.org
    with org_scope(org.pk):
        rows = [
            list(model.objects.for_org(org).order_by("pk").values())
            for model in (Run, Output, Pipeline, Invitation, Repository, VerifiedDomain)
        ]
    return [*rows, sorted(storage.run_ids(org.pk))]


@pytest.mark.parametrize("name", sorted(JOBS))
def test_a_job_of_one_org_does_nothing_to_another_and_what_it_should_to_its_own(
    name: str, orgs: tuple[Planted, Planted]
) -> None:
    mine, theirs = orgs
    job, task = JOBS[name], app.tasks[name].func
    job.ready(mine)
    job.ready(theirs)
    before = everything_of(theirs)
    task(org_id=mine["org"], **job.arguments(theirs))
    assert everything_of(theirs) == before
    assert mail.outbox == []
    task(org_id=theirs["org"], **job.arguments(theirs))
    assert everything_of(theirs) != before
