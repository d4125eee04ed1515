"""Decide whether the rejected records of a stream of a run can be sent again, by the definition of today."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from uuid import UUID

from django.conf import settings

from apps.engine.field_rules import FieldRule, FieldRules
from apps.engine.stream_keys import backfill_key, replay_key, stream_key
from apps.engine.sync import position_history
from apps.orgs.models import Org
from apps.pipelines.definition import (
    Definition,
    StreamDocument,
    rules_of,
    with_shared_settings,
)
from apps.pipelines.history import versions
from apps.pipelines.matching.choosing import find_streams
from apps.pipelines.models import Pipeline
from apps.runs.models import Backfill, BackfillMode, Run, RunStream, Status, Trigger

NOT_PUBLISHED = "The run has not published the stream: retry it or run the pipeline again, which reads these records too."
IS_GONE = "The pipeline does not read the stream any more."
READS_ALL = "Each run of the stream reads all its records again: run the pipeline again, which reads these records too."
ALREADY_SENT = "The records were sent again before. Those that were rejected again are in the list of that run."
READ_AGAIN = (
    "Since the run, the stream was reset, its position was changed or a part of it was read again, so the records would"
    " arrive twice."
)
MAY_BE_OLDER = (
    "Later runs have written rows of the stream, and nothing tells which of two rows with the same key is newer: the"
    " cursor field does not arrive as it is in the source."
)


@dataclass(frozen=True, slots=True)
class Possibility:
    """Whether the rejected records of a stream can be sent again, or the reason why not.

    `replay_id` is the run that has sent them.
    """

    stream: str
    rejected: int
    refusal: str = ""
    replay_id: UUID | None = None


def possibilities(org: Org, run: Run, *, version: int | None = None) -> list[Possibility]:
    """Return for each stream with rejected records whether they can be sent again.

    The definition of this version would send them, by default that of the pipeline.
    """
    rows = RunStream.objects.for_org(org).filter(run=run, records_rejected__gt=0)
    streams = list(rows.order_by("position"))
    if not streams:
        return []
    return _Judge(org, run, streams, version).judge()


def refusal_of_retry(org: Org, replay: Run) -> str:
    """Return why a replay that has not ended well cannot send its records any more; empty if it can."""
    if replay.replay_of is None:
        return ""
    unfinished = RunStream.objects.for_org(org).filter(run=replay).exclude(status=Status.SUCCEEDED)
    names = set(unfinished.values_list("name", flat=True))
    found = possibilities(org, replay.replay_of, version=replay.version)
    return next((each.refusal for each in found if each.refusal and each.stream in names), "")


def newest_by(stream: StreamDocument) -> str:
    """Return the column of the destination that tells which of two rows with the same key is newer; empty if none does."""
    field = stream["cursor_field"]
    if not field or stream["transforms"]:
        return ""
    rules = rules_of(stream)
    rule = next((each for each in rules.rules if each.field == field), None)
    if rule is None:
        return field if rules.others == "keep" else ""
    return "" if rule.drop or rule.protect or rule.type else rule.final_name


class _Judge:
    def __init__(
        self, org: Org, run: Run, streams: Sequence[RunStream], version: int | None
    ) -> None:
        self._org, self._run, self._streams = org, run, streams
        self._pipeline = Pipeline.objects.for_org(org).get(pk=run.pipeline_id)
        self._earlier = self._definition(run.version)
        self._now = self._definition(version or self._pipeline.version)
        self._found = find_streams(org, self._pipeline, self._now, [row.name for row in streams])
        self._sent = self._find_sent()

    def judge(self) -> list[Possibility]:
        published = [row for row in self._streams if row.status == Status.SUCCEEDED]
        read_again = self._find_read_again(published)
        return [
            Possibility(
                row.name,
                row.records_rejected,
                self._refusal(row, row.name in read_again),
                self._sent.get(row.name),
            )
            for row in self._streams
        ]

    def _definition(self, version: int) -> Definition:
        return Definition(versions.get_version(self._org, self._pipeline, version).definition)

    def _refusal(self, row: RunStream, is_read_again: bool) -> str:
        if row.status != Status.SUCCEEDED:
            return NOT_PUBLISHED
        if row.name in self._sent:
            return ALREADY_SENT
        stream = self._found.get(row.name)
        if stream is None:
            return IS_GONE
        if stream["sync_mode"] != "incremental" or stream["write_mode"] == "replace":
            return READS_ALL
        if field := missing_field(_rules_of_row(self._earlier, row), rules_of(stream)):
            return (
                f"The rules have dropped or hidden {field} when the records were kept, so they do not have it: reset the"
                " stream to read it again."
            )
        if stream["write_mode"] == "append":
            return READ_AGAIN if is_read_again else ""
        return MAY_BE_OLDER if not newest_by(stream) and self._was_written_since(row) else ""

    def _find_sent(self) -> dict[str, UUID]:
        """Return the streams whose records a run has sent again, with that run."""
        rows = RunStream.objects.for_org(self._org).filter(
            run__replay_of=self._run, status=Status.SUCCEEDED
        )
        return dict(rows.values_list("name", "run_id"))

    def _find_read_again(self, rows: Sequence[RunStream]) -> set[str]:
        """Return the streams of which later runs may have read records again that the run has rejected."""
        since = {row.name: row.finished_at for row in rows if row.finished_at is not None}
        ids = self._org.pk, self._run.pipeline_id
        names = {stream_key(*ids, name): name for name in since}
        make_key = _key_of_job(self._run)
        keys = {key: make_key(*ids, name) for key, name in names.items()}
        changed = position_history.read_again(settings.ENGINE_DATABASE_URL, self._run.pk, keys)
        backfills = Backfill.objects.for_org(self._org).filter(
            pipeline_id=self._run.pipeline_id, stream__in=since, mode=BackfillMode.REPLACE
        )
        replaced = {
            each.stream
            for each in backfills
            if each.finished_at is None or each.finished_at > since[each.stream]
        }
        return {names[key] for key in changed} | replaced

    def _was_written_since(self, row: RunStream) -> bool:
        later = RunStream.objects.for_org(self._org).filter(
            run__pipeline_id=self._run.pipeline_id, name=row.name, records_written__gt=0
        )
        later = later.exclude(run=self._run).exclude(run__replay_of=self._run)
        return later.filter(finished_at__gt=row.finished_at).exists()


def _key_of_job(run: Run) -> Callable[[UUID, UUID, str], str]:
    """Return the function that makes the key of the engine's state under which the run has published a stream."""
    if run.trigger == Trigger.REPLAY:
        return replay_key
    return stream_key if run.backfill_id is None else backfill_key


def _rules_of_row(definition: Definition, row: RunStream) -> FieldRules:
    """Return the rules of the stream of a run of this version."""
    if row.settings is not None:
        return rules_of(with_shared_settings(definition.patterns, row.settings))
    stream = definition.stream(row.name)
    return rules_of(stream) if stream is not None else FieldRules()


def missing_field(earlier: FieldRules, now: FieldRules) -> str:
    """Return a field, in words, that arrives by the rules of today and that the earlier rules have dropped or hidden."""
    before = {rule.field: rule for rule in earlier.rules}
    rest = FieldRule("", drop=earlier.others == "drop")
    today = {rule.field: rule for rule in now.rules}
    for rule in now.rules:
        if not rule.drop and _lacks(before.get(rule.field, rest), rule):
            return f"the field {rule.field!r}"
    if now.others == "drop":
        return ""
    if rest.drop:
        return "other fields"
    others = (rule for rule in earlier.rules if rule.field not in today)
    lost = next((rule.field for rule in others if rule.drop or rule.protect), None)
    return "" if lost is None else f"the field {lost!r}"


def _lacks(before: FieldRule, rule: FieldRule) -> bool:
    if before.drop:
        return True
    if rule.protect == "hash" and not before.protect:
        return True  # The hash of a kept value may be another one than that of the source's value.
    return bool(before.protect) and rule.protect not in {before.protect, "redact"}
