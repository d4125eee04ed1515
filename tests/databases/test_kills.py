"""The child of one stream among five is killed at every checkpoint. Each row arrives once, and the other streams stay as they are."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import count
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest

from apps.connectors.storage import files_root
from apps.engine.stream_keys import stream_key
from apps.pipelines.models import Pipeline
from tests.databases.comparing import require_equal_tables
from tests.databases.moving import KINDS, Arrived, Mover
from tests.databases.source_tables import SourceReader
from tests.engine import faults

TABLES = ("customers", "orders", "items", "places", "visits")
VICTIM = "shop.items"
# One snapshot is read again from the beginning; pages are continued after the last checkpoint.
READS: dict[str, dict[str, Any]] = {
    "one snapshot": {"source": {"page_size": 50}},
    "pages": {"source": {"snapshot": "paged", "page_size": 50}, "snapshot": {"scope": "stream"}},
}
MODES: dict[str, dict[str, Any]] = {
    "replace": {},
    "append": {"sync_mode": "incremental", "cursor_field": "id", "write_mode": "append"},
    "merge": {"sync_mode": "incremental", "cursor_field": "id", "write_mode": "merge"},
}
# Files cannot be merged.
WRITES = [(kind, mode) for kind in KINDS for mode in MODES if (kind, mode) != ("parquet", "merge")]


class Shop:
    """Five tables, which get new rows before each run, and their pipeline."""

    def __init__(self, mover: Mover, kind: str, read: str, mode: str) -> None:
        self.mover, self.kind, self.mode = mover, kind, mode
        self._is_filled = False
        mover.source.execute(
            "DROP SCHEMA IF EXISTS shop CASCADE; CREATE SCHEMA shop",
            f"GRANT USAGE ON SCHEMA shop TO {mover.source.config['user']}",
            *(
                f"CREATE TABLE shop.{table} (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, text text)"
                for table in TABLES
            ),
        )
        self.pipeline: Pipeline = mover.create(
            kind,
            "shop.*",
            defaults=MODES[mode],
            **{name: {**value} for name, value in READS.get(read, {}).items()},
        )
        key = stream_key(mover.world.org.pk, self.pipeline.pk, VICTIM)
        self.fault_file: Path = faults.fault_file(files_root(mover.world.org.pk).url, key)

    def add_rows(self) -> None:
        """Add rows for the next run. A run that reads all rows again needs no new ones."""
        if self._is_filled and self.mode == "replace":
            return
        self._is_filled = True
        self.mover.source.execute(
            *(
                f"INSERT INTO shop.{table} (text) SELECT 'row ' || n FROM generate_series(1, {rows}) n"
                for table, rows in zip(TABLES, (100, 200, 1500, 300, 100), strict=True)
            )
        )

    def run_with_kill(self, moment: str) -> UUID | None:
        """Kill the child at the moment. Return the run, or None if the child has ended before."""
        faults.place_fault(self.fault_file, f"kill {moment}")
        run_id = self.mover.run(self.pipeline)
        return run_id if faults.remove_fault(self.fault_file) else None

    def arrived(self, run_id: UUID) -> dict[str, Arrived]:
        return self.mover.arrived(self.pipeline, run_id)

    def require_every_row_once(self, run_id: UUID) -> None:
        state = self.mover.state(run_id)
        assert state["status"] == "succeeded", state["failure"]
        reader = SourceReader(self.mover.source.admin, ["shop"])
        require_equal_tables(self.kind, reader.tables(arrays_as_json=False), self.arrived(run_id))


def every_moment(shop: Shop) -> Iterator[tuple[str, UUID]]:
    """Yield every moment at which a run can be killed, with the killed run: around each checkpoint and the publication."""
    shop.add_rows()
    for moment in ("publish 1", "publish done 1"):
        run_id = shop.run_with_kill(moment)
        assert run_id is not None, f"the child was not killed at {moment}"
        yield moment, run_id
    for number in count(1):
        for moment in (f"checkpoint {number}", f"checkpoint done {number}"):
            shop.add_rows()
            run_id = shop.run_with_kill(moment)
            if run_id is None:
                assert number > 2, "the child had too few checkpoints"
                return
            yield moment, run_id


def continue_and_check(shop: Shop, moment: str, run_id: UUID) -> None:
    mover = shop.mover
    before, rows_before = mover.streams(run_id), shop.arrived(run_id)
    state = mover.state(run_id)
    assert (state["status"], state["failure"]["class"]) == ("pending", "crashed"), moment
    assert state["streams_succeeded"] == 4
    mover.continue_run()
    shop.require_every_row_once(run_id)
    after, rows_after = mover.streams(run_id), shop.arrived(run_id)
    assert {name for name in after if after[name] != before[name]} == {VICTIM}
    others = set(after) - {VICTIM}
    assert {name: rows_after[name] for name in others} == {
        name: rows_before[name] for name in others
    }
    victim = after[VICTIM]
    assert victim["read"] == victim["written"], "a row was counted twice"


@pytest.mark.long
@pytest.mark.parametrize("read", READS)
@pytest.mark.parametrize(("kind", "mode"), WRITES)
def test_a_child_that_is_killed_at_any_checkpoint_loses_and_repeats_no_row(
    faulty_mover: Mover, kind: str, read: str, mode: str
) -> None:
    shop = Shop(faulty_mover, kind, read, mode)
    killed = 0
    for moment, run_id in every_moment(shop):
        continue_and_check(shop, moment, run_id)
        killed += 1
    assert killed >= 6


def test_a_child_that_is_killed_after_a_checkpoint_loses_and_repeats_no_row(
    faulty_mover: Mover,
) -> None:
    shop = Shop(faulty_mover, "postgres", "pages", "replace")
    shop.add_rows()
    run_id = shop.run_with_kill("checkpoint done 1")
    assert run_id is not None, "the child was not killed"
    continue_and_check(shop, "checkpoint done 1", run_id)
    assert "Continuing at page" in faulty_mover.log(run_id)


@pytest.mark.parametrize(
    ("moment", "mode"),
    [
        ("checkpoint done 1", "append"),
        *(
            pytest.param(moment, mode, marks=pytest.mark.long)
            for moment in ("checkpoint 1", "checkpoint done 1", "publish 1", "publish done 1")
            for mode in MODES
            if (moment, mode) != ("checkpoint done 1", "append")
        ),
    ],
)
def test_a_child_that_is_killed_around_the_only_batch_of_a_stream_loses_and_repeats_no_row(
    faulty_mover: Mover, moment: str, mode: str
) -> None:
    """The transaction that stages the batch also publishes it, so the kill may lose the batch after its checkpoint."""
    shop = Shop(faulty_mover, "postgres", "one batch", mode)
    shop.add_rows()
    shop.mover.run_to_success(shop.pipeline)
    shop.add_rows()
    run_id = shop.run_with_kill(moment)
    assert run_id is not None, "the child was not killed"
    continue_and_check(shop, moment, run_id)


def test_a_stream_that_the_next_attempt_reads_alone_is_not_as_of_the_snapshot_of_the_attempt_before(
    faulty_mover: Mover,
) -> None:
    shop = Shop(faulty_mover, "postgres", "one batch", "replace")
    shop.add_rows()
    run_id = shop.run_with_kill("checkpoint 1")
    assert run_id is not None, "the child was not killed"
    continue_and_check(shop, "checkpoint 1", run_id)
    snapshots = {name: row["snapshot_at"] for name, row in faulty_mover.streams(run_id).items()}
    assert snapshots.pop(VICTIM) is None
    assert None not in snapshots.values()
