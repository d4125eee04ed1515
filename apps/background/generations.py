"""Work on queues even if the database is unavailable for a time: a new Procrastinate worker replaces a stopped one.

Each Procrastinate worker is a generation of its queue. A generation that stops still finishes its jobs, while the next
generation already fetches new jobs. Together they never run more concurrent jobs than the queue allows. All queues
share one LISTEN connection.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

import psycopg
import structlog
from procrastinate import App
from procrastinate.exceptions import ProcrastinateException
from procrastinate.job_context import JobContext
from procrastinate.jobs import Notification
from procrastinate.worker import Worker as QueueWorker

from apps.background.database_errors import first_line

logger = structlog.get_logger(__name__)

POLL_INTERVAL = 1.0  # seconds between polls for jobs without a notification
HEARTBEAT_INTERVAL = (
    10.0  # seconds; a worker without a heartbeat for three intervals counts as dead
)
STOP_TIMEOUT = 30.0  # seconds; after this time a stopping worker leaves its jobs to the reconciler
DATABASE_ERRORS = (ProcrastinateException, psycopg.Error, OSError)


async def work(app: App, stop: asyncio.Event, max_jobs: Mapping[str, int], worker: str) -> None:
    """Work on these queues until `stop` is set. `max_jobs` has the number of concurrent jobs of each queue."""
    queues = {name: Queue(app, name, count, worker) for name, count in max_jobs.items()}
    tasks = [asyncio.create_task(queue.work(stop)) for queue in queues.values()]
    listener = asyncio.create_task(_listen(app, queues))
    try:
        await asyncio.gather(*tasks)
    finally:
        for task in (*tasks, listener):
            task.cancel()
        await asyncio.gather(*tasks, listener, return_exceptions=True)


class Queue:
    """One queue and the worker that currently fetches its jobs."""

    def __init__(self, app: App, name: str, max_jobs: int, worker: str) -> None:
        self._app = app
        self._name = name
        self._max_jobs = max_jobs
        self._worker = worker
        self._semaphore = asyncio.Semaphore(max_jobs)
        self._current_generation: Generation | None = None
        self._generation_tasks: set[asyncio.Task[None]] = set()

    async def work(self, stop: asyncio.Event) -> None:
        """Run one generation after another. When `stop` is set, wait for the generations that still finish jobs."""
        while not stop.is_set():
            options = {"queues": [self._name], "name": f"{self._name} {self._worker}"}
            generation = Generation(
                self._app, JobSemaphore(self._semaphore), concurrency=self._max_jobs, **options
            )
            self._current_generation = generation
            task: asyncio.Task[None] = asyncio.create_task(generation.run())  # type: ignore[no-untyped-call]
            self._generation_tasks.add(task)
            await wait_for_first(task, stop.wait(), generation.stopping.wait())
            generation.stop()
            self._remove_ended_tasks()
            await pause(stop, POLL_INTERVAL)
        if self._generation_tasks:
            await asyncio.wait(self._generation_tasks, timeout=STOP_TIMEOUT)
            self._remove_ended_tasks()

    async def handle_notification(self, channel: str, notification: Notification) -> None:
        if self._current_generation is not None:
            await self._current_generation._handle_notification(
                channel=channel, notification=notification
            )

    def _remove_ended_tasks(self) -> None:
        for task in [task for task in self._generation_tasks if task.done()]:
            self._generation_tasks.discard(task)
            if not task.cancelled() and (error := task.exception()) is not None:
                logger.warning("a queue worker ended with an error", error=first_line(error))


class JobSemaphore:
    """The semaphore of one generation. It acquires the queue's semaphore, which all generations share.

    It is released at most as often as it was acquired. Procrastinate releases it twice for a job that was fetched while
    the worker stops.
    """

    def __init__(self, queue_semaphore: asyncio.Semaphore) -> None:
        self._queue_semaphore = queue_semaphore
        self._acquired_count = 0

    async def acquire(self) -> bool:
        await self._queue_semaphore.acquire()
        self._acquired_count += 1
        return True

    def release(self) -> None:
        if self._acquired_count:
            self._acquired_count -= 1
            self._queue_semaphore.release()


class Generation(QueueWorker):
    """A queue worker that sets `stopping` when it stops fetching jobs, on request or after a failed statement."""

    def __init__(self, app: App, semaphore: JobSemaphore, **options: Any) -> None:
        self._own_semaphore = semaphore
        self.stopping = asyncio.Event()
        settings: dict[str, Any] = {
            **app.worker_defaults,  # Procrastinate's defaults for Django, which close connections after each job.
            "fetch_job_polling_interval": POLL_INTERVAL,
            "update_heartbeat_interval": HEARTBEAT_INTERVAL,
            "delete_jobs": "successful",
            "install_signal_handlers": False,
            "listen_notify": False,
        }
        super().__init__(app, **settings, **options)

    @property  # type: ignore[override]
    def _job_semaphore(self) -> JobSemaphore:
        return self._own_semaphore

    @_job_semaphore.setter
    def _job_semaphore(self, semaphore: Any) -> None:
        """Ignore the semaphore that Procrastinate creates for each worker; the generations share the queue's."""

    def stop(self) -> None:
        super().stop()  # type: ignore[no-untyped-call]
        self.stopping.set()

    async def _process_job(self, context: JobContext) -> None:
        """Stop if the end of a job cannot be stored. The reconciler then handles the job like that of a dead worker."""
        try:
            await super()._process_job(context)
        except DATABASE_ERRORS as error:
            logger.warning(
                "the end of a job was not stored", job=context.job.id, error=first_line(error)
            )
            self.stop()

    async def _shutdown(self, side_tasks: list[asyncio.Task[Any]]) -> None:
        """Let the next generation start, because this one fetches no more jobs.

        Until the end of the shutdown, the running jobs still have a worker with a heartbeat.
        """
        self.stopping.set()
        ended = asyncio.Event()
        heartbeats = asyncio.create_task(self._send_heartbeats(ended))
        try:
            await super()._shutdown(side_tasks)
        finally:
            # A statement that is cancelled may raise the error of the database instead, and the loop would go on.
            ended.set()
            heartbeats.cancel()

    async def _send_heartbeats(self, ended: asyncio.Event) -> None:
        while not ended.is_set():
            try:
                await self._update_heartbeat()  # type: ignore[no-untyped-call]
            except DATABASE_ERRORS as error:
                logger.warning("the heartbeat could not be stored", error=first_line(error))
                await asyncio.sleep(POLL_INTERVAL)


async def _listen(app: App, queues: Mapping[str, Queue]) -> None:
    """Wake a queue when a job for it is announced. The queues also poll, in case no notification arrives."""

    async def on_notification(*, channel: str, notification: Notification) -> None:
        queue = queues.get(channel.rpartition("#")[2])
        if queue is not None:
            await queue.handle_notification(channel, notification)

    while True:
        try:
            await app.job_manager.listen_for_jobs(
                on_notification=on_notification, queues=list(queues)
            )
        except DATABASE_ERRORS as error:
            logger.warning("job notifications are unavailable now", error=first_line(error))
        await asyncio.sleep(POLL_INTERVAL)


async def wait_for_first(work: asyncio.Future[Any], *events: Any) -> None:
    """Wait until the work or one of the events is done. The work is never cancelled."""
    event_tasks = [asyncio.ensure_future(event) for event in events]
    try:
        await asyncio.wait([work, *event_tasks], return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in event_tasks:
            task.cancel()


async def pause(stop: asyncio.Event, seconds: float) -> None:
    await wait_for_first(asyncio.ensure_future(asyncio.sleep(seconds)), stop.wait())
