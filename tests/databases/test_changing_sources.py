"""Databases arrive as they were at one moment while transactions change them, so that every foreign key holds."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

import psycopg
import pytest

from apps.connectors.storage import files_root
from apps.engine.stream_keys import stream_key
from tests.databases.comparing import require_equal_tables, require_foreign_keys
from tests.databases.moving import KINDS, Arrived, Mover
from tests.databases.source_tables import Row, SourceReader, load
from tests.engine import faults
from tests.runs.stream_actions import call_before_streams
from tests.storms.stage import STORM_TIMEOUT

CHANGE = """
INSERT INTO trade.changes VALUES ({n});
INSERT INTO trade.parts VALUES (1000 + {n}, 'part of {n}', NULL, {n}, {n} / 4.0);
INSERT INTO trade.part_suppliers VALUES (1000 + {n}, {n} % 20 + 1, {n}, 1.5);
INSERT INTO trade.customers VALUES (1000 + {n}, 'new {n}', {n} % 25, 0, NULL);
INSERT INTO trade.orders VALUES (1000 + {n}, 1000 + {n}, 'N', 100 + {n}, date '2020-01-01' + {n}, NULL);
INSERT INTO trade.items SELECT 1000 + {n}, line, 1000 + {n}, {n} % 20 + 1, line, {n}, 0, NULL, 'of {n}' FROM generate_series(1, 3) line;
UPDATE trade.orders SET customer_id = 1000 + {n}, status = 'U' WHERE id % 50 = {n} % 50;
UPDATE trade.items SET part_id = 1000 + {n}, supplier_id = {n} % 20 + 1 WHERE order_id % 40 = {n} % 40 AND line = 1;
DELETE FROM trade.customers WHERE id = 1000 + {n} - 60 OR id = {n} % 60;
DELETE FROM trade.items WHERE order_id = {n} AND line > 2;
"""


def change(connection: psycopg.Connection[Row], number: int) -> None:
    """Insert, update and delete rows of several tables in one transaction. What it does depends only on the rows and the number."""
    with connection.transaction():
        connection.execute(CHANGE.format(n=number).encode())


class Changer:
    """Changes the source in another thread, again and again."""

    def __init__(self, url: str) -> None:
        self._url = url
        self.committed = 0
        self._stopped = False
        self._changed = threading.Condition()
        self._thread = threading.Thread(target=self._run)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._stopped = True
        self._thread.join(STORM_TIMEOUT)
        assert not self._thread.is_alive()

    def wait_for_next(self) -> None:
        """Wait until another change has been committed."""
        with self._changed:
            number = self.committed
            assert self._changed.wait_for(lambda: self.committed > number, STORM_TIMEOUT)

    def _run(self) -> None:
        with psycopg.connect(self._url, autocommit=True) as connection:
            while not self._stopped:
                change(connection, self.committed + 1)
                with self._changed:
                    self.committed += 1
                    self._changed.notify_all()


@contextmanager
def changing(mover: Mover, monkeypatch: pytest.MonkeyPatch) -> Iterator[Changer]:
    """Change the source until the block ends, at least once before each stream is read."""
    changer = Changer(mover.server.url(mover.source.config["database"]))
    changer.start()
    try:
        with monkeypatch.context() as patch:
            call_before_streams(patch, lambda spec: changer.wait_for_next())
            yield changer
    finally:
        changer.stop()


def changes_in(arrived: dict[str, Arrived]) -> int:
    """Return how many changes the source had at the moment as of which its rows have arrived."""
    numbers = sorted(int(number) for (number,) in arrived["trade.changes"].rows)
    assert numbers == list(range(1, len(numbers) + 1))
    return len(numbers)


def require_one_moment(mover: Mover, kind: str, arrived: dict[str, Arrived]) -> int:
    """Fail unless the rows are exactly those after one of the changes. Returns the number of this change."""
    count = changes_in(arrived)
    reader = SourceReader(mover.source.admin, ["trade"])
    require_foreign_keys(reader.foreign_keys(), arrived)
    repeat_changes(mover, count)
    require_equal_tables(kind, reader.tables(arrays_as_json=kind != "postgres"), arrived)
    return count


def repeat_changes(mover: Mover, count: int) -> None:
    """Create the source anew with this number of changes."""
    load(mover.source, "trade")
    for number in range(1, count + 1):
        change(mover.source.admin, number)


@pytest.mark.sample(4)
@pytest.mark.parametrize("kind", KINDS)
def test_a_database_arrives_as_of_one_moment_while_transactions_change_it(
    mover: Mover, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    load(mover.source, "trade")
    pipeline = mover.create(kind, "trade.*")
    with changing(mover, monkeypatch) as changer:
        changer.wait_for_next()
        run_id = mover.run_to_success(pipeline)
        changer.wait_for_next()
    count = require_one_moment(mover, kind, mover.arrived(pipeline, run_id))
    assert 1 <= count <= changer.committed - 10, "the source has not changed between the streams"


@pytest.mark.long
@pytest.mark.parametrize("kind", KINDS)
def test_large_tables_are_read_in_the_same_moment_through_their_second_connections(
    faulty_mover: Mover, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    """The children of this mover read each table as a large one is read, in many pages."""
    mover = faulty_mover
    load(mover.source, "trade")
    pipeline = mover.create(kind, "trade.*", source={"page_size": 100})
    with changing(mover, monkeypatch):
        run_id = mover.run_to_success(pipeline)
    assert "one connection" not in mover.log(run_id)
    require_one_moment(mover, kind, mover.arrived(pipeline, run_id))


@pytest.mark.long
@pytest.mark.parametrize("kind", KINDS)
def test_a_run_of_which_a_child_is_killed_arrives_as_of_one_moment_if_all_streams_are_read_again(
    faulty_mover: Mover, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    mover = faulty_mover
    load(mover.source, "trade")
    pipeline = mover.create(kind, "trade.*", snapshot={"retry": "all"})
    key = stream_key(mover.world.org.pk, pipeline.pk, "trade.orders")
    fault_file = faults.fault_file(files_root(mover.world.org.pk).url, key)
    faults.place_fault(fault_file, "kill publish 1")
    with changing(mover, monkeypatch):
        run_id = mover.run(pipeline)
        assert faults.remove_fault(fault_file), "the child was not killed"
        assert list(mover.failures(run_id)) == ["trade.orders"], mover.failures(run_id)
        assert mover.state(run_id)["streams_succeeded"] == 9
        mover.continue_run()
    assert mover.state(run_id)["status"] == "succeeded"
    require_one_moment(mover, kind, mover.arrived(pipeline, run_id))


@pytest.mark.long
def test_foreign_keys_do_not_hold_if_each_stream_is_read_for_itself(
    mover: Mover, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The negative control: with these changes the test above would notice the lack of a common snapshot."""
    load(mover.source, "trade")
    pipeline = mover.create("postgres", "trade.*", snapshot={"scope": "stream"})
    with changing(mover, monkeypatch):
        run_id = mover.run_to_success(pipeline)
    keys = SourceReader(mover.source.admin, ["trade"]).foreign_keys()
    with pytest.raises(AssertionError):
        require_foreign_keys(keys, mover.arrived(pipeline, run_id))
