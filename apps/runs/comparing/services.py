"""Compare two runs of a pipeline: settings, counts, durations, and the messages of their logs."""

from __future__ import annotations

from dataclasses import dataclass
from uuid import UUID

from apps.orgs.exceptions import NotFound
from apps.orgs.models import Org
from apps.orgs.principals import Principal
from apps.orgs.slow_calls import SlowCall
from apps.pipelines.history import services as history
from apps.pipelines.history.diffs import Change
from apps.runs import snapshots, visibility
from apps.runs.comparing.log_messages import OwnMessage, compare_messages
from apps.runs.models import Run, RunStream
from apps.runs.outputs import log_pages
from apps.runs.snapshots import RunSnapshot, StreamSnapshot

LINES_COMPARED = 5000  # from the start of each log
MAX_STREAMS = 500


@dataclass(frozen=True, slots=True)
class ComparedStream:
    """A stream in each of the runs, or None in a run that did not have it."""

    stream: str
    run: StreamSnapshot | None
    other: StreamSnapshot | None


@dataclass(frozen=True, slots=True)
class Comparison:
    """A run and another run of the same pipeline. `changes` are from the version of the other run to that of the run."""

    run: RunSnapshot
    other: RunSnapshot
    changes: list[Change]
    streams: list[ComparedStream]
    streams_total: int
    only_in_run: list[OwnMessage]
    only_in_other: list[OwnMessage]


def compare(*, org: Org, by: Principal, run_id: UUID, other_id: UUID) -> SlowCall[Comparison]:
    """Return the call that compares the runs. Only reading their logs is slow.

    Raises NotFound, also if the runs do not belong to the same pipeline.
    """
    run, other = (visibility.find_run(org=org, by=by, run_id=each) for each in (run_id, other_id))
    if run.pipeline_id != other.pipeline_id:
        raise NotFound
    snapshot, other_snapshot = snapshots.runs(org_id=org.pk, run_ids=[run_id, other_id])
    changes = _changes(org, by, run, other)
    streams = _compare_streams(org, run, other)
    reads = [
        log_pages.read(org=org, by=by, run_id=each, offset=0, limit=LINES_COMPARED, level=None).run
        for each in (run_id, other_id)
    ]

    def load() -> Comparison:
        lines, other_lines = (read().page.lines for read in reads)
        return Comparison(
            snapshot,
            other_snapshot,
            changes,
            streams[:MAX_STREAMS],
            len(streams),
            *compare_messages(lines, other_lines),
        )

    return SlowCall(load, lambda principal: _recheck(org, principal, run_id, other_id))


def _recheck(org: Org, by: Principal, *run_ids: UUID) -> None:
    for run_id in run_ids:
        visibility.find_run(org=org, by=by, run_id=run_id)


def _changes(org: Org, by: Principal, run: Run, other: Run) -> list[Change]:
    if run.version == other.version:
        return []
    return history.compare_versions(
        org=org, by=by, pipeline_id=run.pipeline_id, before=other.version, after=run.version
    )


def _compare_streams(org: Org, run: Run, other: Run) -> list[ComparedStream]:
    """Return the streams of both runs: those of the run in its order, then those that only the other run has."""
    sides: dict[UUID, dict[str, StreamSnapshot]] = {run.pk: {}, other.pk: {}}
    rows = RunStream.objects.for_org(org).filter(run_id__in=sides).order_by("position")
    for row in rows:
        sides[row.run_id][row.name] = snapshots.stream(row)
    names = dict.fromkeys([*sides[run.pk], *sides[other.pk]])
    return [
        ComparedStream(name, sides[run.pk].get(name), sides[other.pk].get(name)) for name in names
    ]
