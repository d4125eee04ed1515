"""The total of a run of several streams is known before all of them have begun, from the run before."""

from __future__ import annotations

from apps.engine.contract import Progress, Succeeded
from apps.runs.attempts.earlier_runs import expected_records
from apps.runs.attempts.stream_tracker import StreamTracker
from apps.runs.models import Run, RunStream, Status, Trigger
from tests.runs.conftest import make_pipeline
from tests.runs.processes import start_run
from tests.world import World


def total_of(tracker: StreamTracker) -> int | None:
    progress = tracker.progress
    assert progress is not None
    return progress.total


def rows() -> list[RunStream]:
    return [RunStream(name=name, table=name) for name in ("a", "b")]


def test_streams_that_have_not_begun_have_as_many_records_as_expected() -> None:
    tracker = StreamTracker(rows(), expected={"a": 10, "b": 20})
    assert total_of(tracker) == 30
    tracker.begin("a")
    tracker.to_run_event("a", Progress(5, 5, 0, 1, 1, total=12))
    assert total_of(tracker) == 32
    tracker.to_run_event("b", Progress(25, 25, 0, 1, 1))
    assert total_of(tracker) == 37, "more than expected"
    tracker.end("a", Succeeded(11, 11, 0, 1))
    assert total_of(tracker) == 36, "as many as it had"


def test_without_an_earlier_run_the_total_is_unknown_until_each_stream_is_counted() -> None:
    tracker = StreamTracker(rows())
    assert total_of(tracker) is None
    for name in ("a", "b"):
        tracker.to_run_event(name, Progress(1, 1, 0, 1, 1, total=5))
    assert total_of(tracker) == 10


def test_expected_are_the_records_of_the_newest_successful_run_that_is_no_replay(
    acme: World,
) -> None:
    pipeline = make_pipeline(acme)
    run_id = start_run(acme, pipeline)
    with acme.scope():
        row = RunStream(org=acme.org, run_id=run_id, position=0, name="a", table="a")
        row.records_read = 7
        RunStream.objects.for_org(acme.org).bulk_create([row])
        assert expected_records(acme.org, pipeline.pk) == {}
        runs = Run.objects.for_org(acme.org).filter(pk=run_id)
        runs.update(status=Status.SUCCEEDED)
        assert expected_records(acme.org, pipeline.pk) == {"a": 7}
        runs.update(trigger=Trigger.REPLAY)
        assert expected_records(acme.org, pipeline.pk) == {}, "a replay has read only some"
