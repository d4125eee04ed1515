"""Send the rejected records of a run again: show which streams allow it, and start the run that does it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TypedDict
from uuid import UUID

from django.db import transaction

from apps.json import JsonValue
from apps.orgs import audit
from apps.orgs.exceptions import Invalid
from apps.orgs.models import Org
from apps.orgs.principals import Principal
from apps.orgs.roles import Permission
from apps.orgs.slow_calls import SlowCall
from apps.pipelines.definition import Definition, StreamDocument, without_shared_settings
from apps.pipelines.history import versions
from apps.pipelines.matching.choosing import find_streams
from apps.pipelines.models import Pipeline
from apps.runs import services as runs
from apps.runs import visibility
from apps.runs.exceptions import NothingToSend
from apps.runs.models import Run, RunStream, Trigger
from apps.runs.outputs import left_out
from apps.runs.replays.possible import Possibility, possibilities

NOT_KEPT = "None of the records is kept whole: a record that could not be read at all, that is larger than 1 MB or that a"
NOT_KEPT += " transform has made from a record with several results cannot be sent again, and neither can removed records."

Counts = Mapping[str, int]  # of the records that can be sent again, by stream


class ReplayableStream(TypedDict):
    """Whether the rejected records of a stream can be sent again, or the reason why not."""

    stream: str
    rejected: int
    sendable: int
    refusal: str
    replay_id: UUID | None


@dataclass(frozen=True, slots=True)
class Replayable:
    results: list[ReplayableStream]


def show(*, org: Org, by: Principal, run_id: UUID) -> SlowCall[Replayable]:
    """Return a SlowCall that returns for each stream with rejected records whether they can be sent again.

    Raises NotFound.
    """
    found = possibilities(org, visibility.find_run(org=org, by=by, run_id=run_id))
    return SlowCall(
        lambda: Replayable(_with_counts(found, _count(org, run_id, found))),
        lambda principal: visibility.find_run(org=org, by=principal, run_id=run_id),
    )


def count(*, org: Org, by: Principal, run_id: UUID) -> SlowCall[Counts]:
    """Return a SlowCall that counts the records that can be sent again. Raises NotFound and PermissionMissing."""
    found = possibilities(org, _find_run(org, by, run_id))
    return SlowCall(
        lambda: _count(org, run_id, found), lambda principal: _find_run(org, principal, run_id)
    )


def start(
    *, org: Org, by: Principal, run_id: UUID, streams: Sequence[str] | None, counts: Counts
) -> Run:
    """Start a run that sends the rejected records of these streams again, or of all streams that allow it.

    Raises NotFound, PermissionMissing, NothingToSend, Invalid if a named stream does not allow it, and what
    `runs.start` raises.
    """
    run = _find_run(org, by, run_id)
    with transaction.atomic():
        replay = runs.start(
            org=org,
            by=by,
            pipeline_id=run.pipeline_id,
            trigger=Trigger.REPLAY,
            replay_of=run,
        )
        # No other run of the pipeline is live from here on, so nothing changes what is possible.
        found = _with_counts(possibilities(org, run, version=replay.version), counts)
        names = _choose(found, streams)
        _create_rows(org, replay, names, counts)
        changes: dict[str, JsonValue] = {
            "streams": [None, [*names]],
            "replay_id": [None, str(replay.pk)],
        }
        audit.record(
            org=org,
            by=by,
            action="run.replay",
            object_kind="run",
            object_id=run.pk,
            object_label=run.pipeline.name,
            changes=changes,
        )
    return replay


def _find_run(org: Org, by: Principal, run_id: UUID) -> Run:
    return visibility.find_permitted_run(Permission.PIPELINES_RUN, org=org, by=by, run_id=run_id)


def _count(org: Org, run_id: UUID, found: Sequence[Possibility]) -> Counts:
    return {each.stream: left_out.count_sendable(org.pk, run_id, each.stream) for each in found}


def _with_counts(found: Sequence[Possibility], counts: Counts) -> list[ReplayableStream]:
    return [
        {
            "stream": each.stream,
            "rejected": each.rejected,
            "sendable": counts.get(each.stream, 0),
            "refusal": each.refusal or ("" if counts.get(each.stream) else NOT_KEPT),
            "replay_id": each.replay_id,
        }
        for each in found
    ]


def _choose(found: Sequence[ReplayableStream], streams: Sequence[str] | None) -> list[str]:
    """Return the names of the streams whose records are sent. Raises Invalid and NothingToSend."""
    if streams is None:
        names = [each["stream"] for each in found if not each["refusal"]]
        if not names:
            raise NothingToSend(found[0]["refusal"] if found else "")
        return names
    by_name = {each["stream"]: each for each in found}
    for number, name in enumerate(streams):
        field = f"streams.{number}"
        if name not in by_name:
            raise Invalid([(field, "The run has rejected no record of this stream.", "unknown")])
        if refusal := by_name[name]["refusal"]:
            raise Invalid([(field, refusal, "not_possible")])
    return list(streams)


def _create_rows(org: Org, replay: Run, names: Sequence[str], counts: Counts) -> None:
    """Create the rows of the streams, as a run usually does in its first attempt."""
    pipeline = Pipeline.objects.for_org(org).get(pk=replay.pipeline_id)
    definition = Definition(versions.get_version(org, pipeline, replay.version).definition)
    found = find_streams(org, pipeline, definition, names)
    streams: list[StreamDocument] = [found[name] for name in names if name in found]
    named = {stream["stream"] for stream in definition.streams}
    RunStream.objects.for_org(org).bulk_create(
        RunStream(
            org=org,
            run=replay,
            position=position,
            name=stream["stream"],
            table=stream["table"],
            settings=None if stream["stream"] in named else without_shared_settings(stream),
            records_total=counts[stream["stream"]],
        )
        for position, stream in enumerate(streams)
    )
