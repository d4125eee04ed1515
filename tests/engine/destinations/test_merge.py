"""Merge by key, for destinations that support it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from apps.engine.failures import ConfigurationError, ContractError
from tests.engine.destinations.servers import Servers
from tests.engine.destinations.spelling import bag
from tests.engine.destinations.targets import (
    TARGETS,
    CsvTarget,
    JsonlTarget,
    ParquetTarget,
    Sync,
    Target,
    sync,
)


@pytest.fixture(params=["postgres", "duckdb"])
def merging(request: pytest.FixtureRequest, servers: Servers, tmp_path: Path) -> Any:
    made = TARGETS[request.param](servers, tmp_path)
    yield made
    made.close()


def test_the_last_record_of_a_key_wins_within_and_across_batches(merging: Target) -> None:
    sync(
        merging,
        [{"id": 1, "v": "a"}, {"id": 2, "v": "b"}, {"id": 1, "v": "c"}],
        [{"id": 2, "v": "d"}, {"id": 3, "v": "e"}],
        mode="merge",
        key=["id"],
    )
    expected = [{"id": 1, "v": "c"}, {"id": 2, "v": "d"}, {"id": 3, "v": "e"}]
    assert bag(merging.rows() or []) == bag(expected)
    sync(merging, [{"id": 3, "v": None}, {"id": 4, "v": "g"}], mode="merge", key=["id"])
    expected[2:] = [{"id": 3, "v": None}, {"id": 4, "v": "g"}]
    assert bag(merging.rows() or []) == bag(expected)


def test_keys_of_several_columns_and_odd_names(merging: Target) -> None:
    key = ['na"me', "part no"]
    rows = [{'na"me': "x", "part no": n, "v": n} for n in range(3)]
    sync(merging, rows, mode="merge", key=key)
    sync(merging, [{'na"me': "x", "part no": 1, "v": 100}], mode="merge", key=key)
    assert bag(merging.rows() or []) == bag([rows[0], {**rows[1], "v": 100}, rows[2]])


def test_merging_widens_and_adds_columns(merging: Target) -> None:
    sync(merging, [{"id": 1, "v": 1}, {"id": 2, "v": 2}], mode="merge", key=["id"])
    sync(merging, [{"id": 2, "v": 2.5, "new": True}], mode="merge", key=["id"])
    assert bag(merging.rows() or []) == bag([{"id": 1, "v": 1}, {"id": 2, "v": 2.5, "new": True}])


def test_merging_twice_is_merging_once(merging: Target) -> None:
    job = Sync(merging, "merge", ["id"])
    job.write([{"id": 1, "v": 1}])
    job.publish()
    sync(merging, [{"id": 1, "v": 2}], mode="merge", key=["id"])
    job.attempt()
    job.publish()
    assert bag(merging.rows() or []) == bag([{"id": 1, "v": 2}])


def test_a_reset_of_a_merged_table_keeps_one_record_a_key(merging: Target) -> None:
    """The runner replaces the table when a merged stream is read from the beginning."""
    sync(merging, [{"id": 1, "v": 1}, {"id": 9, "v": 9}], mode="merge", key=["id"])
    sync(merging, [{"id": 1, "v": 2}], [{"id": 1, "v": 3}], mode="replace", key=["id"])
    assert bag(merging.rows() or []) == bag([{"id": 1, "v": 3}])
    sync(merging, [{"id": 1, "v": 4}], mode="merge", key=["id"])
    assert bag(merging.rows() or []) == bag([{"id": 1, "v": 4}])


def test_merging_nothing_changes_nothing(merging: Target) -> None:
    assert sync(merging, mode="merge", key=["id"]).rows == 0
    sync(merging, [{"id": 1}], mode="merge", key=["id"])
    assert sync(merging, mode="merge", key=["id"]).rows == 0
    assert bag(merging.rows() or []) == bag([{"id": 1}])


def test_a_record_without_its_key_is_a_breach_of_contract(merging: Target) -> None:
    job = Sync(merging, "merge", ["id"])
    with pytest.raises(ContractError, match="no value for the key 'id'"):
        job.write([{"id": 1}, {"id": None, "v": 1}])
    with pytest.raises(ContractError):
        job.write([{"v": 1}])


@pytest.mark.parametrize("kind", [ParquetTarget, JsonlTarget, CsvTarget])
def test_files_refuse_to_merge(kind: Any, servers: Servers, tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="do not support the write mode merge"):
        Sync(kind(servers, tmp_path), "merge", ["id"])


def test_merging_without_a_key_is_refused(merging: Target) -> None:
    with pytest.raises(ConfigurationError, match="primary key"):
        Sync(merging, "merge")
