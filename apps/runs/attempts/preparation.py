"""Prepare an attempt: read the settings of the run, and create the rows of its streams if they do not exist."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from django.conf import settings

from apps.connectors import catalogue, sandboxes
from apps.engine import Failed, RunSpec
from apps.engine.contract import SourceSpec
from apps.engine.failures import FailureClass
from apps.orgs.exceptions import Invalid, SecretUnreadable
from apps.orgs.models import Org
from apps.orgs.walls.scope import org_scope
from apps.pipelines import targets
from apps.pipelines.definition import DEFAULT_SNAPSHOT, Definition, StreamDocument
from apps.pipelines.history import versions
from apps.pipelines.models import Pipeline, PipelineVersion
from apps.pipelines.specs import StreamSpecs, engine_specs, source_to_list
from apps.runs.attempts import chosen_streams, earlier_runs
from apps.runs.attempts.shared_snapshots import SnapshotPlan
from apps.runs.backfills import chunks
from apps.runs.backfills.chunks import Chunk
from apps.runs.claiming.leases import Claim
from apps.runs.models import Run, RunStream
from apps.runs.outputs import storage
from apps.runs.replays import sending
from apps.runs.usage import counting as usage

NO_SNAPSHOT = SnapshotPlan(DEFAULT_SNAPSHOT, source_has_snapshots=False, last_duration=None)


@dataclass(frozen=True, slots=True)
class PreparedRun:
    """The streams of the run and their specifications, and what the log says about the settings.

    Before the streams of patterns are chosen, there are none: then `source` is the source to list. `expected` are the
    numbers of records of the streams, by stream, if they are known.
    """

    streams: list[RunStream]
    specs: Mapping[str, RunSpec]  # by stream
    warnings: tuple[str, ...]  # They name no other pipeline.
    snapshot_plan: SnapshotPlan
    source: SourceSpec | None = None
    expected: Mapping[str, int] = field(default_factory=dict)
    stops_at_failure: bool = False


def prepare(claim: Claim) -> PreparedRun | Failed:
    """Read the settings of the run, and create the rows of its streams if they do not exist. Raises LeaseLost.

    Returns Failed if the org has reached a monthly limit, or if the pipeline's settings cannot be read.
    """
    with org_scope(claim.org_id):
        org = Org.objects.get(pk=claim.org_id)
        if (measure := usage.reached_limit(org)) is not None:
            return usage.limit_failure(measure)
        try:
            found = _read_settings(org, claim)
            warnings = found.warnings()
            if found.has_to_choose_streams:
                source = source_to_list(org, found.version)
                return PreparedRun([], {}, warnings, NO_SNAPSHOT, source)
            matched = found.matched_streams()
            stream_specs = found.stream_specs(matched)
            problems = chosen_streams.table_problems(org, found.pipeline, found.version, matched)
        except (Invalid, SecretUnreadable, PipelineVersion.DoesNotExist) as error:
            return Failed(FailureClass.CONFIGURATION, str(error) or type(error).__name__)
        plan = found.snapshot_plan(stream_specs)
        expected = found.expected_records(stream_specs)
    rows = found.rows or _create_rows(claim, found.definition, stream_specs, matched)
    chosen_streams.fail_rows(claim, rows, problems)
    specs = {each.source.stream: _run_spec(claim, each) for each in stream_specs}
    stops = found.definition.stops_at_failure
    return PreparedRun(rows, specs, warnings, plan, expected=expected, stops_at_failure=stops)


@dataclass(frozen=True, slots=True)
class _RunSettings:
    """The version of the pipeline that a run executes, and the rows of its streams, if an attempt has created them.

    `chunk` is the part of a backfill that the run carries out. `replayed` is the run whose rejected records it sends
    again. An ordinary run has neither.
    """

    org: Org
    pipeline: Pipeline
    version: PipelineVersion
    definition: Definition
    rows: list[RunStream]
    chunk: Chunk | None
    replayed: Run | None

    @property
    def has_to_choose_streams(self) -> bool:
        """Whether the source has to be listed, because patterns choose the streams of the run."""
        return not self.rows and self.chunk is None and bool(self.definition.patterns)

    def warnings(self) -> tuple[str, ...]:
        is_shared = bool(targets.other_writers(self.org, self.pipeline))
        return (targets.SHARED_BY_ANOTHER,) if is_shared else ()

    def matched_streams(self) -> list[StreamDocument]:
        """Return the streams of the run that the patterns of its definition have chosen. Raises Invalid."""
        if self.chunk is not None and not self.rows:
            return chunks.matched_stream_of_chunk(
                self.org, self.pipeline, self.definition, self.chunk
            )
        return chosen_streams.matched_streams(self.rows, self.definition)

    def stream_specs(self, matched: Sequence[StreamDocument]) -> list[StreamSpecs]:
        """Return the specifications of the streams that the run reads. Raises Invalid and SecretUnreadable."""
        specs = engine_specs(
            org=self.org, pipeline=self.pipeline, version=self.version.number, matched=matched
        )
        if self.chunk is not None:
            return chunks.specs_of_chunk(self.chunk, specs)
        if self.replayed is not None:
            definition = self.definition.with_streams([*self.definition.streams, *matched])
            return sending.specs_of_replay(self.org, self.replayed, definition, self.rows, specs)
        return specs

    def snapshot_plan(self, specs: Sequence[StreamSpecs]) -> SnapshotPlan:
        """Return how the streams share a snapshot. Nothing is asked for a single stream, or if no source is read."""
        if len(specs) <= 1 or self.replayed is not None:
            return NO_SNAPSHOT
        kind = catalogue.find("source", specs[0].source.kind)
        if kind is None or not kind.shares_snapshots:
            return NO_SNAPSHOT
        duration = earlier_runs.last_duration(self.org, self.pipeline.pk)
        return SnapshotPlan(
            self.definition.snapshot, source_has_snapshots=True, last_duration=duration
        )

    def expected_records(self, specs: Sequence[StreamSpecs]) -> dict[str, int]:
        """Return the numbers of records that the streams will probably have. Nothing is asked for a single stream."""
        if len(specs) <= 1:
            return {}
        return earlier_runs.expected_records(self.org, self.pipeline.pk)


def _read_settings(org: Org, claim: Claim) -> _RunSettings:
    """Raises PipelineVersion.DoesNotExist, and Invalid if the run whose records it sends again was removed."""
    pipeline = Pipeline.objects.for_org(org).get(pk=claim.pipeline_id)
    version = versions.get_version(org, pipeline, claim.version)
    return _RunSettings(
        org=org,
        pipeline=pipeline,
        version=version,
        definition=Definition(version.definition),
        rows=chosen_streams.rows_of_run(claim),
        chunk=chunks.find_chunk(org, claim.run_id),
        replayed=sending.find_replayed_run(org, claim.run_id),
    )


def _create_rows(
    claim: Claim,
    definition: Definition,
    specs: Sequence[StreamSpecs],
    matched: Sequence[StreamDocument],
) -> list[RunStream]:
    """Create the rows of the streams that the run reads, in the order of the definition. Raises LeaseLost."""
    names = {each.source.stream for each in specs}
    named = [stream for stream in definition.streams if stream["stream"] in names]
    return chosen_streams.create_rows(claim, named, matched)


def _run_spec(claim: Claim, specs: StreamSpecs) -> RunSpec:
    return RunSpec(
        run_id=str(claim.run_id),
        org_id=str(claim.org_id),
        pipeline_id=str(claim.pipeline_id),
        attempt=claim.attempt,
        lease=str(claim.lease),
        source=specs.source,
        destination=specs.destination,
        fields=specs.fields,
        transform=specs.transform,
        contract=specs.contract,
        rules=specs.rules,
        left_out=storage.left_out_root(claim.org_id, claim.run_id),
        replay=specs.replay,
        state_dsn=settings.ENGINE_DATABASE_URL,
        data=storage.data_root(claim.org_id, claim.pipeline_id),
        files=storage.files_root(claim.org_id),
        allow_private_networks=settings.ALLOW_PRIVATE_NETWORKS,
        sandbox=sandboxes.spec_for_runs(),
    )
