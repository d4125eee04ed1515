"""Run one stream: read pages ahead, stage them in batches, commit a checkpoint for each batch, and publish once.

If the process is killed at any moment and the run is retried, no row is lost or duplicated, provided that the
source returns the same page again. This follows from the order of the steps:
- A batch is staged. Then its checkpoint is committed, if this attempt still owns the stream.
- A later attempt removes staged batches without a checkpoint.
- Publishing a job a second time changes nothing. A job is finished after it was published.
"""

from __future__ import annotations

import contextlib
import json
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from loguru import logger
from polars.exceptions import PanicException

from apps.egress.log import log as egress_log
from apps.engine.contract import (
    MAX_CURSOR,
    DestinationSpec,
    Event,
    FileEvent,
    FilesWithdrawn,
    Network,
    Outcome,
    Progress,
    RunSpec,
    Succeeded,
)
from apps.engine.destinations.base import Destination, Publication
from apps.engine.failures import (
    ConfigurationError,
    Crashed,
    EngineError,
    PositionGone,
    ResetNeeded,
    StreamMissing,
    StreamTakenOver,
)
from apps.engine.frames.contracts import ColumnContract
from apps.engine.process.progress import progress
from apps.engine.reporting.classify import classify
from apps.engine.reporting.redaction import Redactor
from apps.engine.source_columns import SourceColumns
from apps.engine.sources.base import StreamSource
from apps.engine.sync import publishing_rules
from apps.engine.sync.build import build_destination, build_source, choose_types
from apps.engine.sync.checkpoints import StateBackend
from apps.engine.sync.identity import identity_of, pins_types
from apps.engine.sync.jobs import Job, StreamLease
from apps.engine.sync.kept_source import KeptRecordsSource
from apps.engine.sync.left_out_files import LeftOutFiles
from apps.engine.sync.pages import PageQueue, PageReader
from apps.engine.sync.seen_columns import SeenColumns
from apps.engine.sync.start_lines import log_start
from apps.engine.sync.transforms import Transform
from apps.engine.sync.writer import SideTracker, Totals, TypesChanged, Writer

POLL_SECONDS = 0.2  # seconds between checks of the stop flag while the source sends nothing
PROGRESS_INTERVAL = 0.5  # seconds between two progress events


class Stopped(Crashed):
    """The process received a signal to stop. Everything that it has read is in a checkpoint."""


class Runner:
    """One attempt at one stream. `emit` receives its events. Set `stop` to end it at the next checkpoint."""

    def __init__(
        self,
        spec: RunSpec,
        *,
        emit: Callable[[Event], None],
        stop: threading.Event,
        redactor: Redactor,
    ) -> None:
        self._spec = spec
        self._emit = emit
        self._stop = stop
        self._redactor = redactor
        self._side_tracker = SideTracker()
        self._backend: StateBackend | None = None
        # The first sync of a run has no files to remove, so it can begin while Drover's storage is unavailable.
        self._is_first_sync = spec.attempt == 1
        self._reported_at = 0.0
        self._emitted_network_changes = 0  # number of changes of the egress log that were emitted

    def run(self) -> Outcome:
        """Run the attempt.

        Any exception of a source, a destination or a database becomes a `Failed` with its class.
        """
        try:
            return self._run()
        except (Exception, PanicException) as error:  # outermost handler of the run
            cause = self._takeover_error() or error
            if isinstance(cause, StreamMissing):
                self._emit(SourceColumns(is_missing=True))
            return classify(cause, side=self._side_tracker.side, redactor=self._redactor)
        finally:
            self._emit_network()
            if self._backend is not None:
                self._backend.close()

    def _takeover_error(self) -> StreamTakenOver | None:
        """Return StreamTakenOver if another attempt has taken the stream, or None.

        The other attempt removes our staging and ends our connection, which explains any other error.
        """
        if self._backend is None or not self._backend.was_taken_over():
            return None
        return StreamTakenOver("Another attempt owns this stream now.")

    def _run(self) -> Succeeded:
        spec = self._spec
        source = self._build_source()
        backend = self._backend = StateBackend(spec.state_dsn)
        lease = StreamLease(spec.lease, spec.run_id, spec.attempt)
        has_pinned_types = pins_types(
            source,
            contract=spec.contract,
            write_mode=spec.destination.write_mode,
            sync_mode=spec.source.sync_mode,
        )
        backend.take_stream(identity_of(spec), lease, pins_types=has_pinned_types)
        backend.recognize_table(self._has_published_here)
        if spec.replay is not None:
            backend.finish_published(self._has_published_here)
        job = self._continue_or_create_job(source, backend)
        if job.exhausted and not job.is_finished and self._would_fail_again(job):
            job = backend.restart(job, reason="its result may not be published")
        is_repeated = False
        while True:
            try:
                return self._sync(source, backend, job)
            except PositionGone as error:
                if is_repeated:
                    raise
                is_repeated = True
                logger.warning("Reading from the beginning, since {}", error.message)
                self._side_tracker.side = "state"
                job = backend.restart(job, columns=job.columns_to_keep)
            except TypesChanged as error:
                logger.info("Reading once more, since these columns are text: {}", error.names)
                self._side_tracker.side = "state"
                job = backend.restart(job, columns=error.columns)
            self._is_first_sync = False
            source = self._build_source()

    def _continue_or_create_job(self, source: StreamSource, backend: StateBackend) -> Job:
        try:
            return backend.continue_or_create_job(pages_never_change=source.pages_never_change)
        except ResetNeeded:
            # Another key of the source may be the reason, so report it although nothing is read.
            with contextlib.suppress(EngineError):
                self._emit_found_columns(source.find_columns())
            raise

    def _emit_found_columns(self, found: SourceColumns | None) -> None:
        columns = found and SeenColumns().result(found, is_everything_read=False, left_out=())
        if columns is not None:
            self._emit(columns)

    def _build_source(self) -> StreamSource:
        spec = self._spec
        if spec.replay is not None:
            return KeptRecordsSource(spec.source, spec.replay, files=spec.files)
        with self._side_tracker.using("source"):
            source = build_source(
                spec.source,
                files=spec.files,
                allow_private_networks=spec.allow_private_networks,
                sandbox=spec.sandbox,
            )
            if source.may_repeat_rows and spec.destination.write_mode == "append":
                raise ConfigurationError(
                    "With lookback_seconds some rows are read again, and write mode append would duplicate them:"
                    " choose the write mode merge"
                )
            return source

    def _sync(self, source: StreamSource, backend: StateBackend, job: Job) -> Succeeded:
        spec = self._spec
        if job.is_of_other_run:
            logger.info("An earlier run has sent these records already")
            self._list_files_again(job)
            return self._succeeded(job, Totals.of(job), None)
        if spec.replay is not None and not job.is_finished:
            publishing_rules.require_same_table(backend.job_elsewhere, self._has_published_here)
        self._remove_cancelled_staging(backend)
        with self._side_tracker.using("destination"):
            destination = self._build_destination(job)
            with progress.expect_silence(
                "opening the destination", destination.longest_step_seconds
            ):
                destination.open(job.batches)
                publishing_rules.require_table(destination, job, spec)
        log_start(spec, job)
        left_out_files = LeftOutFiles(spec.left_out, job, self._redactor, stream=spec.source.stream)
        if not self._is_first_sync:
            left_out_files.roll_back()
        contract = ColumnContract(job.schema(), spec.contract, spec.fields.chosen)
        writer = Writer(destination, backend, job, left_out_files, self._side_tracker, contract)
        if not job.exhausted:
            is_text_field = choose_types(spec, source, destination, job, self._side_tracker)
            writer.arrive_as_text(is_text_field)
            try:
                self._transfer(source, writer, job)
                writer.require_known_types()
            except (PositionGone, TypesChanged):
                destination.close()  # The new job opens the destination again.
                raise
        self._report_progress(writer, ignore_interval=True)
        if not job.is_finished:
            self._require_publishable(destination, writer, left_out_files)
        left_out_files.close()
        cursor_after = self._publish(destination, backend, job, writer)
        return self._succeeded(job, writer.totals, cursor_after)

    def _succeeded(self, job: Job, totals: Totals, cursor: Mapping[str, Any] | None) -> Succeeded:
        return Succeeded(
            read=totals.read,
            written=totals.written,
            rejected=totals.rejected,
            bytes=totals.bytes,
            skipped=totals.skipped,
            cursor_before=self._reported_cursor(job.since.state if job.since else None),
            cursor_after=self._reported_cursor(cursor),
            snapshot_at=job.snapshot_at,
        )

    def _reported_cursor(self, state: Mapping[str, Any] | None) -> Mapping[str, Any] | None:
        if self._spec.source.sync_mode != "incremental" or not state:
            return None
        return state if len(json.dumps(state)) <= MAX_CURSOR else None

    def _would_fail_again(self, job: Job) -> bool:
        spec = self._spec
        return publishing_rules.would_fail_again(spec.rules, job, spec.destination)

    def _require_publishable(
        self, destination: Destination, writer: Writer, left_out_files: LeftOutFiles
    ) -> None:
        """Raise ContractError if the result may not be published."""
        rules, totals = self._spec.rules, writer.totals
        publishing_rules.require_few_rejected(
            rules, rejected=totals.rejected, read=totals.read, first=left_out_files.first_rejected
        )
        with self._side_tracker.using("destination"):
            publishing_rules.require_rows(rules, destination, written=totals.written)

    # The destination, and the staging of cancelled jobs in it

    def _has_published_here(self, job_id: str) -> bool:
        """Ask the destination whether a job has published to its table, whatever the settings call it."""
        with self._side_tracker.using("destination"):
            destination = self._build_for_job(self._spec.destination, job_id)
            with progress.expect_silence(
                "opening the destination", destination.longest_step_seconds
            ):
                has_published = destination.has_published()
            destination.close()
            return has_published

    def _build_destination(self, job: Job) -> Destination:
        target = self._spec.destination
        if job.replaces and target.write_mode != "replace":
            target = replace(target, write_mode="replace", protects_other_pipelines=True)
        return self._build_for_job(target, job.id)

    def _build_for_job(self, target: DestinationSpec, job_id: str) -> Destination:
        return build_destination(
            target,
            job_id=job_id,
            data=self._spec.data,
            allow_private_networks=self._spec.allow_private_networks,
        )

    def _remove_cancelled_staging(self, backend: StateBackend) -> None:
        """Remove the staging of cancelled jobs, including the jobs of earlier runs."""
        for job_id in backend.jobs_with_staging_to_remove():
            with self._side_tracker.using("destination"):
                destination = self._build_for_job(self._spec.destination, job_id)
                with progress.expect_silence(
                    "removing staged data", destination.longest_step_seconds
                ):
                    destination.abandon()
                destination.close()
            backend.mark_staging_removed(job_id)

    # Reading and writing

    def _transfer(self, source: StreamSource, writer: Writer, job: Job) -> None:
        since = job.since
        if since is not None:
            since = since.model_copy(update={"cursor_field": self._spec.source.cursor_field})
        queue = PageQueue()
        transform = self._create_transform()
        reader = PageReader(
            source,
            queue,
            since=since,
            pagination=job.pagination,
            iteration=job.next_iteration,
            total=job.total,
            fields=self._spec.fields,
            hashed=self._spec.replay.hashed if self._spec.replay else (),
            transform=transform,
            primary_key=self._spec.source.primary_key,
        )
        reader.start()
        is_read = False
        try:
            self._move_pages(queue, reader, writer)
            is_read = True
            source.close()  # After a failure it is not closed, because the reader may still use it.
            if transform is not None:
                transform.close()
        finally:
            queue.close()
            is_partial = since is not None or self._spec.source.is_backfill or job.next_iteration
            is_everything_read = is_read and not is_partial
            self._emit_columns(source, reader, writer, is_everything_read=is_everything_read)

    def _emit_columns(
        self, source: StreamSource, reader: PageReader, writer: Writer, *, is_everything_read: bool
    ) -> None:
        if self._spec.replay is not None:
            return  # They are not what the source has now.
        columns = reader.columns.result(
            source.declared_columns(),
            is_everything_read=is_everything_read,
            left_out=writer.left_out_columns,
        )
        if columns is not None:
            self._emit(columns)

    def _create_transform(self) -> Transform | None:
        """Create the transform, if the run has one.

        A sandbox ends with the thread that starts it, so the main thread starts it and not the reader's thread.
        """
        code = self._spec.transform
        if code is None:
            return None
        with self._side_tracker.using("source"):
            return Transform(code, self._spec.sandbox)

    def _move_pages(self, queue: PageQueue, reader: PageReader, writer: Writer) -> None:
        while True:
            page = queue.get(POLL_SECONDS)
            writer.expected_rows = reader.total
            if page is not None:
                writer.add_page(page)
            if self._stop.is_set():
                writer.flush()
                raise Stopped("The run received a signal to stop. Its checkpoint is stored.")
            if queue.is_finished:
                writer.flush()
                self._raise_reader_error(queue)
                return
            writer.flush_if_due()
            self._report_progress(writer)

    def _raise_reader_error(self, queue: PageQueue) -> None:
        with self._side_tracker.using("source"):
            if queue.error is not None:
                raise queue.error

    def _emit_network(self) -> None:
        if egress_log.change_count != self._emitted_network_changes:
            self._emitted_network_changes = egress_log.change_count
            self._emit(Network(self._redactor.mask_value(egress_log.to_json())))

    def _report_progress(self, writer: Writer, *, ignore_interval: bool = False) -> None:
        now = time.monotonic()
        if not ignore_interval and now - self._reported_at < PROGRESS_INTERVAL:
            return
        self._reported_at = now
        self._emit_network()
        totals = writer.totals
        self._emit(
            Progress(
                read=totals.read,
                written=totals.written,
                rejected=totals.rejected,
                bytes=totals.bytes,
                iterations=totals.iterations,
                total=writer.expected_rows,
                skipped=totals.skipped,
            )
        )

    def _publish(
        self, destination: Destination, backend: StateBackend, job: Job, writer: Writer
    ) -> Mapping[str, Any] | None:
        """Publish the job and finish it. Returns the position for the next sync of an incremental stream."""
        if not writer.committed and not job.is_finished:
            with self._side_tracker.using("destination"):
                destination.stage_nothing()
        if not destination.holds_batch:
            backend.check_lease()  # The commit of a batch that is held has checked it.
        with self._side_tracker.using("destination"):
            with progress.expect_silence("publishing", destination.longest_step_seconds):
                publication = destination.publish(writer.committed)
            destination.delete_older_publications()
            destination.close()
        self._emit_files(publication)
        cursor_after = backend.succeed(job)
        noun = "record" if publication.rows == 1 else "records"
        logger.info("Published {:,} {}", publication.rows, noun)
        return cursor_after

    def _list_files_again(self, job: Job) -> None:
        """Report the files of a published job, because the run that has published them may have ended before that."""
        with self._side_tracker.using("destination"):
            destination = self._build_destination(job)
            publication = destination.find_publication()
            destination.close()
        if publication is not None:
            self._emit_files(publication)

    def _emit_files(self, publication: Publication) -> None:
        if publication.withdrawn_prefix is not None:
            self._emit(FilesWithdrawn(publication.withdrawn_prefix))
        file_events: tuple[FileEvent, ...] = (*publication.moved, *publication.outputs)
        for file_event in file_events:
            self._emit(file_event)
