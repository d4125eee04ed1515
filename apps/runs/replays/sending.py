"""Make the specifications of a run that sends the rejected records of an earlier run again."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from uuid import UUID

from apps.engine.contract import KeptRecords, PublishRules
from apps.orgs.exceptions import Invalid
from apps.orgs.models import Org
from apps.pipelines.definition import Definition
from apps.pipelines.specs import StreamSpecs
from apps.runs.models import Run, RunStream, Trigger
from apps.runs.outputs import storage
from apps.runs.replays.possible import newest_by

RUN_IS_GONE = "The run whose rejected records were to be sent again was removed."


def find_replayed_run(org: Org, run_id: UUID) -> Run | None:
    """Return the run whose records this run sends again, None if it reads its source. Raises Invalid if that run is gone."""
    run = Run.objects.for_org(org).select_related("replay_of").get(pk=run_id)
    if run.trigger != Trigger.REPLAY:
        return None
    if run.replay_of is None:
        raise Invalid([("run", RUN_IS_GONE, "unknown")])
    replayed: Run = run.replay_of
    return replayed


def specs_of_replay(
    org: Org,
    replayed: Run,
    definition: Definition,
    rows: Sequence[RunStream],
    specs: Sequence[StreamSpecs],
) -> list[StreamSpecs]:
    """Return the specifications of the streams of these rows. They read the kept records and not the source."""
    root = storage.left_out_root(org.pk, replayed.pk)
    counts = {row.name: row.records_total or 0 for row in rows}
    return [
        _spec_of_stream(
            KeptRecords(str(replayed.pk), root, counts[each.source.stream]), definition, each
        )
        for each in specs
        if each.source.stream in counts
    ]


def _spec_of_stream(kept: KeptRecords, definition: Definition, specs: StreamSpecs) -> StreamSpecs:
    stream = definition.stream(specs.source.stream)
    merges = specs.destination.write_mode == "merge"
    # A field that is hashed now was hashed when the records were kept; otherwise they are not sent.
    hashed = tuple(rule.field for rule in specs.fields.rules if rule.protect == "hash")
    return replace(
        specs,
        source=replace(specs.source, sync_mode="full_refresh"),
        destination=replace(
            specs.destination, newest_by=newest_by(stream) if merges and stream else ""
        ),
        rules=PublishRules(allow_empty=True, max_rejected_share=1.0),
        replay=replace(kept, hashed=hashed),
    )
