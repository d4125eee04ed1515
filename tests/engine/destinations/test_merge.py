"""Merge by key, for destinations that support it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from apps.engine.failures import ConfigurationError, ContractError
from tests.engine.destinations.multisets import multiset
from tests.engine.destinations.servers import Servers
from tests.engine.destinations.targets import (
    TARGETS,
    CsvTarget,
    JsonlTarget,
    ParquetTarget,
    SyncJob,
    Target,
    sync,
)


@pytest.fixture(params=["postgres", "duckdb"])
def target(request: pytest.FixtureRequest, servers: Servers, tmp_path: Path) -> Any:
    target = TARGETS[request.param](servers, tmp_path)
    yield target
    target.close()


def test_the_last_record_of_a_key_replaces_earlier_ones_within_and_across_batches(
    target: Target,
) -> None:
    sync(
        target,
        [{"id": 1, "v": "a"}, {"id": 2, "v": "b"}, {"id": 1, "v": "c"}],
        [{"id": 2, "v": "d"}, {"id": 3, "v": "e"}],
        mode="merge",
        key=["id"],
    )
    expected = [{"id": 1, "v": "c"}, {"id": 2, "v": "d"}, {"id": 3, "v": "e"}]
    assert multiset(target.read_rows() or []) == multiset(expected)
    sync(target, [{"id": 3, "v": None}, {"id": 4, "v": "g"}], mode="merge", key=["id"])
    expected[2:] = [{"id": 3, "v": None}, {"id": 4, "v": "g"}]
    assert multiset(target.read_rows() or []) == multiset(expected)


def test_a_key_can_have_several_columns_with_unusual_names(target: Target) -> None:
    key = ['na"me', "part no"]
    rows = [{'na"me': "x", "part no": n, "v": n} for n in range(3)]
    sync(target, rows, mode="merge", key=key)
    sync(target, [{'na"me': "x", "part no": 1, "v": 100}], mode="merge", key=key)
    assert multiset(target.read_rows() or []) == multiset([rows[0], {**rows[1], "v": 100}, rows[2]])


@pytest.mark.parametrize("name", ["discount %", "%s", "%(x)s", "100%%"])
def test_the_columns_of_a_key_can_have_percent_signs(target: Target, name: str) -> None:
    sync(target, [{name: 1, "v%s": 1}, {name: 2, "v%s": 2}], mode="merge", key=[name])
    sync(target, [{name: 2, "v%s": 3}], mode="merge", key=[name])
    assert multiset(target.read_rows() or []) == multiset(
        [{name: 1, "v%s": 1}, {name: 2, "v%s": 3}]
    )


def test_merging_widens_and_adds_columns(target: Target) -> None:
    sync(target, [{"id": 1, "v": 1}, {"id": 2, "v": 2}], mode="merge", key=["id"])
    sync(target, [{"id": 2, "v": 2.5, "new": True}], mode="merge", key=["id"])
    assert multiset(target.read_rows() or []) == multiset(
        [{"id": 1, "v": 1}, {"id": 2, "v": 2.5, "new": True}]
    )


def test_publishing_a_merge_again_does_not_overwrite_a_newer_merge(target: Target) -> None:
    job = SyncJob(target, "merge", ["id"])
    job.write([{"id": 1, "v": 1}])
    job.publish()
    sync(target, [{"id": 1, "v": 2}], mode="merge", key=["id"])
    job.start_attempt()
    job.publish()
    assert multiset(target.read_rows() or []) == multiset([{"id": 1, "v": 2}])


def test_replacing_a_merged_table_keeps_one_record_for_each_key(target: Target) -> None:
    """The runner replaces the table when a merged stream is read from the beginning."""
    sync(target, [{"id": 1, "v": 1}, {"id": 9, "v": 9}], mode="merge", key=["id"])
    sync(target, [{"id": 1, "v": 2}], [{"id": 1, "v": 3}], mode="replace", key=["id"])
    assert multiset(target.read_rows() or []) == multiset([{"id": 1, "v": 3}])
    sync(target, [{"id": 1, "v": 4}], mode="merge", key=["id"])
    assert multiset(target.read_rows() or []) == multiset([{"id": 1, "v": 4}])


def test_merging_no_rows_changes_nothing(target: Target) -> None:
    assert sync(target, mode="merge", key=["id"]).rows == 0
    sync(target, [{"id": 1}], mode="merge", key=["id"])
    assert sync(target, mode="merge", key=["id"]).rows == 0
    assert multiset(target.read_rows() or []) == multiset([{"id": 1}])


def test_a_record_without_a_key_value_is_a_contract_failure(target: Target) -> None:
    job = SyncJob(target, "merge", ["id"])
    with pytest.raises(ContractError, match="no value for the key 'id'"):
        job.write([{"id": 1}, {"id": None, "v": 1}])
    with pytest.raises(ContractError):
        job.write([{"v": 1}])


@pytest.mark.parametrize("target_class", [ParquetTarget, JsonlTarget, CsvTarget])
def test_files_refuse_to_merge(target_class: Any, servers: Servers, tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="do not support the write mode merge"):
        SyncJob(target_class(servers, tmp_path), "merge", ["id"])


def test_merging_without_a_key_is_refused(target: Target) -> None:
    with pytest.raises(ConfigurationError, match="primary key"):
        SyncJob(target, "merge")
