"""Choose the streams of a run: those that the definition names, and those of the source that its patterns match."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import cast

from django.db import connection

from apps.background.retries import retry_while_unavailable
from apps.connectors import engine as connector_engine
from apps.connectors.checks import discoveries
from apps.connectors.models import Connector
from apps.engine import EngineError, EngineSupervisor, Failed
from apps.engine.answers import Stream
from apps.engine.contract import LogLine, SourceSpec
from apps.engine.failures import FailureClass
from apps.engine.process.stream_series import stop_failure
from apps.orgs.exceptions import Invalid
from apps.orgs.models import Org
from apps.orgs.walls.scope import org_scope
from apps.pipelines.definition import (
    Definition,
    StreamDocument,
    with_shared_settings,
    without_shared_settings,
)
from apps.pipelines.history import versions
from apps.pipelines.matching import storing
from apps.pipelines.matching.storing import Resolved
from apps.pipelines.models import Pipeline, PipelineVersion
from apps.runs.attempts.recorder import Recorder
from apps.runs.attempts.stream_tracker import UNFINISHED
from apps.runs.claiming import leases
from apps.runs.claiming.leases import Claim
from apps.runs.models import RunStream, Status
from apps.runs.snapshots import failure_columns

DISCOVERY_SECONDS = 300.0
MAX_NAMED = 10  # streams that a line of the log names


def rows_of_run(claim: Claim) -> list[RunStream]:
    """Return the rows of the run's streams, in order; none before the first attempt has created them."""
    rows = RunStream.objects.for_org(claim.org_id).filter(run_id=claim.run_id)
    return list(rows.order_by("position"))


def matched_streams(rows: Sequence[RunStream], definition: Definition) -> list[StreamDocument]:
    """Return the streams of the run that the patterns of its definition have chosen."""
    return [
        with_shared_settings(definition.patterns, row.settings)
        for row in rows
        if row.settings is not None
    ]


def create_rows(
    claim: Claim, named: Sequence[StreamDocument], matched: Sequence[StreamDocument] = ()
) -> list[RunStream]:
    """Create the rows of the run's streams. Raises LeaseLost."""
    with leases.held(claim):
        return RunStream.objects.for_org(claim.org_id).bulk_create(
            RunStream(
                org_id=claim.org_id,
                run_id=claim.run_id,
                position=position,
                name=stream["stream"],
                table=stream["table"],
                settings=without_shared_settings(stream) if position >= len(named) else None,
            )
            for position, stream in enumerate([*named, *matched])
        )


def fail_rows(claim: Claim, rows: Sequence[RunStream], problems: Mapping[str, str]) -> None:
    """Let those streams fail that cannot be run because of a problem. Raises LeaseLost."""
    failing = [row for row in rows if row.name in problems and row.status in UNFINISHED]
    for row in failing:
        row.status = Status.FAILED
        failure = failure_columns(Failed(FailureClass.CONFIGURATION, problems[row.name]))
        for column, value in failure.items():
            setattr(row, column, value)
    if failing:
        columns = ["status", *failure_columns(Failed(FailureClass.CONFIGURATION, ""))]
        with leases.held(claim):
            RunStream.objects.for_org(claim.org_id).bulk_update(failing, columns, batch_size=500)


def choose_streams(
    engine: EngineSupervisor, claim: Claim, recorder: Recorder, source: SourceSpec
) -> Failed | None:
    """List the streams of the source, choose those that the patterns match, and create the rows of the run.

    Returns why the run cannot go on, or None. Raises LeaseLost.
    """
    try:
        listed = _list_streams(engine, claim, recorder, source)
        resolved = retry_while_unavailable(
            lambda: _resolve(claim, listed), give_up=recorder.shutdown
        )
    except EngineError as error:
        if (reason := recorder.stop_reason()) is not None:
            return stop_failure(reason)
        return Failed(error.failure_class, error.message, error.evidence, error.retryable)
    except Invalid as error:
        return Failed(FailureClass.CONFIGURATION, str(error))
    finally:
        connection.close()
    for line in _log_lines(resolved):
        recorder.add_event(line)
    return None


def _list_streams(
    engine: EngineSupervisor, claim: Claim, recorder: Recorder, source: SourceSpec
) -> list[Stream]:
    payload = connector_engine.discovery_payload(
        org_id=claim.org_id, kind=source.kind, config=dict(source.config), code=source.code
    )
    answer = engine.call(
        "discover",
        payload,
        DISCOVERY_SECONDS,
        should_stop=lambda: recorder.stop_reason() is not None,
    )
    return cast(list[Stream], answer["streams"])


def _resolve(claim: Claim, listed: list[Stream]) -> Resolved:
    with org_scope(claim.org_id):
        org = Org.objects.get(pk=claim.org_id)
        resolved = storing.resolve(
            org=org, pipeline_id=claim.pipeline_id, version=claim.version, listed=listed
        )
        definition = _definition_of(org, claim)
        _store_list(org, definition, listed)
    rows = create_rows(claim, definition.streams, resolved.streams)
    fail_rows(claim, rows, resolved.problems)
    return resolved


def _definition_of(org: Org, claim: Claim) -> Definition:
    pipeline = Pipeline.objects.for_org(org).get(pk=claim.pipeline_id)
    return Definition(versions.get_version(org, pipeline, claim.version).definition)


def _store_list(org: Org, definition: Definition, listed: list[Stream]) -> None:
    """Keep the list for the pages that show the streams of this connector."""
    source = definition.document["source"]
    if source["connector_id"] and source.get("version") is None:
        connector = Connector.objects.for_org(org).get(pk=source["connector_id"])
        code_version = discoveries.code_version_of(org, connector)
        discoveries.store(org, connector, listed, code_version=code_version)


def _log_lines(resolved: Resolved) -> list[LogLine]:
    lines = [LogLine.now("info", f"The patterns match {len(resolved.streams):,} streams.")]
    if resolved.added:
        lines.append(LogLine.now("info", f"New in the source: {_names(resolved.added)}."))
    if resolved.waiting:
        message = "New in the source, not read until somebody adds them on the pipeline's page"
        lines.append(LogLine.now("warning", f"{message}: {_names(resolved.waiting)}."))
    return lines


def _names(names: Sequence[str]) -> str:
    more = len(names) - MAX_NAMED
    return ", ".join(names[:MAX_NAMED]) + (f" and {more:,} more" if more > 0 else "")


def table_problems(
    org: Org, pipeline: Pipeline, version: PipelineVersion, matched: Sequence[StreamDocument]
) -> dict[str, str]:
    """Return why streams that the patterns have matched may not write their tables now, by name."""
    if not matched:
        return {}
    return storing.claim_tables(org, pipeline, Definition(version.definition), matched).problems
