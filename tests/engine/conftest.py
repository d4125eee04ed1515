"""Fixtures of the engine: a private PostgreSQL that a test may kill, its state schema, a supervisor."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any
from uuid import uuid4

import psycopg
import pytest

from apps.engine.contract import (
    DestinationSpec,
    Event,
    Failed,
    LogLine,
    Outcome,
    OutputFile,
    Progress,
    RunSpec,
    SourceSpec,
    Started,
    StopReason,
    StorageRoot,
)
from apps.engine.process import controller
from apps.engine.process.stream_series import StreamSeries
from apps.engine.process.supervisor import EngineSupervisor
from apps.engine.sync import state
from local.database.postgres import EmbeddedPostgres, temporary_postgres
from tests.engine import faults

ROLE = "app_engine"
ROLE_PASSWORD = "engine p@ss/word:%"


@pytest.fixture(scope="session")
def engine_postgres() -> Iterator[EmbeddedPostgres]:
    """A server for engine state and for tables that runs read and write."""
    with temporary_postgres() as server:
        with psycopg.connect(server.url(), autocommit=True) as admin:
            admin.execute(f"create role {ROLE} login password '{ROLE_PASSWORD}'")
        yield server


@pytest.fixture(scope="session")
def state_dsn(engine_postgres: EmbeddedPostgres) -> str:
    state.install(engine_postgres.url(), role=ROLE)
    return engine_postgres.url(user=ROLE, password=ROLE_PASSWORD)


@pytest.fixture(scope="session")
def supervisor() -> Iterator[EngineSupervisor]:
    engine = EngineSupervisor(preload=("tests.engine.rehearsal",))
    engine.start(wait=30)
    yield engine
    engine.close()


@pytest.fixture
def quick_kill(monkeypatch: pytest.MonkeyPatch) -> None:
    """Kill a child 0.1 seconds after the request to stop, for tests of children that cannot react."""
    assert controller.GRACE_SECONDS + controller.KILL_SECONDS < 10, (
        "a stop takes at most ten seconds"
    )
    monkeypatch.setattr(controller, "GRACE_SECONDS", 0.1)


@dataclass
class Rehearsal:
    """A pipeline whose run a test can attempt repeatedly, and the events of its last attempt."""

    spec: RunSpec
    engine: EngineSupervisor
    folder: Path
    events: list[Event] = field(default_factory=list)
    child_was_killed: bool = False  # by the last `attempt_with_kill`

    def attempt(
        self,
        *,
        stop: Callable[[], StopReason | None] = lambda: None,
        on_event: Callable[[Event], None] = lambda event: None,
        series: StreamSeries | None = None,
        **changes: Any,
    ) -> Outcome:
        """Make the next attempt, if wanted in a series. `changes` are new source or destination settings."""
        self.change_settings(**changes)
        self.spec = replace(self.spec, attempt=self.spec.attempt + 1, lease=uuid4().hex)
        self.events = []

        def record_event(event: Event) -> None:
            self.events.append(event)
            on_event(event)

        runner = series or self.engine
        return runner.run(self.spec, on_event=record_event, should_stop=stop)

    def attempt_with_kill(self, moment: str) -> Outcome:
        """Make an attempt whose child is killed when it reaches the moment (see tests/engine/faults.py)."""
        faults.place_fault(self.fault_file, f"kill {moment}")
        outcome = self.attempt()
        self.child_was_killed = faults.remove_fault(self.fault_file)
        return outcome

    def kill_and_resume(self) -> Outcome:
        """Make two attempts: the first child is killed after its first checkpoint, from which the second continues."""
        killed = self.attempt_with_kill("checkpoint done 1")
        assert self.child_was_killed, "the child was not killed"
        assert isinstance(killed, Failed), "the killed attempt did not fail"
        outcome = self.attempt()
        assert any("Continuing at page" in line.message for line in self.log), (
            "the second attempt did not continue"
        )
        return outcome

    def attempt_with_hold(
        self,
        moment: str,
        action: Callable[[], None],
        *,
        after_release: Callable[[], None] = lambda: None,
    ) -> Outcome:
        """Make an attempt whose child waits at the moment until `action` has returned.

        `after_release` is called when the child continues. Fail if the child does not reach the moment.
        """
        faults.place_fault(self.fault_file, f"hold {moment}")
        with ThreadPoolExecutor(1) as pool:
            ended = threading.Event()
            action_future = pool.submit(
                faults.call_when_held, self.fault_file, action, after_release, ended.is_set
            )
            outcome = self.attempt()
            ended.set()
            action_future.result()
        assert faults.remove_fault(self.fault_file), f"the child did not reach {moment}: {outcome}"
        return outcome

    def change_settings(
        self, source: dict[str, Any] | None = None, destination: dict[str, Any] | None = None
    ) -> None:
        if source is not None:
            changed_config = {**self.spec.source.config, **source}
            self.spec = replace(self.spec, source=replace(self.spec.source, config=changed_config))
        if destination is not None:
            changed_config = {**self.spec.destination.config, **destination}
            changed_destination = replace(self.spec.destination, config=changed_config)
            self.spec = replace(self.spec, destination=changed_destination)

    @property
    def failure_flag(self) -> Path:
        """Connectors that get this path as `while_exists` fail while the file exists."""
        return self.folder / "failure_flag"

    @property
    def fault_file(self) -> Path:
        return faults.fault_file(self.spec.files.url, self.spec.stream_key)

    def start_new_run(self) -> None:
        """Make the next attempt the first one of a new run."""
        self.spec = replace(self.spec, run_id=uuid4().hex, attempt=0)

    @property
    def pid(self) -> int:
        return next(event.pid for event in self.events if isinstance(event, Started))

    @property
    def progress(self) -> list[Progress]:
        return [event for event in self.events if isinstance(event, Progress)]

    @property
    def log(self) -> list[LogLine]:
        return [event for event in self.events if isinstance(event, LogLine)]

    @property
    def outputs(self) -> list[OutputFile]:
        return [event for event in self.events if isinstance(event, OutputFile)]


@pytest.fixture
def make_rehearsal(
    tmp_path: Path, state_dsn: str, supervisor: EngineSupervisor
) -> Callable[..., Rehearsal]:
    """Return a function that creates a pipeline, from the faulty source to the ledger by default."""

    def build(
        source: dict[str, Any] | None = None,
        destination: dict[str, Any] | None = None,
        *,
        source_kind: str = "faulty",
        destination_kind: str = "ledger",
        stream: str = "numbers",
        **modes: Any,
    ) -> Rehearsal:
        folder = tmp_path / uuid4().hex
        folder.mkdir()
        (folder / "failure_flag").touch()  # see `failure_flag`
        for config in (source, destination):
            if config is not None and config.get("while_exists"):
                config["while_exists"] = str(folder / "failure_flag")
        folder_setting = {"folder": str(folder)} if destination_kind == "ledger" else {}
        spec = RunSpec(
            run_id=uuid4().hex,
            org_id=str(uuid4()),
            pipeline_id=str(uuid4()),
            attempt=0,
            lease="",
            source=SourceSpec(
                source_kind, source or {}, stream, modes.pop("sync_mode", "full_refresh")
            ),
            destination=DestinationSpec(
                destination_kind, {**folder_setting, **(destination or {})}, "numbers", **modes
            ),
            state_dsn=state_dsn,
            data=StorageRoot(f"file://{folder}", "org/x/pipeline/y"),
            files=StorageRoot(f"file://{folder}", "org/x/files"),
            left_out=StorageRoot(f"file://{folder}", "org/x/run/z"),
            log_level="debug",
        )
        return Rehearsal(spec, supervisor, folder)

    return build
