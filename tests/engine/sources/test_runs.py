"""Kill a run while it reads from a real source. The next attempt reads exactly the missing rows."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from apps.engine.contract import Failed, StorageRoot, Succeeded
from apps.engine.failures import FailureClass
from tests.engine.conftest import Rehearsal
from tests.engine.sources.api import ReceivedRequest, Reply, serve_api
from tests.engine.sources.conftest import SourceDatabase

ROWS = 3000
PAGE_SIZE = 20
# A smaller file could be read completely before the first checkpoint.
FILE_ROWS = 10_000

MakeRehearsal = Callable[..., Rehearsal]


def published_numbers(run: Rehearsal) -> list[int]:
    lines = (run.folder / "published.jsonl").read_text().splitlines()
    return sorted(int(json.loads(line)["n"]) for line in lines)


def assert_a_killed_run_resumes(run: Rehearsal, rows: int = ROWS) -> None:
    run.spec = replace(run.spec, allow_private_networks=True)
    outcome = run.kill_and_resume()
    assert isinstance(outcome, Succeeded), outcome
    assert (outcome.read, outcome.written, outcome.rejected) == (rows, rows, 0)
    assert published_numbers(run) == list(range(rows))


@pytest.mark.parametrize("table", ["keyed", "keyless", "keyless_view"])
def test_a_killed_run_that_reads_a_table_resumes(
    make_rehearsal: MakeRehearsal, database: SourceDatabase, table: str
) -> None:
    database.execute(
        "CREATE TABLE IF NOT EXISTS keyed AS SELECT n, repeat('x', 100) AS filler "
        f"FROM generate_series(0, {ROWS - 1}) n",
        "CREATE TABLE IF NOT EXISTS keyless AS TABLE keyed",
        "CREATE OR REPLACE VIEW keyless_view AS SELECT * FROM keyless",
        "ALTER TABLE keyed DROP CONSTRAINT IF EXISTS keyed_pkey",
        "ALTER TABLE keyed ADD CONSTRAINT keyed_pkey PRIMARY KEY (n)",
    )
    page_size = PAGE_SIZE * 5 if table == "keyless_view" else PAGE_SIZE
    config = {**database.config, "page_size": page_size}
    assert_a_killed_run_resumes(make_rehearsal(config, source_kind="postgres", stream=table))


def test_a_killed_incremental_run_resumes_and_the_next_run_reads_new_rows(
    make_rehearsal: MakeRehearsal, database: SourceDatabase
) -> None:
    database.execute(
        "CREATE TABLE events (n int PRIMARY KEY, at timestamptz NOT NULL, filler text)",
        "INSERT INTO events SELECT n, timestamptz '2024-01-01' + (n / 100) * interval '1 hour', "
        f"repeat('x', 100) FROM generate_series(0, {ROWS - 1}) n",
    )
    run = make_rehearsal(
        {**database.config, "page_size": PAGE_SIZE},
        source_kind="postgres",
        stream="events",
        sync_mode="incremental",
        write_mode="append",
    )
    run.spec = replace(run.spec, source=replace(run.spec.source, cursor_field="at"))
    assert_a_killed_run_resumes(run)
    database.execute(
        f"INSERT INTO events SELECT n, (SELECT max(at) FROM events), '' FROM generate_series({ROWS}, {ROWS + 9}) n"
    )
    run.start_new_run()
    outcome = run.attempt()
    assert isinstance(outcome, Succeeded), outcome
    assert outcome.read == 10


def test_a_killed_run_that_reads_an_api_resumes(make_rehearsal: MakeRehearsal) -> None:
    def respond(request: ReceivedRequest) -> Reply:
        time.sleep(0.01)  # slow enough that the run makes checkpoints before the kill
        start = int(request.params.get("offset", 0))
        return Reply([{"n": n} for n in range(start, min(start + 100, ROWS))])

    with serve_api(respond) as api:
        config = {
            "base_url": api.url,
            "streams": [{"name": "items"}],
            "pagination": {"type": "offset", "page_size": 100},
        }
        assert_a_killed_run_resumes(make_rehearsal(config, source_kind="rest", stream="items"))


def test_an_api_that_has_nothing_new_is_read_without_a_failure(
    make_rehearsal: MakeRehearsal,
) -> None:
    rows = [{"n": 1, "at": "2024-01-01"}]

    def respond(request: ReceivedRequest) -> Reply:
        newer = [row for row in rows if str(row["at"]) > request.params.get("since", "")]
        return Reply(newer) if newer else Reply(b"", 204)

    with serve_api(respond) as api:
        stream = {"name": "items", "cursor_field": "at", "cursor_param": "since"}
        run = make_rehearsal(
            {"base_url": api.url, "streams": [stream]},
            source_kind="rest",
            stream="items",
            sync_mode="incremental",
            write_mode="append",
        )
        run.spec = replace(run.spec, allow_private_networks=True)
        for written in (1, 0, 0, 1):
            outcome = run.attempt()
            assert isinstance(outcome, Succeeded), outcome
            assert outcome.written == written
            run.start_new_run()
            if api.requests[-1].params.get("since") and len(api.requests) == 3:
                rows.append({"n": 2, "at": "2024-01-02"})
    assert published_numbers(run) == [1, 2]


def test_an_api_whose_pages_end_too_early_fails_the_run_without_a_retry(
    make_rehearsal: MakeRehearsal,
) -> None:
    with serve_api(lambda _: Reply({"data": [{"n": 1}], "has_more": True})) as api:
        stream = {
            "name": "items",
            "records_path": "data",
            "pagination": {"type": "cursor", "cursor_path": "next"},
        }
        run = make_rehearsal(
            {"base_url": api.url, "streams": [stream]}, source_kind="rest", stream="items"
        )
        run.spec = replace(run.spec, allow_private_networks=True)
        outcome = run.attempt()
        assert len(api.requests) == 1
    assert isinstance(outcome, Failed), outcome
    assert (outcome.failure_class, outcome.retryable) == (FailureClass.CONFIGURATION, False)
    assert "'next'" in outcome.message
    assert any("has_more" in line for line in outcome.evidence)


@pytest.mark.parametrize("name", ["numbers.csv", "numbers.jsonl"])
def test_a_killed_run_that_reads_a_file_resumes(
    make_rehearsal: MakeRehearsal, name: str, tmp_path: Path
) -> None:
    filler = "x" * 500
    if name.endswith(".csv"):
        text = "n,filler\n" + "".join(f"{n},{filler}\n" for n in range(FILE_ROWS))
    else:
        text = "".join(json.dumps({"n": n, "filler": filler}) + "\n" for n in range(FILE_ROWS))
    (tmp_path / "area").mkdir()
    (tmp_path / "area" / name).write_text(text)
    config: dict[str, Any] = {"path": name, "page_size": 1}
    run = make_rehearsal(config, source_kind="files", stream="numbers")
    run.spec = replace(run.spec, files=StorageRoot(tmp_path.as_uri(), "area"))
    assert_a_killed_run_resumes(run, FILE_ROWS)
