"""The environment of a storm: workers that are restarted when they die, pipelines, and the checks afterwards."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any
from uuid import UUID

import polars
import psycopg
from django.db import InterfaceError, OperationalError, connection
from psycopg import sql
from psycopg.conninfo import conninfo_to_dict

from apps.connectors.custom_sources import services as custom_sources
from apps.connectors.custom_sources.texts import Text
from apps.engine.authoring.validation import validate
from apps.orgs.principals import SYSTEM
from apps.runs.models import Output, Run
from local.supervision.processes import command_line
from tests.runs.conftest import make_pipeline
from tests.runs.own_server import OwnServer
from tests.runs.processes import ended, shown, start, start_worker, wait_for
from tests.storms.api import PAGE, ROWS, PagedApi
from tests.world import make_world

PATIENCE = 300.0  # seconds after which a storm has failed, even on a busy machine
CODE = """
from drover import Offset, RestSource, Stream


class Paged(RestSource):
    base_url = "{url}"
    paging = Offset(size={page}, param="offset", size_param="limit")
    streams = [Stream("rows", primary_key="id")]
"""
Place = tuple[str, str]  # destination and write mode
PLACES: Sequence[Place] = (
    ("postgres", "replace"),
    ("postgres", "append"),
    ("postgres", "merge"),
    ("parquet", "replace"),
)
# The same concurrency on any machine, and leases that do not expire on a busy one: runs may die three times.
WORKERS = {"DROVER_WORKER_ORG_RUNS": "8", "DROVER_RUN_LEASE_SECONDS": "8"}
DATABASE_AWAY = (OperationalError, InterfaceError, psycopg.OperationalError)


class Stage:
    """Everything that a storm uses."""

    def __init__(self, server: OwnServer, api: PagedApi, chance: random.Random, home: Path) -> None:
        self.server, self.api, self.chance, self.home = server, api, chance, home
        self.launch: Callable[[], subprocess.Popen[bytes]] = a_worker
        self.wanted = 2
        self.world = make_world()
        self.world.org.max_running = 50
        with self.world.scope():
            self.world.org.save(update_fields=["max_running"])
        self.workers: list[subprocess.Popen[bytes]] = []
        self.warehouse = server.admin_url("postgres")
        self._seen: set[tuple[int, str]] = (
            set()
        )  # every process that ever existed: its id and start time
        self._runs: list[tuple[UUID, Any]] = []

    # Actions of a storm.

    def start(self, pipeline: Any) -> UUID:
        """Start a run, which `settle` waits for and checks. No page is returned until somebody waits."""
        self.api.hold()
        run_id = start(self.world, pipeline)
        self.expect(run_id, pipeline)
        return run_id

    def expect(self, run_id: UUID, pipeline: Any) -> None:
        """Have `settle` check this run."""
        self._runs.append((run_id, pipeline))

    def pipeline(
        self, kind: str = "rest", place: Place | None = None, *, api: str = "", **config: Any
    ) -> Any:
        """Create a pipeline that reads everything from the API, to a destination with `config` added."""
        destination, mode = place or self.chance.choice(PLACES)
        name = f"p{self.chance.randrange(16**12):012x}"
        kind, source = self._source(kind, f"{api or self.api.url}/{name}")
        return make_pipeline(
            self.world,
            name=name,
            source=source,
            source_kind=kind,
            stream="rows",
            destination={"kind": destination, "config": self._config(destination) | config},
            table=name,
            write_mode=mode,
            max_attempts=10,
        )

    def _source(self, kind: str, url: str) -> tuple[str, dict[str, Any]]:
        if kind == "custom":
            return self._custom(CODE.format(url=url, page=PAGE)), {}
        streams = [{"name": "rows", "primary_key": ["id"]}]
        pages = {"type": "offset", "page_size": PAGE}
        return "rest", {"base_url": url, "streams": streams, "pagination": pages}

    def _custom(self, code: str) -> str:
        """Return the kind of a new custom source."""
        text = Text(code, validate(code).to_json())
        name = f"c{self.chance.randrange(16**12):012x}"
        with self.world.scope():
            made = custom_sources.create(
                org=self.world.org, by=SYSTEM, name=name, code=code, checked=text, approve=True
            )
        return made.kind

    def _config(self, destination: str) -> dict[str, Any]:
        return {} if destination == "parquet" else self.postgres_settings()

    def postgres_settings(self) -> dict[str, Any]:
        given = conninfo_to_dict(self.warehouse)
        return {
            "host": "127.0.0.1",
            "port": int(str(given["port"])),
            "database": given["dbname"],
            "user": given["user"],
            "password": given["password"],
            "schema": "arrivals",
        }

    def moment(self, runs: int = 1) -> int:
        """Choose a random page among those that so many runs will request."""
        return self.chance.randint(1, runs * ROWS // PAGE)

    def admin(self) -> psycopg.Connection[Any]:
        """Return a connection of the administrator, as soon as the server accepts one."""
        deadline = time.monotonic() + PATIENCE
        while True:
            try:
                return psycopg.connect(self.warehouse, autocommit=True)
            except psycopg.OperationalError:
                if time.monotonic() > deadline:
                    raise
            time.sleep(0.1)

    def kill(self, choose: Callable[[], int]) -> None:
        """kill -9, recording its descendants. If it ended by itself at this moment, choose again."""
        self._remember()
        for _ in range(100):
            try:
                return os.kill(choose(), signal.SIGKILL)
            except ProcessLookupError:
                continue
        raise AssertionError("nobody to kill")

    def a_worker(self) -> int:
        """Return the id of a worker that has a run, else of any."""
        return self.chance.choice(self._with_children() or self.alive("worker"))

    def a_fork_server(self) -> int:
        """Return a child of a worker that has a run."""
        return self.chance.choice([children(pid)[0] for pid in self._with_children()])

    def a_child(self) -> int:
        """Return a child that moves records now."""
        return self.chance.choice(self._run_children())

    def _with_children(self) -> list[int]:
        return [pid for pid in self.alive("worker") if run_children(pid)]

    def _run_children(self) -> list[int]:
        return [child for pid in self.alive("worker") for child in run_children(pid)]

    def alive(self, word: str) -> list[int]:
        """Return the processes that were started with this word."""
        found = (pid for worker in self.workers for pid in below(worker.pid))
        return sorted(pid for pid in found if f" {word} " in command_line(pid) + " ")

    # Checks.

    def settle(self, *, faults: bool = True) -> list[dict[str, Any]]:
        """Wait for all runs, restarting what dies, and check every invariant.

        Returns the runs, and resets the list.
        The API's `faults` must all have happened.
        """
        runs, self._runs = self._runs, []
        self.wait(
            lambda: all(ended(shown(self.world, run)) for run, _ in runs), "the end of all runs"
        )
        ends = [shown(self.world, run) for run, _ in runs]
        if faults:
            self.check_acts()
        for (run_id, pipeline), run in zip(runs, ends, strict=True):
            self.check_rows(run_id, pipeline, run)
        self.check_nothing_is_left()
        return ends

    def check_acts(self) -> None:
        """Every fault has happened, and none raised."""
        if self.api.faults:
            raise self.api.faults[0]
        assert self.api.waiting == 0, "a fault never fired"
        assert self.api.fired

    def check_rows(self, run_id: UUID, pipeline: Any, run: dict[str, Any]) -> None:
        """All rows or, for a cancelled run, none."""
        assert run["status"] in {"succeeded", "cancelled"}, run
        found = self.rows_of(run_id, pipeline)
        if run["status"] == "cancelled":
            assert found == [], run
            return
        progress = run["progress"]
        assert progress["read"] == progress["written"] + progress["rejected"] == ROWS, run
        assert found == list(range(1, ROWS + 1)), run

    def rows_of(self, run_id: UUID, pipeline: Any) -> list[int]:
        """Return the published keys, sorted; none if there is no table."""
        if pipeline.destination_kind == "parquet":
            return self._published(run_id)
        table = sql.Identifier("arrivals", pipeline.name)
        with psycopg.connect(self.warehouse) as warehouse:
            try:
                rows = warehouse.execute(sql.SQL("SELECT id FROM {} ORDER BY id").format(table))
            except psycopg.errors.UndefinedTable:
                return []
            return [int(row[0]) for row in rows]

    def _published(self, run_id: UUID) -> list[int]:
        with self.world.scope():
            outputs = Output.objects.for_org(self.world.org).filter(run_id=run_id)
            keys = list(outputs.values_list("key", flat=True))
        found = [polars.read_parquet(self.home / "storage" / key)["id"] for key in keys]
        return sorted(polars.concat(found).to_list()) if found else []

    def check_nothing_is_left(self) -> None:
        """No run has an owner, and no child or work folder is left; and a new run ends."""
        with self.world.scope():
            held = Run.objects.for_org(self.world.org).exclude(lease=None)
            assert list(held.values("id", "status", "lease_until")) == []
        self._remember()
        self.wait(lambda: not self._left(), "the end of every child")
        self.wait(lambda: not self.folders(), "the removal of every working folder")
        after = start(self.world, make_pipeline(self.world, source={"rows": 10}))
        assert wait_for(self.world, after, ended, PATIENCE)["status"] == "succeeded"

    def folders(self) -> list[str]:
        """Work folders of sandboxes and of children."""
        sandboxes = self.home / "sandbox"
        return [path.name for path in sandboxes.glob("*")] if sandboxes.exists() else []

    def _left(self) -> list[tuple[int, str]]:
        """Return processes that still exist, except those waiting for work."""
        idle = {pid for worker in self.workers for pid in below(worker.pid)}
        idle -= {pid for child in self._run_children() for pid in below(child)}
        return [one for one in self._seen if one[0] not in idle and began(one[0]) == one[1]]

    def _remember(self) -> None:
        pids = [pid for worker in self.workers for pid in below(worker.pid)]
        begun = {pid: began(pid) for pid in pids}  # read once: it may end between two reads
        self._seen.update((pid, at) for pid, at in begun.items() if at)

    # Keep it running.

    def wait(self, condition: Callable[[], bool], what: str) -> None:
        """Wait until it is true, restarting what died meanwhile."""
        self.api.release()
        deadline = time.monotonic() + PATIENCE
        while not self._holds(condition):
            assert time.monotonic() < deadline, f"still waiting for {what}"
            if self.api.faults:
                raise self.api.faults[0]
            time.sleep(0.1)

    def _holds(self, condition: Callable[[], bool]) -> bool:
        self.keep_running()
        try:
            return condition()
        except DATABASE_AWAY:
            connection.close()
            return False

    def keep_running(self) -> None:
        """Restart as a supervisor does.

        In the main thread, because a server ends with the thread that started it.
        """
        if not self.server.is_up:
            self.server.start_again()
        self.workers = [worker for worker in self.workers if worker.poll() is None]
        while len(self.workers) < self.wanted:
            self.workers.append(self.launch())

    def end(self) -> None:
        """Tell all processes to exit; none may remain."""
        self.api.forget()
        self.api.release()
        self._remember()
        for worker in self.workers:
            worker.send_signal(signal.SIGCONT)
            worker.terminate()
        for worker in self.workers:
            try:
                worker.wait(40)
            finally:
                worker.kill()
                worker.wait()
        deadline = time.monotonic() + PATIENCE
        while self._left():
            assert time.monotonic() < deadline, f"left behind: {self._left()}"
            time.sleep(0.1)


def a_worker(**environment: str) -> subprocess.Popen[bytes]:
    return start_worker(**(WORKERS | environment))


def run_children(worker: int) -> list[int]:
    """Return the processes that move records: the children of the worker's fork server."""
    return [pid for server in children(worker) for pid in children(server)]


def children(pid: int) -> list[int]:
    found: list[int] = []
    for file in Path(f"/proc/{pid}/task").glob("*/children"):
        try:
            found += [int(child) for child in file.read_text().split()]
        except OSError:  # it has just ended
            continue
    return found


def below(pid: int) -> Iterator[int]:
    yield pid
    for child in children(pid):
        yield from below(child)


def began(pid: int) -> str:
    """Return the start of the process, in ticks; None if it does not exist or is a zombie."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2].split()
    except OSError:
        return ""
    return "" if fields[0] == "Z" else fields[19]
