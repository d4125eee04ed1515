"""Keep a queue working by starting a new Procrastinate worker when one stops because the database is unavailable.

Each such worker is a generation. One that stops finishes its jobs, while the next one takes over at once. Together
they never run more jobs at once than the queue allows. All queues share one LISTEN connection.
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

POLL = 1.0  # seconds between polls for jobs without a notification
HEARTBEAT = 10.0  # seconds; a worker without a heartbeat for three times as long counts as dead
GIVE_UP = 30.0  # seconds after which a stopping worker leaves its jobs to the reconciler
DATABASE_ERRORS = (ProcrastinateException, psycopg.Error, OSError)


async def work(app: App, stop: asyncio.Event, slots: Mapping[str, int], worker: str) -> None:
    """Work on these queues, each with its number of concurrent jobs, until told to stop."""
    queues = {name: Queue(app, name, most, worker) for name, most in slots.items()}
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

    def __init__(self, app: App, name: str, slots: int, worker: str) -> None:
        self._app = app
        self._name = name
        self._most = slots
        self._worker = worker
        self._free = asyncio.Semaphore(slots)
        self._current: Generation | None = None
        self._ending: set[asyncio.Task[None]] = set()

    async def work(self, stop: asyncio.Event) -> None:
        """Run one generation after the other; at the stop, wait for those that are finishing."""
        while not stop.is_set():
            options = {"queues": [self._name], "name": f"{self._name} {self._worker}"}
            generation = Generation(self._app, Slots(self._free), concurrency=self._most, **options)
            self._current = generation
            task: asyncio.Task[None] = asyncio.create_task(generation.run())  # type: ignore[no-untyped-call]
            self._ending.add(task)
            await first_of(task, stop.wait(), generation.stopping.wait())
            generation.stop()
            self._forget_ended()
            await pause(stop, POLL)
        if self._ending:
            await asyncio.wait(self._ending, timeout=GIVE_UP)
            self._forget_ended()

    async def hear(self, channel: str, notification: Notification) -> None:
        if self._current is not None:
            await self._current._handle_notification(channel=channel, notification=notification)

    def _forget_ended(self) -> None:
        for done in [task for task in self._ending if task.done()]:
            self._ending.discard(done)
            if not done.cancelled() and (error := done.exception()) is not None:
                logger.warning("queue worker ended", error=first_line(error))


class Slots:
    """One generation's share of the queue's concurrent jobs, as the semaphore that Procrastinate expects.

    It releases no more than it acquired: Procrastinate releases a job twice that was fetched while the worker
    stops.
    """

    def __init__(self, free: asyncio.Semaphore) -> None:
        self._free = free
        self._taken = 0

    async def acquire(self) -> bool:
        await self._free.acquire()
        self._taken += 1
        return True

    def release(self) -> None:
        if self._taken:
            self._taken -= 1
            self._free.release()


class Generation(QueueWorker):
    """A queue worker that reports when it stops fetching, because it was told to or a statement failed."""

    def __init__(self, app: App, slots: Slots, **options: Any) -> None:
        self._slots = slots
        self.stopping = asyncio.Event()
        ours: dict[str, Any] = {
            **app.worker_defaults,  # Django's function: closes connections after each job.
            "fetch_job_polling_interval": POLL,
            "update_heartbeat_interval": HEARTBEAT,
            "delete_jobs": "successful",
            "install_signal_handlers": False,
            "listen_notify": False,
        }
        super().__init__(app, **ours, **options)

    @property  # type: ignore[override]
    def _job_semaphore(self) -> Slots:
        return self._slots

    @_job_semaphore.setter
    def _job_semaphore(self, fresh: Any) -> None:
        """Replace the semaphore that Procrastinate creates for each worker by one that the generations share."""

    def stop(self) -> None:
        super().stop()  # type: ignore[no-untyped-call]
        self.stopping.set()

    async def _process_job(self, context: JobContext) -> None:
        """Stop if the end of a job cannot be recorded: the jobs of a dead worker are run again."""
        try:
            await super()._process_job(context)
        except DATABASE_ERRORS as error:
            logger.warning("job's end not written", job=context.job.id, error=first_line(error))
            self.stop()

    async def _shutdown(self, side_tasks: list[asyncio.Task[Any]]) -> None:
        """Nothing is fetched any more, so the next generation may start.

        The running jobs still have a living worker.
        """
        self.stopping.set()
        beats = asyncio.create_task(self._keep_beating())
        try:
            await super()._shutdown(side_tasks)
        finally:
            beats.cancel()

    async def _keep_beating(self) -> None:
        while True:
            try:
                await self._update_heartbeat()  # type: ignore[no-untyped-call]
            except DATABASE_ERRORS as error:
                logger.warning("no heartbeat now", error=first_line(error))
                await asyncio.sleep(POLL)


async def _listen(app: App, queues: Mapping[str, Queue]) -> None:
    """Wake the queue whose job was announced. Without this connection jobs are found by polling."""

    async def heard(*, channel: str, notification: Notification) -> None:
        queue = queues.get(channel.rpartition("#")[2])
        if queue is not None:
            await queue.hear(channel, notification)

    while True:
        try:
            await app.job_manager.listen_for_jobs(on_notification=heard, queues=list(queues))
        except DATABASE_ERRORS as error:
            logger.warning("jobs are not heard of now", error=first_line(error))
        await asyncio.sleep(POLL)


async def first_of(*waits: Any) -> None:
    """Wait for the first; cancel all others."""
    tasks = [asyncio.ensure_future(wait) for wait in waits]
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in tasks[1:]:
            task.cancel()


async def pause(stop: asyncio.Event, seconds: float) -> None:
    await first_of(asyncio.ensure_future(asyncio.sleep(seconds)), stop.wait())
