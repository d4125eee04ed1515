"""Logs are written in parts, and can be read page by page, from any line and at any level."""

from __future__ import annotations

import os
import shutil
import threading
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pytest_django import Settings

from apps.engine.contract import LogLine
from apps.runs import execute
from apps.runs.claiming import reconciler
from apps.runs.execute import Worker
from apps.runs.models import LogPart
from apps.runs.outputs import log_search, logs, storage
from tests.runs.conftest import make_pipeline
from tests.runs.processes import has_ended, read_run, start_run, wait_for_run
from tests.threads import DatabaseThread
from tests.world import World

LEVELS = st.sampled_from(log_search.LEVELS)
MESSAGES = st.text(st.characters(exclude_categories=["Cs"]), max_size=30)
LINES = st.builds(LogLine, at=st.just("2026-03-01T06:00:00Z"), level=LEVELS, message=MESSAGES)
BATCHES = st.lists(st.lists(LINES, min_size=1, max_size=6), max_size=8)


@pytest.fixture
def run_id(world: World) -> UUID:
    return start_run(world, make_pipeline(world))


def write_log(world: World, run_id: UUID, batches: list[list[LogLine]], part_bytes: int) -> None:
    """Write lines in parts of at least `part_bytes`, as the recorder of a worker does."""
    LogPart.objects.for_org(world.org).filter(run_id=run_id).delete()
    draft = logs.Draft(0)
    for lines in batches:
        draft = draft.with_lines(lines)
        logs.save(logs.store(draft, org_id=world.org.pk, run_id=run_id, attempt=1))
        if len(draft.content) >= part_bytes:
            draft = logs.Draft(draft.first_line + draft.lines)


def read_log(
    world: World, run_id: UUID, *, total: int, limit: int, level: str | None
) -> list[dict[str, Any]]:
    """Read the log page by page. Return all lines."""
    read_lines: list[dict[str, Any]] = []
    offset = 0
    while offset < total:
        parts = logs.find_parts(org_id=world.org.pk, run_id=run_id, offset=offset, level=level)
        page = logs.read_page(parts, offset=offset, limit=limit, level=level, total=total)
        assert len(page.lines) <= limit
        assert page.next_offset > offset
        read_lines += page.lines
        offset = page.next_offset
    return read_lines


@settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    batches=BATCHES,
    part_bytes=st.sampled_from([1, 200, 100_000]),
    limit=st.integers(1, 10),
    level=st.none() | LEVELS,
)
def test_every_line_is_read_once_in_order(
    world: World,
    run_id: UUID,
    batches: list[list[LogLine]],
    part_bytes: int,
    limit: int,
    level: str | None,
) -> None:
    with world.scope():
        write_log(world, run_id, batches, part_bytes)
        lines = [line for batch in batches for line in batch]

        read_lines = read_log(world, run_id, total=len(lines), limit=limit, level=level)

    included_levels = (
        log_search.LEVELS[log_search.LEVELS.index(level) :] if level else log_search.LEVELS
    )
    expected = [
        (number, line.level, line.message)
        for number, line in enumerate(lines)
        if line.level in included_levels
    ]
    assert [(line["line"], line["level"], line["message"]) for line in read_lines] == expected


def test_a_part_that_grew_after_its_row_was_read_returns_the_earlier_lines(
    world: World, run_id: UUID
) -> None:
    line = LogLine("2026-03-01T06:00:00Z", "info", "hello")
    with world.scope():
        write_log(world, run_id, [[line]], 100_000)
        parts = logs.find_parts(org_id=world.org.pk, run_id=run_id, offset=0, level=None)
        write_log(world, run_id, [[line], [line]], 100_000)

        page = logs.read_page(parts, offset=0, limit=10, level=None, total=1)

    assert [line["line"] for line in page.lines] == [0]
    assert page.next_offset == 1


def test_a_long_log_is_stored_in_few_objects(world: World, run_id: UUID) -> None:
    line = LogLine("2026-03-01T06:00:00Z", "info", "x" * 100)
    with world.scope():
        write_log(world, run_id, [[line]] * 600, logs.PART_BYTES)

        assert LogPart.objects.for_org(world.org).filter(run_id=run_id).count() == 2


def test_while_storage_is_down_the_run_continues_and_the_log_is_written_later(
    acme: World, this_worker: Worker, settings: Settings
) -> None:
    settings.RUN_RETRY_WAIT = timedelta(0)
    run_id = start_run(
        acme, make_pipeline(acme, source={"rows": 600, "page_size": 100, "delay": 0.4})
    )
    key = storage.log_key(acme.org.pk, run_id, 1, 0)
    folder = (Path(os.environ["DROVER_HOME"]) / "storage" / key).parent
    folder.parent.mkdir(parents=True)
    folder.write_text("a file")  # a file at the path of the folder, so that writing the log fails

    thread = DatabaseThread(target=lambda: execute.work_once(this_worker))
    thread.start()
    run = wait_for_run(acme, run_id, lambda run: run["progress"]["read"] >= 200)
    assert run["log_lines"] == 0
    folder.unlink()
    thread.join(30)

    run = read_run(acme, run_id)
    assert has_ended(run)
    assert run["status"] == "succeeded"
    log = acme.client("viewer").get(f"/api/v1/runs/{run_id}/logs").json()
    assert [line["line"] for line in log["lines"]] == list(range(run["log_lines"]))
    assert log["lines"][0]["message"].startswith("Reading generated from Dummy")
    shutil.rmtree(folder)


def test_a_run_keeps_its_lease_while_the_storage_hangs(
    acme: World, this_worker: Worker, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings.RUN_LEASE, settings.RUN_HEARTBEAT = timedelta(seconds=2), timedelta(seconds=1)
    released, is_hanging, original_write = threading.Event(), threading.Event(), storage.write

    def hang_and_write(key: str, content: bytes) -> None:
        is_hanging.set()
        released.wait(60)
        original_write(key, content)

    monkeypatch.setattr(storage, "write", hang_and_write)
    source = {"rows": 600, "page_size": 100, "delay": 0.6}
    run_id = start_run(acme, make_pipeline(acme, source=source))
    thread = DatabaseThread(target=lambda: execute.work_once(this_worker))
    thread.start()
    try:
        run = wait_for_run(acme, run_id, lambda run: run["progress"]["read"] >= 500)
        assert is_hanging.is_set()
        assert reconciler.recover_expired_runs() == 0
        assert (run["status"], run["log_lines"]) == ("running", 0)
    finally:
        released.set()
        thread.join(30)

    run = read_run(acme, run_id)
    assert (run["status"], run["attempt"]) == ("succeeded", 1)
    log = acme.client("viewer").get(f"/api/v1/runs/{run_id}/logs").json()
    assert [line["line"] for line in log["lines"]] == list(range(run["log_lines"]))
    assert "Published" in log["lines"][-1]["message"]
