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
from apps.engine.process import conversation
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
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """A child that was told to stop is killed almost at once, for tests of children that cannot react."""
    assert conversation.GRACE_SECONDS + conversation.KILL_SECONDS < 10, (
        "which is what a run promises"
    )
    monkeypatch.setattr(conversation, "GRACE_SECONDS", 0.1)


@dataclass
class Rehearsal:
    """One pipeline whose run can be attempted repeatedly, and the events of its last attempt."""

    spec: RunSpec
    engine: EngineSupervisor
    folder: Path
    events: list[Event] = field(default_factory=list)
    was_hit: bool = False  # whether the last `attempt_killed` has killed the child

    def attempt(
        self,
        *,
        stop: Callable[[], StopReason | None] = lambda: None,
        on_event: Callable[[Event], None] = lambda event: None,
        **changes: Any,
    ) -> Outcome:
        """Make the next attempt, with changed source or destination settings."""
        self.change(**changes)
        self.spec = replace(self.spec, attempt=self.spec.attempt + 1, lease=uuid4().hex)
        self.events = []

        def hear(event: Event) -> None:
            self.events.append(event)
            on_event(event)

        return self.engine.run(self.spec, on_event=hear, should_stop=stop)

    def attempt_killed(self, moment: str) -> Outcome:
        """Make an attempt whose child is killed at the moment, if it reaches it (see tests/engine/faults.py)."""
        faults.arm(self.spec, f"kill {moment}")
        outcome = self.attempt()
        self.was_hit = faults.disarm(self.spec)
        return outcome

    def resume(self) -> Outcome:
        """Make two attempts: the first child is killed after its first checkpoint, from which the second continues."""
        killed = self.attempt_killed("checkpoint done 1")
        assert self.was_hit, "the fault never fired"
        assert isinstance(killed, Failed), "it ended although it was killed"
        outcome = self.attempt()
        assert any("Continuing at page" in line.message for line in self.log), "it began anew"
        return outcome

    def attempt_held(
        self,
        moment: str,
        act: Callable[[], None],
        *,
        afterwards: Callable[[], None] = lambda: None,
    ) -> Outcome:
        """Make an attempt whose child waits at the moment until `act` is done. Fails if it never reaches it.

        `afterwards` is done when the child continues.
        """
        faults.arm(self.spec, f"hold {moment}")
        with ThreadPoolExecutor(1) as pool:
            ended = threading.Event()
            acting = pool.submit(faults.act_when_held, self.spec, act, afterwards, ended.is_set)
            outcome = self.attempt()
            ended.set()
            acting.result()
        assert faults.disarm(self.spec), f"{moment} never came: {outcome}"
        return outcome

    def change(
        self, source: dict[str, Any] | None = None, destination: dict[str, Any] | None = None
    ) -> None:
        if source is not None:
            config = {**self.spec.source.config, **source}
            self.spec = replace(self.spec, source=replace(self.spec.source, config=config))
        if destination is not None:
            config = {**self.spec.destination.config, **destination}
            target = replace(self.spec.destination, config=config)
            self.spec = replace(self.spec, destination=target)

    @property
    def trouble(self) -> Path:
        """While this file exists, connectors that get its path as `while_exists` misbehave."""
        return self.folder / "trouble"

    def next_run(self) -> None:
        """A new run of the same pipeline."""
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
def rehearse(
    tmp_path: Path, state_dsn: str, supervisor: EngineSupervisor
) -> Callable[..., Rehearsal]:
    """Create a pipeline from an unruly source to a ledger, or of the given kinds."""

    def make(
        source: dict[str, Any] | None = None,
        destination: dict[str, Any] | None = None,
        *,
        source_kind: str = "unruly",
        destination_kind: str = "ledger",
        stream: str = "numbers",
        **modes: Any,
    ) -> Rehearsal:
        folder = tmp_path / uuid4().hex
        folder.mkdir()
        (folder / "trouble").touch()
        for config in (source, destination):
            if config is not None and config.get("while_exists"):
                config["while_exists"] = str(folder / "trouble")
        target = {"folder": str(folder)} if destination_kind == "ledger" else {}
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
                destination_kind, {**target, **(destination or {})}, "numbers", **modes
            ),
            state_dsn=state_dsn,
            data=StorageRoot(f"file://{folder}", "org/x/pipeline/y"),
            files=StorageRoot(f"file://{folder}", "org/x/files"),
            log_level="debug",
        )
        return Rehearsal(spec, supervisor, folder)

    return make
