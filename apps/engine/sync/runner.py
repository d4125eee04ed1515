"""Run one stream: read ahead, stage batch by batch, checkpoint each, publish once.

The order guarantees that no row is lost or duplicated if the process is killed at any moment and the run is
retried, provided that the source's pages can be repeated: a batch is staged, then its id and the cursor are
committed together while the stream is ours; a later attempt rolls back batches that were staged but not
committed; publishing is idempotent by job id; and only a published job is finished.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import replace

from loguru import logger

from apps.egress.log import log as egress
from apps.engine.contract import (
    DestinationSpec,
    Event,
    Network,
    Outcome,
    Progress,
    RunSpec,
    Succeeded,
    Withdrawn,
)
from apps.engine.destinations.base import Destination
from apps.engine.failures import ConfigurationError, Crashed, PositionGone, StreamTakenOver
from apps.engine.process.signs import signs
from apps.engine.reporting.classify import classify
from apps.engine.reporting.redaction import Redactor
from apps.engine.sources.base import StreamSource
from apps.engine.sync.build import build_destination, build_source
from apps.engine.sync.checkpoints import Job, Lease, StateBackend
from apps.engine.sync.identity import identity_of
from apps.engine.sync.pages import PageQueue, PageReader
from apps.engine.sync.transforms import Transform
from apps.engine.sync.writer import Blame, Writer

POLL = 0.2  # seconds between checks of the stop flag while the source sends nothing
PROGRESS_EVERY = 0.5  # seconds


class Stopped(Crashed):
    """The process was told to stop; everything read so far is checkpointed."""


class Runner:
    """One attempt at one stream. `emit` receives its events; set `stop` to end it at the next checkpoint."""

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
        self._blame = Blame()
        self._backend: StateBackend | None = None
        self._reported = 0.0
        self._told = 0  # entries of the egress log

    def run(self) -> Outcome:
        """Run the attempt.

        Any exception of a source, a destination or a database becomes a `Failed` with its class.
        """
        try:
            return self._run()
        except Exception as error:  # outermost handler of the run
            reason = self._taken_over() or error
            return classify(reason, side=self._blame.side, redactor=self._redactor)
        finally:
            self._tell_network()
            if self._backend is not None:
                self._backend.close()

    def _taken_over(self) -> StreamTakenOver | None:
        """Whether a new owner took the stream.

        It removes our staging and our connection, which explains any other error.
        """
        if self._backend is None or not self._backend.was_taken_over():
            return None
        return StreamTakenOver("Another attempt owns this stream now.")

    def _run(self) -> Succeeded:
        spec = self._spec
        source = self._source()
        backend = self._backend = StateBackend(spec.state_dsn)
        backend.take_stream(identity_of(spec), Lease(spec.lease, spec.run_id, spec.attempt))
        job = backend.resolve_job()
        try:
            return self._sync(source, backend, job)
        except PositionGone as gone:
            logger.warning("Reading from the beginning, since {}", gone.message)
            self._blame.side = "state"
            return self._sync(self._source(), backend, backend.restart(job))

    def _source(self) -> StreamSource:
        spec = self._spec
        with self._blame.on("source"):
            source = build_source(
                spec.source,
                files=spec.files,
                allow_private_networks=spec.allow_private_networks,
                sandbox=spec.sandbox,
            )
            if source.repeats and spec.destination.write_mode == "append":
                raise ConfigurationError(
                    "With lookback_seconds rows are read again, and appending would duplicate them: choose the"
                    " write mode merge"
                )
            return source

    def _sync(self, source: StreamSource, backend: StateBackend, job: Job) -> Succeeded:
        spec = self._spec
        self._sweep(backend)
        with self._blame.on("destination"):
            destination = self._destination(job)
            with signs.waiting("opening the destination", destination.longest_step):
                destination.open(job.batches)
        _say_where(spec, job)
        writer = Writer(destination, backend, job, self._blame)
        if not job.exhausted:
            try:
                self._transfer(source, writer, job)
            except PositionGone:
                destination.close()  # The new job opens it again.
                raise
        self._publish(destination, backend, job, writer)
        totals = writer.totals
        return Succeeded(totals.read, totals.written, totals.rejected, totals.bytes)

    # The destination, and leftovers of earlier jobs in it.

    def _destination(self, job: Job) -> Destination:
        target = self._spec.destination
        if job.replaces and target.write_mode != "replace":
            target = replace(target, write_mode="replace", spares_others=True)
        return self._bound(target, job.id)

    def _bound(self, target: DestinationSpec, job_id: str) -> Destination:
        return build_destination(
            target,
            job_id=job_id,
            data=self._spec.data,
            allow_private_networks=self._spec.allow_private_networks,
        )

    def _sweep(self, backend: StateBackend) -> None:
        """Remove the staging of cancelled jobs, those of earlier runs included."""
        for job_id in backend.unswept_jobs():
            with self._blame.on("destination"):
                destination = self._bound(self._spec.destination, job_id)
                with signs.waiting("removing staged data", destination.longest_step):
                    destination.abandon()
                destination.close()
            backend.mark_swept(job_id)

    # Reading and writing.

    def _transfer(self, source: StreamSource, writer: Writer, job: Job) -> None:
        since = job.since
        if since is not None:
            since = since.model_copy(update={"cursor_field": self._spec.source.cursor_field})
        queue = PageQueue()
        transform = self._transform()
        reader = PageReader(
            source,
            queue,
            since=since,
            pagination=job.pagination,
            iteration=job.next_iteration,
            total=job.total,
            transform=transform,
        )
        reader.start()
        try:
            self._pump(queue, reader, writer)
            source.close()  # Not when a failure is being raised: the reader may still be using it.
            if transform is not None:
                transform.close()
        finally:
            queue.close()

    def _transform(self) -> Transform | None:
        """Create the transform.

        A sandbox ends with the thread that starts it, so this thread does, not the reader's.
        """
        code = self._spec.transform
        if code is None:
            return None
        with self._blame.on("source"):
            return Transform(code, self._spec.sandbox)

    def _pump(self, queue: PageQueue, reader: PageReader, writer: Writer) -> None:
        while True:
            page = queue.get(POLL)
            writer.expected = reader.total
            if page is not None:
                writer.take(page)
            if self._stop.is_set():
                writer.flush()
                raise Stopped("The run was told to stop; its checkpoint is kept.")
            if queue.ended:
                writer.flush()
                self._check_reader(queue)
                return
            writer.flush_if_due()
            self._report(writer)

    def _check_reader(self, queue: PageQueue) -> None:
        with self._blame.on("source"):
            if queue.error is not None:
                raise queue.error

    def _tell_network(self) -> None:
        if egress.changed != self._told:
            self._told = egress.changed
            self._emit(Network(self._redactor.value(egress.to_json())))

    def _report(self, writer: Writer, *, at_once: bool = False) -> None:
        moment = time.monotonic()
        if not at_once and moment - self._reported < PROGRESS_EVERY:
            return
        self._reported = moment
        self._tell_network()
        totals = writer.totals
        self._emit(
            Progress(
                read=totals.read,
                written=totals.written,
                rejected=totals.rejected,
                bytes=totals.bytes,
                iterations=totals.iterations,
                total=writer.expected,
            )
        )

    def _publish(
        self, destination: Destination, backend: StateBackend, job: Job, writer: Writer
    ) -> None:
        self._report(writer, at_once=True)
        backend.check_lease()
        with self._blame.on("destination"):
            with signs.waiting("publishing", destination.longest_step):
                publication = destination.publish(writer.committed)
            destination.forget_older()
            destination.close()
        if publication.withdrawn is not None:
            self._emit(Withdrawn(publication.withdrawn))
        for output in publication.outputs:
            self._emit(output)
        backend.succeed(job)
        logger.info("Published {:,} rows", publication.rows)


def _say_where(spec: RunSpec, job: Job) -> None:
    source, target = spec.source, spec.destination
    logger.info(
        "{} of {} ({}) to {} of {} ({})",
        *(source.stream, source.kind, source.sync_mode.replace("_", " ")),
        *(target.table, target.kind, "replace" if job.replaces else target.write_mode),
    )
    if not job.resumed:
        logger.info("Starting a new sync")
    elif job.exhausted:
        logger.info("An earlier attempt has read the source to its end: publishing the staged data")
    elif not job.next_iteration:
        logger.info("Starting from the beginning: nothing was staged before")
    else:
        logger.info("Continuing at page {} with {:,} rows staged", job.next_iteration, job.written)
