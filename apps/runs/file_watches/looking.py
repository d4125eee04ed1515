"""Look for new files, and start a pipeline once for each set of files that has stopped changing.

A look lists the files outside of any transaction. It is stored in one transaction, together with the run that it starts,
and only if no other look or change was stored since it began. So a look of a worker that dies is repeated, and of two
looks at the same time one counts.

Files that are still written change their size or time. So a set starts a run only if the look before has found the same.
It stays unstarted while the pipeline may not start, and later looks try again.

A slow server keeps a look waiting for up to half a minute. So an org makes one look at a time, and others have the other places.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from uuid import UUID

import structlog
from django.db import connection, transaction
from django.db.models import Q
from django.utils import timezone
from procrastinate.exceptions import AlreadyEnqueued

from apps.auth import names
from apps.background import jobs
from apps.connectors import engine
from apps.connectors.models import Connector
from apps.engine.answers import FilesOfStream, Stream
from apps.engine.contract import SourceSpec
from apps.engine.failures import EngineError
from apps.orgs.exceptions import Invalid, SecretUnreadable
from apps.orgs.models import Org
from apps.orgs.principals import SYSTEM
from apps.orgs.tenancy import OrgQuerySet
from apps.orgs.walls.scope import org_scope
from apps.pipelines.definition import Definition
from apps.pipelines.exceptions import RunInProgress
from apps.pipelines.file_watches.services import (
    has_files,
    reason_not_to_start,
    refusal_of_kind,
    schedule_of,
)
from apps.pipelines.history import versions
from apps.pipelines.matching.choosing import (
    INCLUDED,
    MatchedStream,
    choose,
    known_streams,
    matched_rows,
    names_of,
)
from apps.pipelines.models import FileWatch, Pipeline
from apps.pipelines.specs import source_to_list
from apps.runs import services
from apps.runs.models import Trigger
from apps.web.problems import Problem

logger = structlog.get_logger(__name__)

LOOK_TASK = "runs.look_for_files"
QUEUE = "looks"
FARTHEST_LOOK = timedelta(days=2)  # a later time was set by a computer whose clock was wrong
WATCHES_PER_TICK = 500


class StoredMeanwhile(Exception):
    """Another look or a change of the watch was stored since this look began."""


@dataclass(frozen=True, slots=True)
class Task:
    """What is needed for a look, outside of a transaction. `source` has plain secrets."""

    org: Org
    watch: FileWatch
    definition: Definition
    known: dict[str, MatchedStream]  # the streams that the patterns have chosen before
    is_first: bool  # whether they were not matched before
    source: SourceSpec | None
    problem: str = ""


@dataclass(frozen=True, slots=True)
class Found:
    """The files that a look has found, or the problem that it had."""

    digest: str = ""
    files: int = 0
    problem: str = ""


def tick() -> int:
    """Defer a job for each look that is due. Returns their number."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT org_id, pipeline_id FROM file_watches_due(%s)", [WATCHES_PER_TICK])
        due = cursor.fetchall()
    return sum(_look_soon(org_id, pipeline_id) for org_id, pipeline_id in due)


def _look_soon(org_id: UUID, pipeline_id: UUID) -> bool:
    arguments = {"org_id": str(org_id), "pipeline_id": str(pipeline_id)}
    try:
        with transaction.atomic():
            jobs.defer(
                LOOK_TASK,
                queue=QUEUE,
                arguments=arguments,
                lock=f"{LOOK_TASK} of {org_id}",
                waits_once_as=f"{LOOK_TASK} {pipeline_id}",
            )
    except AlreadyEnqueued:
        return False
    return True


def look(*, org_id: UUID, pipeline_id: UUID) -> bool:
    """Look for the files of the pipeline if it is time to. Returns whether that started a run."""
    with org_scope(org_id):
        task = _prepare(org_id, pipeline_id)
    if task is None:
        return False
    try:
        found = _find_files(task)
    except Problem:  # Too many calls run. It stays due.
        return False
    with org_scope(org_id):
        return _store(task.org, task.watch, found)


def _prepare(org_id: UUID, pipeline_id: UUID) -> Task | None:
    """Return what is needed for a look, or None if it is not time for one."""
    org = Org.objects.get(pk=org_id)
    rows = FileWatch.objects.for_org(org).select_related("pipeline")
    now = timezone.now()
    is_too_far = Q(next_look_at__gt=now + FARTHEST_LOOK)
    watch = rows.filter(Q(next_look_at__lte=now) | is_too_far, pipeline_id=pipeline_id).first()
    if watch is None or org.suspended_at is not None or org.deletion_at is not None:
        return None
    pipeline = watch.pipeline
    row = versions.get_version(org, pipeline, pipeline.version)
    definition = Definition(row.definition)
    source, problem = None, ""
    try:
        source = source_to_list(org, row)
    except SecretUnreadable:
        problem = "A secret of the source cannot be decrypted: enter it again."
    except (Invalid, Connector.DoesNotExist) as error:
        problem = str(error)
    known = known_streams(matched_rows(org, pipeline))
    patterns = definition.patterns
    is_first = patterns is not None and pipeline.matched_patterns != patterns["match"]
    return Task(org, watch, definition, known, is_first, source, problem)


def _find_files(task: Task) -> Found:
    """List the files of the streams that the pipeline reads. Raises Problem if too many calls run."""
    pipeline = task.watch.pipeline
    if not has_files(pipeline):
        return Found(problem=refusal_of_kind(pipeline.source_kind))
    if task.source is None:
        return Found(problem=task.problem)
    try:
        streams = engine.list_files(org_id=task.org.pk, source=task.source)["streams"]
    except EngineError as error:
        return Found(problem=error.message)
    wanted = {each["stream"] for each in task.definition.streams}
    chosen = choose(
        task.definition, task.known, list(map(_listed, streams)), is_first=task.is_first
    )
    wanted.update(names_of(chosen, INCLUDED))
    return _summarize({name: each for name, each in streams.items() if name in wanted})


def _listed(name: str) -> Stream:
    """Return the stream as if the source had listed it. Only its name decides whether it is read."""
    return {"name": name, "fields": [], "primary_key": [], "cursor_fields": [], "sync_modes": []}


def _summarize(streams: dict[str, FilesOfStream]) -> Found:
    digest = hashlib.sha256()
    for name, each in sorted(streams.items()):
        digest.update(f"{name}\0{each['digest']}\0".encode("utf-8", "surrogateescape"))
    return Found(digest.hexdigest(), sum(each["files"] for each in streams.values()))


def _store(org: Org, before: FileWatch, found: Found) -> bool:
    """Store the look, and start a run if the files start one. Returns whether they did."""
    now = timezone.now()
    columns: dict[str, Any] = {
        "looked_at": now,
        "next_look_at": now + timedelta(minutes=before.minutes),
        "problem": names.clean_name(found.problem, max_length=500),
    }
    if found.problem:
        logger.info("look for files failed", pipeline=str(before.pipeline_id), why=found.problem)
        _unchanged(before).update(**columns)
        return False
    columns |= {"seen_digest": found.digest, "files": found.files}
    if before.started_digest is None:
        _unchanged(before).update(**columns, started_digest=found.digest)
        return False
    is_quiet = found.digest == before.seen_digest
    if found.files and is_quiet and found.digest != before.started_digest:
        try:
            with transaction.atomic():
                if _start(org, before.pipeline_id):
                    if not _unchanged(before).update(**columns, started_digest=found.digest):
                        raise StoredMeanwhile
                    return True
        except (RunInProgress, StoredMeanwhile):
            logger.debug("files start no run now", pipeline=str(before.pipeline_id))
    _unchanged(before).update(**columns)
    return False


def _unchanged(before: FileWatch) -> OrgQuerySet[FileWatch]:
    """Return the row, unless another look or a change was stored since it was read."""
    return FileWatch.objects.for_org(before.org_id).filter(
        pk=before.pk,
        next_look_at=before.next_look_at,
        looked_at=before.looked_at,
        started_digest=before.started_digest,
    )


def _start(org: Org, pipeline_id: UUID) -> bool:
    """Start a run if the pipeline may start now. Returns whether it did. Raises RunInProgress."""
    pipeline = Pipeline.objects.for_org(org).get(pk=pipeline_id)
    if reason_not_to_start(pipeline, schedule_of(org, pipeline)):
        return False
    services.start(org=org, by=SYSTEM, pipeline_id=pipeline_id, trigger=Trigger.FILE)
    return True
