"""The environment of a storm: workers that are restarted, pipelines, faults, and checks after the storm."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any
from uuid import UUID

import polars
import psycopg
from django.db import InterfaceError, OperationalError, connection
from psycopg import sql
from psycopg.conninfo import conninfo_to_dict

from apps.connectors.custom_sources import services as custom_sources
from apps.connectors.custom_sources.checked_code import CheckedCode
from apps.engine.authoring.validation import validate
from apps.orgs.principals import SYSTEM
from apps.runs.models import Output, Run
from local.supervision.processes import command_line
from tests.runs.conftest import make_pipeline
from tests.runs.own_server import OwnServer
from tests.runs.processes import has_ended, read_run, start_run, start_worker, wait_for_run
from tests.storms.api import PAGE_SIZE, ROWS, PagedApi
from tests.world import make_world

STORM_TIMEOUT = 300.0  # enough for a busy machine
CUSTOM_CODE = """
from drover import Offset, RestSource, Stream


class Paged(RestSource):
    base_url = "{url}"
    paging = Offset(size={page_size}, param="offset", size_param="limit")
    streams = [Stream("rows", primary_key="id")]
"""
DestinationMode = tuple[str, str]  # destination kind and write mode
DESTINATION_MODES: Sequence[DestinationMode] = (
    ("postgres", "replace"),
    ("postgres", "append"),
    ("postgres", "merge"),
    ("parquet", "replace"),
)
# The same concurrency on every machine, and leases that do not expire on a busy machine.
WORKER_SETTINGS = {"DROVER_WORKER_ORG_RUNS": "8", "DROVER_RUN_LEASE_SECONDS": "8"}
DATABASE_ERRORS = (OperationalError, InterfaceError, psycopg.OperationalError)


class Stage:
    """The server, the API, the org and the workers of a storm."""

    def __init__(self, server: OwnServer, api: PagedApi, rng: random.Random, home: Path) -> None:
        self.server, self.api, self.rng, self.home = server, api, rng, home
        self.start_process: Callable[[], subprocess.Popen[bytes]] = start_storm_worker
        self.worker_count = 2
        self.world = make_world()
        self.world.org.max_running = 50
        with self.world.scope():
            self.world.org.save(update_fields=["max_running"])
        self.workers: list[subprocess.Popen[bytes]] = []
        self.warehouse_url = server.admin_url("postgres")
        # The id and the start time of every process of the storm.
        self._known_processes: set[tuple[int, str]] = set()
        self._runs: list[tuple[UUID, Any]] = []

    # Starting runs and choosing faults.

    def start_run(self, pipeline: Any) -> UUID:
        """Start a run, which `wait_and_check_runs` waits for and checks.

        The API holds all responses until `wait_until` is called, directly or by `wait_and_check_runs`.
        """
        self.api.hold_responses()
        run_id = start_run(self.world, pipeline)
        self.add_run(run_id, pipeline)
        return run_id

    def add_run(self, run_id: UUID, pipeline: Any) -> None:
        """Add a run that `wait_and_check_runs` waits for and checks."""
        self._runs.append((run_id, pipeline))

    def create_pipeline(
        self,
        kind: str = "rest",
        destination_mode: DestinationMode | None = None,
        *,
        api_url: str = "",
        **config: Any,
    ) -> Any:
        """Create a pipeline that reads all rows of the API. `config` has more settings of its destination."""
        destination, mode = destination_mode or self.rng.choice(DESTINATION_MODES)
        name = f"p{self.rng.randrange(16**12):012x}"
        kind, source = self._kind_and_config(kind, f"{api_url or self.api.url}/{name}")
        return make_pipeline(
            self.world,
            name=name,
            source=source,
            source_kind=kind,
            stream="rows",
            destination={
                "kind": destination,
                "config": self._destination_config(destination) | config,
            },
            table=name,
            write_mode=mode,
            max_attempts=10,
        )

    def _kind_and_config(self, kind: str, url: str) -> tuple[str, dict[str, Any]]:
        if kind == "custom":
            return self._create_custom_source(CUSTOM_CODE.format(url=url, page_size=PAGE_SIZE)), {}
        streams = [{"name": "rows", "primary_key": ["id"]}]
        pages = {"type": "offset", "page_size": PAGE_SIZE}
        return "rest", {"base_url": url, "streams": streams, "pagination": pages}

    def _create_custom_source(self, code: str) -> str:
        """Create a custom source. Return its kind."""
        checked_code = CheckedCode(code, validate(code).to_json())
        name = f"c{self.rng.randrange(16**12):012x}"
        with self.world.scope():
            source = custom_sources.create(
                org=self.world.org,
                by=SYSTEM,
                name=name,
                code=code,
                checked=checked_code,
                approve=True,
            )
        return source.kind

    def _destination_config(self, destination: str) -> dict[str, Any]:
        return {} if destination == "parquet" else self.postgres_settings()

    def postgres_settings(self) -> dict[str, Any]:
        parameters = conninfo_to_dict(self.warehouse_url)
        return {
            "host": "127.0.0.1",
            "port": int(str(parameters["port"])),
            "database": parameters["dbname"],
            "user": parameters["user"],
            "password": parameters["password"],
            "schema": "arrivals",
        }

    def random_request_number(self, runs: int = 1) -> int:
        """Return a random position among all the page requests that this number of runs will make."""
        return self.rng.randint(1, runs * ROWS // PAGE_SIZE)

    def connect_as_admin(self) -> psycopg.Connection[Any]:
        """Connect as the administrator. Wait until the server accepts connections."""
        deadline = time.monotonic() + STORM_TIMEOUT
        while True:
            try:
                return psycopg.connect(self.warehouse_url, autocommit=True)
            except psycopg.OperationalError:
                if time.monotonic() > deadline:
                    raise
            time.sleep(0.1)

    def kill_process(self, choose: Callable[[], int]) -> None:
        """Kill the chosen process with SIGKILL. Choose again if it has just exited."""
        self._record_processes()
        for _ in range(100):
            try:
                return os.kill(choose(), signal.SIGKILL)
            except ProcessLookupError:
                continue
        raise AssertionError("there was no process to kill")

    def choose_worker(self) -> int:
        """Return the process id of a worker with a run, or of any worker if none has a run."""
        return self.rng.choice(self._busy_workers() or self.find_processes("worker"))

    def choose_fork_server(self) -> int:
        """Return the process id of the fork server of a worker with a run."""
        return self.rng.choice([child_pids(pid)[0] for pid in self._busy_workers()])

    def choose_child(self) -> int:
        """Return the process id of a child that moves records."""
        return self.rng.choice(self._all_run_child_pids())

    def choose_reading_child(self) -> int:
        """Return the process id of the child that waits for the page whose action is called."""
        socket = socket_name(self.api.waiting_port)
        return next(pid for pid in self._all_run_child_pids() if has_open(pid, socket))

    def _busy_workers(self) -> list[int]:
        return [pid for pid in self.find_processes("worker") if run_child_pids(pid)]

    def _all_run_child_pids(self) -> list[int]:
        return [child for pid in self.find_processes("worker") for child in run_child_pids(pid)]

    def find_processes(self, word: str) -> list[int]:
        """Return the ids of processes with this word in their command."""
        pids = (pid for worker in self.workers for pid in process_tree(worker.pid))
        return sorted(pid for pid in pids if f" {word} " in command_line(pid) + " ")

    # Checks after the storm.

    def wait_and_check_runs(self, *, expects_actions: bool = True) -> list[dict[str, Any]]:
        """Wait for the end of all runs, restart processes that ended, and check every invariant.

        Return the runs. With `expects_actions`, check that every action registered with `api.call_at_request` was called.
        """
        runs, self._runs = self._runs, []
        self.wait_until(
            lambda: all(has_ended(read_run(self.world, run)) for run, _ in runs),
            "the end of all runs",
        )
        ended_runs = [read_run(self.world, run) for run, _ in runs]
        if expects_actions:
            self.check_actions()
        for (run_id, pipeline), run in zip(runs, ended_runs, strict=True):
            self.check_rows(run_id, pipeline, run)
        self.check_cleanup()
        return ended_runs

    def check_actions(self) -> None:
        """Check that every action registered with `api.call_at_request` was called and none raised."""
        if self.api.errors:
            raise self.api.errors[0]
        assert self.api.waiting_action_count == 0, "an action was not called"
        assert self.api.called_actions

    def check_rows(self, run_id: UUID, pipeline: Any, run: dict[str, Any]) -> None:
        """Check that all rows were published once, or none if the run was cancelled."""
        assert run["status"] in {"succeeded", "cancelled"}, run
        ids = self.published_ids_of_run(run_id, pipeline)
        if run["status"] == "cancelled":
            assert ids == [], run
            return
        progress = run["progress"]
        assert (
            progress["read"]
            == progress["written"] + progress["rejected"] + progress["skipped"]
            == ROWS
        ), run
        assert ids == list(range(1, ROWS + 1)), run

    def published_ids_of_run(self, run_id: UUID, pipeline: Any) -> list[int]:
        """Return the published ids in order. Return an empty list if there is no table."""
        if pipeline.destination_kind == "parquet":
            return self._ids_in_outputs(run_id)
        table = sql.Identifier("arrivals", pipeline.name)
        with psycopg.connect(self.warehouse_url) as warehouse:
            try:
                rows = warehouse.execute(sql.SQL("SELECT id FROM {} ORDER BY id").format(table))
            except psycopg.errors.UndefinedTable:
                return []
            return [int(row[0]) for row in rows]

    def _ids_in_outputs(self, run_id: UUID) -> list[int]:
        with self.world.scope():
            outputs = Output.objects.for_org(self.world.org).filter(run_id=run_id)
            keys = list(outputs.values_list("key", flat=True))
        columns = [polars.read_parquet(self.home / "storage" / key)["id"] for key in keys]
        return sorted(polars.concat(columns).to_list()) if columns else []

    def check_cleanup(self) -> None:
        """Check that no lease, child process or work folder is left, and that a new run succeeds."""
        with self.world.scope():
            leased_runs = Run.objects.for_org(self.world.org).exclude(lease=None)
            assert list(leased_runs.values("id", "status", "lease_until")) == []
        self._record_processes()
        self.wait_until(lambda: not self._remaining_processes(), "the end of every child")
        self.wait_until(lambda: not self.work_folders(), "the removal of every work folder")
        run_id = start_run(self.world, make_pipeline(self.world, source={"rows": 10}))
        assert wait_for_run(self.world, run_id, has_ended, STORM_TIMEOUT)["status"] == "succeeded"

    def work_folders(self) -> list[str]:
        """Return the names of the work folders of sandboxes and children."""
        sandboxes = self.home / "sandbox"
        return [path.name for path in sandboxes.glob("*")] if sandboxes.exists() else []

    def _remaining_processes(self) -> list[tuple[int, str]]:
        """Return the processes that still exist, except those that wait for runs."""
        idle_pids = {pid for worker in self.workers for pid in process_tree(worker.pid)}
        idle_pids -= {pid for child in self._all_run_child_pids() for pid in process_tree(child)}
        return [
            (pid, start_time)
            for pid, start_time in self._known_processes
            if pid not in idle_pids and process_start_time(pid) == start_time
        ]

    def _record_processes(self) -> None:
        pids = [pid for worker in self.workers for pid in process_tree(worker.pid)]
        # Read each start time only once, because a process may end between two reads.
        start_times = {pid: process_start_time(pid) for pid in pids}
        self._known_processes.update(
            (pid, start_time) for pid, start_time in start_times.items() if start_time
        )

    # Restarting processes.

    def wait_until(self, condition: Callable[[], bool], event: str) -> None:
        """Wait until the condition is true. Restart processes that end meanwhile."""
        self.api.release_responses()
        deadline = time.monotonic() + STORM_TIMEOUT
        while not self._is_true(condition):
            assert time.monotonic() < deadline, f"still waiting for {event}"
            if self.api.errors:
                raise self.api.errors[0]
            time.sleep(0.1)

    def _is_true(self, condition: Callable[[], bool]) -> bool:
        self.restart_ended_processes()
        try:
            return condition()
        except DATABASE_ERRORS:
            connection.close()
            return False

    def restart_ended_processes(self) -> None:
        """Restart the server and the workers that ended, as a supervisor does.

        Call it in the main thread, because the server ends with the thread that started it.
        """
        if not self.server.is_up:
            self.server.restart()
        self.workers = [worker for worker in self.workers if worker.poll() is None]
        while len(self.workers) < self.worker_count:
            self.workers.append(self.start_process())

    def stop(self) -> None:
        """Stop all processes, and check that none is left."""
        self.api.remove_actions()
        self.api.release_responses()
        self._record_processes()
        for worker in self.workers:
            worker.send_signal(signal.SIGCONT)
            worker.terminate()
        for worker in self.workers:
            try:
                worker.wait(40)
            finally:
                worker.kill()
                worker.wait()
        deadline = time.monotonic() + STORM_TIMEOUT
        while self._remaining_processes():
            assert time.monotonic() < deadline, f"still running: {self._remaining_processes()}"
            time.sleep(0.1)


def start_storm_worker(**environment: str) -> subprocess.Popen[bytes]:
    return start_worker(**(WORKER_SETTINGS | environment))


def run_child_pids(worker: int) -> list[int]:
    """Return the processes that move records: the children of the worker's fork server."""
    return [pid for server in child_pids(worker) for pid in child_pids(server)]


def child_pids(pid: int) -> list[int]:
    pids: list[int] = []
    for file in Path(f"/proc/{pid}/task").glob("*/children"):
        try:
            pids += [int(child) for child in file.read_text().split()]
        except OSError:  # the process has just ended
            continue
    return pids


def socket_name(port: int) -> str:
    """Return the name that /proc gives the socket with this local port."""
    lines = Path("/proc/net/tcp").read_text().splitlines()[1:]
    (inode,) = [f[9] for f in map(str.split, lines) if f[1].endswith(f":{port:04X}")]
    return f"socket:[{inode}]"


def has_open(pid: int, file: str) -> bool:
    """Return whether the process has opened the file, as the links in /proc name it."""
    for link in Path(f"/proc/{pid}/fd").glob("*"):
        with suppress(OSError):  # the file was closed, or the process has ended
            if os.readlink(link) == file:
                return True
    return False


def process_tree(pid: int) -> Iterator[int]:
    yield pid
    for child in child_pids(pid):
        yield from process_tree(child)


def process_start_time(pid: int) -> str:
    """Return the start time of the process in ticks, or an empty text if it has ended or is a zombie."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2].split()
    except OSError:
        return ""
    return "" if fields[0] == "Z" else fields[19]
