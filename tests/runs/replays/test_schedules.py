"""A schedule that becomes due during a replay waits for its end, and the replay is not the pipeline's last run."""

from __future__ import annotations

from apps.orgs.principals import SYSTEM
from apps.pipelines.models import Overlap
from apps.runs import scheduling, services
from apps.runs.claiming import leases
from apps.runs.models import Run, Trigger
from tests.runs.claiming.test_scheduling import create_schedule, read_next_run_at, runs_of_pipeline
from tests.runs.claiming.test_turns import finish_run
from tests.runs.conftest import make_pipeline
from tests.world import World


def test_a_schedule_waits_for_a_replay(acme: World) -> None:
    pipeline = make_pipeline(acme)
    with acme.scope():
        replay = services.start(
            org=acme.org, by=SYSTEM, pipeline_id=pipeline.pk, trigger=Trigger.REPLAY
        )
    schedule = create_schedule(acme, pipeline, overlap=Overlap.SKIP)
    due = schedule.next_run_at
    assert scheduling.tick() == 0
    assert read_next_run_at(acme, schedule) == due

    claim = leases.claim_next("tests")
    assert claim is not None
    finish_run(claim)
    assert scheduling.tick() == 1
    scheduled = runs_of_pipeline(acme, pipeline)[-1]
    assert (scheduled.trigger, scheduled.slot) == (Trigger.SCHEDULE, due)
    with acme.scope():
        ordinary = Run.objects.for_org(acme.org).filter(pipeline=pipeline)
        assert [run.pk for run in ordinary if run.is_ordinary] == [scheduled.pk]
        assert not Run.objects.for_org(acme.org).get(pk=replay.pk).is_ordinary
