"""The files that match a pattern are one stream, or each file, each folder or each name is one."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from apps.engine.contract import StorageRoot
from apps.engine.failures import ConfigurationError
from apps.engine.sources.files import source as files_source
from apps.engine.sources.files.config import Config
from apps.engine.sources.files.patterns import stream_of_file
from tests.engine.sources.reading import make_source, read_stream

FILES = {
    "orders-2026-01.csv": "id,total\n1,10\n",
    "orders-2026-02.csv": "id,total\n2,20\n",
    "people.csv": "name\nAda\n",
    "people.jsonl": '{"name": "Bob"}\n',
    "eu/orders/2026-01.csv": "id\n3\n",
    "eu/orders/old/2025.csv": "id\n4\n",
    "eu/people.csv": "name\nCy\n",
}


@pytest.fixture
def root(tmp_path: Path) -> StorageRoot:
    root = StorageRoot(tmp_path.as_uri(), "org/1")
    for name, content in FILES.items():
        write(root, name, content)
    return root


def write(root: StorageRoot, name: str, content: str) -> None:
    path = Path(root.url.removeprefix("file://")) / root.prefix / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content)


def make(root: StorageRoot, path: str, per: str, stream: str = "") -> Any:
    return make_source("files", {"path": path, "one_stream_per": per}, stream, files=root)


@pytest.mark.parametrize(
    ("path", "per", "names"),
    [
        ("*", "pattern", ["files"]),
        ("*", "file", ["orders-2026-01", "orders-2026-02", "people"]),
        ("*", "name", ["orders", "people"]),
        ("eu/**/*", "folder", ["eu", "orders"]),
        ("**/*", "folder", ["eu", "files"]),
        ("eu/**/*", "file", ["orders/2026-01", "orders/old/2025", "people"]),
        ("eu/**/*", "name", ["orders/files", "orders/old/files", "people"]),
    ],
)
def test_the_streams_are_named_after_the_files(
    root: StorageRoot, path: str, per: str, names: list[str]
) -> None:
    source = make(root, path, per)
    assert [stream.name for stream in source.discover()] == names
    assert source.stream_names() == names


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("orders-2026-01-31.csv", "orders"),
        ("orders_20260131T120000Z.csv.gz", "orders"),
        ("2026-01-31 orders.csv", "orders"),
        ("Q1 sales v2.xlsx", "Q sales v"),
        ("2026.csv", "files"),
        ("logs.2026.data", "logs.data"),
        ("no ending", "no ending"),
    ],
)
def test_numbers_and_dates_are_no_part_of_a_name(path: str, name: str) -> None:
    assert stream_of_file(path, "*", "name") == name


def test_a_stream_has_the_records_and_the_fields_of_its_files_only(root: StorageRoot) -> None:
    assert read_stream(make(root, "*", "name", "orders")).column("id") == [1, 2]
    assert read_stream(make(root, "*", "file", "people")).column("name") == ["Ada", "Bob"]
    assert read_stream(make(root, "eu/**/*", "folder", "orders")).column("id") == [3, 4]
    fields = {
        each.name: [f.name for f in each.fields] for each in make(root, "*", "name").discover()
    }
    assert fields == {"orders": ["id", "total"], "people": ["name"]}


def test_a_stream_continues_after_a_checkpoint_in_its_own_files(root: StorageRoot) -> None:
    whole = read_stream(make(root, "*", "name", "orders"))
    resumed = read_stream(make(root, "*", "name", "orders"), token=whole.tokens[1])
    assert resumed.column("id") == [2]
    write(root, "people.csv", "name\nChanged\n")
    again = read_stream(make(root, "*", "name", "orders"), token=whole.tokens[1])
    assert again.column("id") == [2], "a file of another stream has changed"


def test_a_file_that_cannot_be_read_does_not_hide_the_other_streams(
    root: StorageRoot, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(root, "bad.parquet", "this is no Parquet file")
    streams = {each.name: each.fields for each in make(root, "*", "file").discover()}
    assert streams["bad"] == ()
    assert streams["people"]
    monkeypatch.setattr(files_source, "MAX_DESCRIBED", 1)
    described = [each for each in make(root, "*", "file").discover() if each.fields]
    assert len(described) <= 1
    with pytest.raises(ConfigurationError, match="belongs to the stream 'gone'"):
        read_stream(make(root, "*", "file", "gone"))


def test_the_check_counts_the_streams(root: StorageRoot) -> None:
    steps = list(make(root, "*", "name").check())
    assert all(step.ok for step in steps)
    assert steps[0].message.endswith("2 streams")


@pytest.mark.parametrize(
    "settings",
    [
        {"path": "people.csv"},
        {"path": "https://example.com/*"},
        {"path": "*", "stream_name": "mine"},
    ],
)
def test_several_streams_need_a_pattern_and_no_name(settings: dict[str, str]) -> None:
    with pytest.raises(ValidationError):
        Config(**settings, one_stream_per="file")


@given(st.text(min_size=1), st.sampled_from(["pattern", "file", "folder", "name"]))
def test_every_name_has_a_stream(path: str, per: Any) -> None:
    assert stream_of_file(path, "**", per)


def test_long_hostile_names_of_files_are_grouped_in_time() -> None:
    began = time.process_time()
    for number in range(1_000):
        stream_of_file(f"{'-' * 1_000}x{number}.csv", "*", "name")
    assert time.process_time() - began < 5.0  # it was 17 seconds
