"""Runs of files in a child process: the class of a failure, and types that stay the same when a run goes on."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from shutil import copy
from typing import Any

import polars as pl
import pytest

from apps.engine.contract import Failed, Succeeded
from apps.engine.failures import FailureClass
from apps.engine.sources.files.patterns import stream_name
from tests.engine.conftest import Rehearsal

FILES = Path(__file__).parent / "files"


@pytest.fixture
def make_file_run(make_rehearsal: Callable[..., Rehearsal]) -> Callable[..., Rehearsal]:
    """Return a function that creates a pipeline from a file to Parquet."""

    def build(name: str, content: bytes | None = None, **config: Any) -> Rehearsal:
        run = make_rehearsal(
            {"path": name, **config},
            source_kind="files",
            destination_kind="parquet",
            stream=stream_name(name),
        )
        folder = run.folder / "org" / "x" / "files"
        folder.mkdir(parents=True)
        if content is None:
            copy(FILES / name, folder / name)
        else:
            (folder / name).write_bytes(content)
        return run

    return build


def written(run: Rehearsal) -> pl.DataFrame:
    """Return the rows of the outputs."""
    files = [run.folder / output.key for output in run.outputs]
    return pl.concat([pl.read_parquet(file) for file in files])


def test_a_key_with_nul_is_rejected_and_no_fault_of_drover(
    make_file_run: Callable[..., Rehearsal],
) -> None:
    run = make_file_run("nulkey.jsonl")
    outcome = run.attempt()
    assert isinstance(outcome, Failed)
    assert outcome.failure_class is FailureClass.CONTRACT
    assert "1 of 1 records were rejected, which is 100%" in outcome.message
    assert "a field's name cannot be a column name" in outcome.message


def test_a_file_without_readable_records_does_not_empty_the_table(
    make_file_run: Callable[..., Rehearsal],
) -> None:
    run = make_file_run("allrej.jsonl", b'{"a": 1}\n')
    assert isinstance(run.attempt(), Succeeded)
    (output,) = run.outputs
    copy(FILES / "allrej.jsonl", run.folder / "org" / "x" / "files" / "allrej.jsonl")
    run.start_new_run()
    outcome = run.attempt()
    assert isinstance(outcome, Failed)
    assert outcome.failure_class is FailureClass.CONTRACT
    assert pl.read_parquet(run.folder / output.key).rows() == [(1,)]


def test_invalid_bytes_are_the_fault_of_the_source_and_not_tried_again(
    make_file_run: Callable[..., Rehearsal],
) -> None:
    outcome = make_file_run("badutf8.parquet").attempt()
    assert isinstance(outcome, Failed)
    assert (outcome.failure_class, outcome.retryable) == (FailureClass.SOURCE, False)


@pytest.mark.parametrize(
    ("first", "second"),
    [
        (b"id,name\n1,a\n", b"code;city\nB;Berlin\n"),
        (b"id,name\n1,a\n", b"3,c\n4,d\n"),  # no header
        (b"1,a,x\n2,b,y\n", b"3;c\n4;d\n"),
        (b"1,a\n2,b\n", b"3\n4\n"),
    ],
)
def test_a_later_file_that_is_read_differently_fails_and_changes_nothing(
    first: bytes, second: bytes, make_file_run: Callable[..., Rehearsal]
) -> None:
    run = make_file_run("a.csv", first)
    assert isinstance(run.attempt(), Succeeded)
    (output,) = run.outputs
    before = pl.read_parquet(run.folder / output.key)
    (run.folder / "org" / "x" / "files" / "a.csv").write_bytes(second)
    run.start_new_run()
    outcome = run.attempt()
    assert isinstance(outcome, Failed), run.outputs
    assert outcome.failure_class is FailureClass.CONTRACT
    assert "do not belong to this stream" in outcome.message
    assert pl.read_parquet(run.folder / output.key).equals(before)


def test_a_later_file_may_have_a_new_column_and_other_line_ends(
    make_file_run: Callable[..., Rehearsal],
) -> None:
    run = make_file_run("a.csv", b"id,name\n1,a\n")
    assert isinstance(run.attempt(), Succeeded)
    (run.folder / "org" / "x" / "files" / "a.csv").write_bytes(b"id;new\r\n2;b\r\n")
    run.start_new_run()
    assert isinstance(run.attempt(), Succeeded)
    assert pl.read_parquet(run.folder / run.outputs[-1].key)["new"].to_list() == ["b"]


def test_an_attempt_that_goes_on_keeps_the_types_of_the_first(
    make_file_run: Callable[..., Rehearsal],
) -> None:
    lines = [f"{n},{n}.10" for n in range(200_000)]
    lines[-1] = "199999,n/a"
    content = ("id,v\n" + "\n".join(lines) + "\n").encode()
    run = make_file_run("a.csv", content, page_size=1000)
    outcome = run.kill_and_resume()
    assert isinstance(outcome, Succeeded)
    rows = written(run).sort("id")
    assert rows["v"].to_list() == [line.partition(",")[2] for line in lines]


def test_a_file_that_changes_after_its_types_were_decided_is_read_anew(
    make_file_run: Callable[..., Rehearsal],
) -> None:
    run = make_file_run("a.csv", b"id,v\n" + b"1,2\n" * 100_000, page_size=1000)
    assert isinstance(run.attempt_with_kill("checkpoint done 1"), Failed)
    (run.folder / "org" / "x" / "files" / "a.csv").write_bytes(b"id,v\n" + b"1,x\n" * 100_001)
    outcome = run.attempt()
    assert isinstance(outcome, Succeeded), outcome
    assert written(run)["v"].unique().to_list() == ["x"]
    assert outcome.written == 100_001
