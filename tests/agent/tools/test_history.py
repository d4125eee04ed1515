"""Tools that pause a schedule and restore an old version of a pipeline."""

from __future__ import annotations

from typing import Any

import pytest

from apps.orgs.exceptions import Invalid
from apps.orgs.principals import SYSTEM
from apps.pipelines import services
from apps.pipelines.models import PipelineVersion, Schedule
from tests.agent.tools.use import card, error_code, use
from tests.world import World, make_pipeline


@pytest.fixture
def changed(world: World) -> Any:
    """A pipeline whose table was changed in its second version."""
    pipeline = make_pipeline(world, name="flights", schedule="0 6 * * *")
    with world.scope():
        changes: Any = {"config": {"streams": [{"table": "all_flights"}]}}
        services.update(org=world.org, by=SYSTEM, pipeline_id=pipeline.pk, changes=changes)
    return pipeline


def test_an_old_version_is_restored_after_a_card_that_changes_nothing(
    world: World, changed: Any
) -> None:
    shown = card(world, "restore_pipeline_version", pipeline_id=str(changed.pk), number=1)
    assert shown["title"] == "Restore version 1 of the pipeline flights"
    with world.scope():
        assert PipelineVersion.objects.for_org(world.org).filter(pipeline=changed).count() == 2

    answer = use(world, "restore_pipeline_version", pipeline_id=str(changed.pk), number=1)
    assert answer.summary == "Restored version 1 of flights as version 3."


@pytest.mark.parametrize(("number", "code"), [(2, "invalid"), (9, "not_found"), (0, "invalid")])
def test_a_version_that_is_missing_or_current_is_not_restored(
    world: World, changed: Any, number: int, code: str
) -> None:
    answer = use(world, "restore_pipeline_version", pipeline_id=str(changed.pk), number=number)
    assert error_code(answer) == code


def test_a_schedule_is_paused_with_a_note_and_resumed(world: World, changed: Any) -> None:
    arguments: Any = {"pipeline_id": str(changed.pk)}
    shown = card(world, "set_schedule_paused", **arguments, paused=True, note="We move")
    assert shown["facts"] == [{"label": "Next run", "value": "None"}]
    use(world, "set_schedule_paused", **arguments, paused=True, note="We move")
    with world.scope():
        schedule = Schedule.objects.for_org(world.org).get()
    assert (schedule.paused_note, schedule.next_run_at) == ("We move", None)

    assert use(world, "set_schedule_paused", **arguments, paused=False).content["next_run_at"]


def test_a_pipeline_without_a_schedule_cannot_be_paused(world: World) -> None:
    pipeline = make_pipeline(world)
    answer = use(world, "set_schedule_paused", pipeline_id=str(pipeline.pk), paused=True)
    assert "has no schedule" in str(answer.content)


def test_restoring_nothing_asks_nobody(world: World, changed: Any) -> None:
    with pytest.raises(Invalid):
        card(world, "restore_pipeline_version", pipeline_id=str(changed.pk), number=2)
