"""The destinations that write files: the manifest, the formats, the folder and its limits."""

from __future__ import annotations

import csv
import io
import os
import threading
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import orjson
import polars as pl
import pytest

from apps.engine.contract import StorageRoot
from apps.engine.failures import ConfigurationError, DestinationError
from apps.engine.stores import SwapConflict
from apps.engine.stores.opening import open_root
from apps.engine.sync.build import build_destination
from tests.engine.destinations.fork_server import ForkServer
from tests.engine.destinations.multisets import multiset
from tests.engine.destinations.servers import Servers
from tests.engine.destinations.targets import (
    TARGETS,
    CsvTarget,
    FileTarget,
    JsonlTarget,
    ParquetTarget,
    S3Target,
    SyncJob,
    sync,
)

FILE_KINDS = ["parquet", "parquet on s3", "parquet on gcs", "jsonl", "csv"]


@pytest.fixture(params=FILE_KINDS)
def file_target(
    request: pytest.FixtureRequest, servers: Servers, tmp_path: Path
) -> Iterator[FileTarget]:
    target = TARGETS[request.param](servers, tmp_path)
    assert isinstance(target, FileTarget)
    yield target
    target.close()


@pytest.fixture
def parquet(servers: Servers, tmp_path: Path) -> ParquetTarget:
    return ParquetTarget(servers, tmp_path)


def test_the_manifest_lists_exactly_what_is_visible(file_target: FileTarget) -> None:
    sync(file_target, [{"id": 1}], mode="append")
    sync(file_target, [{"id": 2, "x": 0.5}], [{"id": 3, "x": None}], mode="append")
    manifest = file_target.read_manifest()
    assert manifest is not None
    assert manifest["rows"] == 3 == sum(part["rows"] for part in manifest["parts"])
    assert [(c["name"], c["type"]) for c in manifest["schema"]] == [
        ("id", "integer"),
        ("x", "number"),
    ]
    sizes = [len(part) for part in file_target.read_parts() or []]
    assert sizes == [part["bytes"] for part in manifest["parts"]]
    stored_keys = {
        entry.key
        for entry in file_target.store.entries(f"{file_target.table}/")
        if "/." not in entry.key
    }
    listed_keys = {f"{file_target.table}/{part['key']}" for part in manifest["parts"]}
    assert stored_keys == listed_keys | {f"{file_target.table}/manifest.json"}


def test_replaced_files_are_deleted(file_target: FileTarget) -> None:
    sync(file_target, [{"id": 1}], [{"id": 2}])
    sync(file_target, [{"id": 3}])
    keys = [
        entry.key
        for entry in file_target.store.entries(f"{file_target.table}/")
        if "/." not in entry.key
    ]
    assert len(keys) == 2


def test_starting_over_does_not_delete_the_files_of_another_pipeline(
    servers: Servers, tmp_path: Path
) -> None:
    bucket = S3Target(servers, tmp_path)
    sync(bucket, [{"id": 1}], mode="append")
    bucket.data = replace(bucket.data, prefix="org/1/pipeline/another")
    sync(bucket, [{"id": 2}], mode="append")
    spec = replace(bucket.spec("replace"), protects_other_pipelines=True)
    destination = build_destination(
        spec, job_id="afresh", data=bucket.data, allow_private_networks=True
    )
    destination.open(())
    with pytest.raises(ConfigurationError, match="Another pipeline"):
        destination.publish(())
    assert multiset(bucket.read_rows() or []) == multiset([{"id": 1}, {"id": 2}])
    bucket.close()


def test_all_parquet_parts_of_a_manifest_have_one_schema(parquet: ParquetTarget) -> None:
    sync(parquet, [{"id": 1, "x": 1, "never": None}], mode="append")
    sync(parquet, [{"id": 2, "x": 2.5}], [{"id": 3, "y": "new", "x": 1}], mode="append")
    schemas = [pl.read_parquet_schema(io.BytesIO(part)) for part in parquet.read_parts() or []]
    assert len(schemas) == 3
    assert schemas[0] == {"id": pl.Int64, "x": pl.Float64, "never": pl.String, "y": pl.String}
    assert schemas[1] == schemas[2] == schemas[0]


def test_all_csv_parts_of_a_manifest_have_one_header(servers: Servers, tmp_path: Path) -> None:
    target = CsvTarget(servers, tmp_path)
    sync(
        target,
        [{"id": 1, "t": 'a "quoted",\r\nline'}, {"id": 2, "t": ""}, {"id": 3}],
        mode="append",
    )
    sync(target, [{"id": 4, "more": True}], mode="append")
    parts = target.read_parts() or []
    assert {part.splitlines()[0] for part in parts} == {b"id,t,more"}
    assert parts[0] == b'id,t,more\r\n1,"a ""quoted"",\r\nline",\r\n2,"",\r\n3,,\r\n'


def test_an_empty_result_is_a_file_with_the_columns(file_target: FileTarget) -> None:
    sync(file_target, pl.DataFrame(schema={"id": pl.Int64, "at": pl.Date}).to_dicts())
    job = SyncJob(file_target)
    job.write(pl.DataFrame(schema={"id": pl.Int64, "at": pl.Date}))
    published = job.publish()
    assert published.rows == 0
    parts = file_target.read_parts() or []
    assert len(parts) == 1
    if file_target.kind == "csv":
        assert parts == [b"id,at\r\n"]
    if file_target.kind == "parquet":
        assert pl.read_parquet_schema(io.BytesIO(parts[0])) == {"id": pl.Int64, "at": pl.Date}


def test_outputs_are_listed_under_drovers_prefix_and_not_for_a_users_bucket(
    file_target: FileTarget,
) -> None:
    outputs = sync(file_target, [{"id": 1}], [{"id": 2}, {"id": 3}]).outputs
    if isinstance(file_target, S3Target):
        assert outputs == ()
        return
    assert [output.rows for output in outputs] == [1, 2]
    root = open_root(StorageRoot(file_target.data.url, "", file_target.data.options))
    for output in outputs:
        assert output.key.startswith(f"{file_target.data.prefix}/")
        assert root.size(output.key) == output.bytes
    root.close()


def test_a_publication_returns_the_folder_whose_earlier_files_were_withdrawn(
    file_target: FileTarget,
) -> None:
    folder = None if isinstance(file_target, S3Target) else f"{file_target.data.prefix}/flights/"
    assert sync(file_target, [{"id": 1}]).withdrawn_prefix == folder
    assert sync(file_target, [{"id": 2}]).withdrawn_prefix == folder
    assert sync(file_target, [{"id": 3}], mode="append").withdrawn_prefix is None
    widened = sync(file_target, [{"id": 4, "x": 0.5}], mode="append")
    assert widened.withdrawn_prefix is None, "files of other syncs are visible, perhaps rewritten"
    is_listed = folder is not None and file_target.kind != "jsonl"
    assert len(widened.moved) == (2 if is_listed else 0)


def test_a_repeated_publication_returns_the_same_result(parquet: ParquetTarget) -> None:
    sync(parquet, [{"id": 1}])
    job = SyncJob(parquet, "append")
    job.write([{"id": 2, "x": 0.5}])
    first = job.publish()
    job.start_attempt()
    assert job.publish() == first
    assert len(first.moved) == 1


def test_an_abandoned_job_leaves_no_part_of_an_interrupted_publication(
    file_target: FileTarget, monkeypatch: pytest.MonkeyPatch
) -> None:
    sync(file_target, [{"id": 1}])
    job = SyncJob(file_target)
    job.write([{"id": 2}])

    def fail(*_values: object) -> None:
        raise DestinationError("the process ends")

    with monkeypatch.context() as patches:
        patches.setattr(type(file_target.store), "swap", fail)
        with pytest.raises(DestinationError):
            job.publish()
    job.start_attempt().abandon()
    assert multiset(file_target.read_rows() or []) == multiset([{"id": 1}])
    keys = [entry.key for entry in file_target.store.entries("flights/")]
    assert not [key for key in keys if job.job_id in key]


# Not with GCS, because its emulator does not check generations.
@pytest.mark.parametrize("kind", ["parquet", "parquet on s3", "csv"])
def test_concurrent_publications_lose_no_rows(kind: str, servers: Servers, tmp_path: Path) -> None:
    file_target = TARGETS[kind](servers, tmp_path)
    jobs = [SyncJob(file_target, "append") for _ in range(4)]
    for number, job in enumerate(jobs):
        job.write([{"id": number * 10 + i} for i in range(3)])
    threads = [threading.Thread(target=job.publish) for job in jobs]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert multiset(file_target.read_rows() or []) == multiset(
        {"id": n * 10 + i} for n in range(4) for i in range(3)
    )
    file_target.close()


def test_a_swap_needs_the_version_that_was_read(file_target: FileTarget) -> None:
    store = file_target.store
    store.swap("x.json", b"1", None)
    stored = store.read_version("x.json")
    assert stored is not None
    first_version = stored[1]
    store.swap("x.json", b"2", first_version)
    if file_target.data.url.startswith("gs://"):
        return  # the emulator does not check generations
    for version in (first_version, None):
        with pytest.raises(SwapConflict):
            store.swap("x.json", b"3", version)
    assert store.read("x.json") == b"2"


def test_a_folder_of_another_format_is_replaced_but_not_appended_to(
    servers: Servers, tmp_path: Path
) -> None:
    parquet, jsonl = ParquetTarget(servers, tmp_path), JsonlTarget(servers, tmp_path)
    sync(parquet, [{"id": 1}])
    with pytest.raises(ConfigurationError, match="parquet"):
        sync(jsonl, [{"id": 2}], mode="append")
    sync(jsonl, [{"id": 2}])
    assert jsonl.read_rows() == [{"id": 2}]
    assert not [entry for entry in jsonl.store.entries("flights/") if "parquet" in entry.key]


@pytest.mark.parametrize(
    "name", ["", ".", "..", "../up", "a/b", "/etc", ".hidden", "a\0", "é" * 101]
)
def test_table_names_that_cannot_be_folder_names_are_refused(
    parquet: ParquetTarget, name: str
) -> None:
    parquet.table = name
    with pytest.raises(ConfigurationError):
        SyncJob(parquet)


def test_missing_staged_data_is_an_error(file_target: FileTarget) -> None:
    job = SyncJob(file_target)
    job.write([{"id": 1}])
    job.write([{"id": 2}])
    file_target.store.delete(
        [next(iter(file_target.store.entries(f"{file_target.table}/_staging/"))).key]
    )
    with pytest.raises(DestinationError, match="is missing"):
        job.start_attempt()
    with pytest.raises(DestinationError, match="is missing"):
        job.target.make_destination(job.job_id).publish(job.committed)
    assert file_target.read_rows() is None


def test_staging_of_other_jobs_is_removed_after_a_week(
    parquet: ParquetTarget, tmp_path: Path
) -> None:
    old_job, new_job = SyncJob(parquet), SyncJob(parquet)
    old_job.write([{"id": 1}])
    new_job.write([{"id": 2}])
    past = (datetime.now(UTC) - timedelta(days=8)).timestamp()
    for path in tmp_path.rglob(f"*/{old_job.job_id}/*.parquet"):
        os.utime(path, (past, past))
    SyncJob(parquet)
    assert not list(tmp_path.rglob(f"*/{old_job.job_id}/*"))
    assert list(tmp_path.rglob(f"*/{new_job.job_id}/*"))


def test_a_broken_manifest_is_not_overwritten(parquet: ParquetTarget) -> None:
    sync(parquet, [{"id": 1}])
    parquet.store.write("flights/manifest.json", b'{"version": 1}')
    with pytest.raises(DestinationError, match=r"manifest\.json was changed"):
        SyncJob(parquet)
    assert parquet.store.read("flights/manifest.json") == b'{"version": 1}'


@pytest.mark.parametrize("kind", ["parquet", "csv", "jsonl", "duckdb"])
def test_a_full_disk_fails_only_the_batch_that_is_staged(
    kind: str, servers: Servers, tmp_path: Path, fork_server: ForkServer
) -> None:
    """The kernel refuses to write more than a number of bytes to a file, as if the disk were full."""
    target = TARGETS[kind](servers, tmp_path)
    job = SyncJob(target, "append")
    job.write([{"id": 1, "text": "fits"}])
    large_rows = [{"id": i, "text": os.urandom(40).hex()} for i in range(2000)]
    result = fork_server.stage(job, large_rows, kill_at=0, file_limit=20_000)
    assert result.failure is not None
    assert result.failure["class"] == "DestinationError"
    assert result.failure["evidence"] == ["EFBIG: File too large"]
    job.start_attempt()
    job.write(large_rows)
    job.publish()
    assert len(target.read_rows() or []) == 2001
    assert target.count_staged() == 0
    target.close()


def write_csv(servers: Servers, folder: Path, rows: list[dict[str, Any]], **settings: Any) -> bytes:
    target = CsvTarget(servers, folder)
    sync(target, rows, **settings)
    return (target.read_parts() or [b""])[0]


def test_csv_distinguishes_null_from_empty_text(servers: Servers, tmp_path: Path) -> None:
    written = write_csv(servers, tmp_path, [{"a": "", "b": None}, {"a": None, "b": ""}])
    assert written == b'a,b\r\n"",\r\n,""\r\n'


def test_csv_with_one_column_has_no_empty_lines(servers: Servers, tmp_path: Path) -> None:
    written = write_csv(servers, tmp_path, [{"a": "x"}, {"a": None}, {"a": ""}])
    assert len(list(csv.reader(io.StringIO(written.decode(), newline="")))) == 4
    assert b"\r\n\r\n" not in written


def test_csv_escapes_formulas_in_texts_if_the_setting_is_on(
    servers: Servers, tmp_path: Path
) -> None:
    rows = [{"=a": "=1+1", "n": -5}, {"=a": "@x", "n": 6}, {"=a": "plain - text", "n": 0}]
    plain = write_csv(servers, tmp_path / "plain", rows)
    escaped = write_csv(servers, tmp_path / "escaped", rows, escape_formulas=True)
    assert plain == b"=a,n\r\n=1+1,-5\r\n@x,6\r\nplain - text,0\r\n"
    assert escaped == b"'=a,n\r\n'=1+1,-5\r\n'@x,6\r\nplain - text,0\r\n"


def test_adding_a_column_to_csv_does_not_escape_values_twice(
    servers: Servers, tmp_path: Path
) -> None:
    target = CsvTarget(servers, tmp_path)
    for row in ({"a": "=1"}, {"a": "=2", "b": 1}):
        sync(target, [row], mode="append", escape_formulas=True)
    assert [part.splitlines()[1] for part in target.read_parts() or []] == [b"'=1,", b"'=2,1"]


def test_csv_uses_the_configured_delimiter(servers: Servers, tmp_path: Path) -> None:
    assert (
        write_csv(servers, tmp_path, [{"a": "x;y", "b": 1}], delimiter=";") == b'a;b\r\n"x;y";1\r\n'
    )


def test_json_lines_write_numbers_that_json_lacks_as_text(servers: Servers, tmp_path: Path) -> None:
    target = JsonlTarget(servers, tmp_path)
    sync(target, [{"f": float("nan"), "i": 1}, {"f": float("-inf"), "i": 2}, {"f": 0.5, "i": 3}])
    assert [row["f"] for row in target.read_rows() or []] == ["NaN", "-inf", 0.5]


def test_parquet_uses_the_configured_compression(servers: Servers, tmp_path: Path) -> None:
    sizes = {}
    for compression in ("zstd", "uncompressed"):
        target = ParquetTarget(servers, tmp_path / compression)
        sync(target, [{"t": "x" * 500 + str(i)} for i in range(300)], compression=compression)
        sizes[compression] = len((target.read_parts() or [b""])[0])
    assert sizes["zstd"] * 4 < sizes["uncompressed"]


def test_a_manifest_is_json_with_the_job_id(parquet: ParquetTarget) -> None:
    sync(parquet, [{"id": 1}])
    data = parquet.store.read("flights/manifest.json")
    assert data is not None
    assert orjson.loads(data)["job"]
