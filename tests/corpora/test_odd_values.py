"""Values that JSON libraries change in silence arrive as they stood, or their record is rejected."""

from __future__ import annotations

import io
import math
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from apps.engine.contract import CodeSpec, Failed, SandboxSpec, Succeeded
from apps.engine.destinations.duckdb.incoming import column_names as duckdb_names
from apps.engine.failures import FailureClass
from apps.engine.frames.columns import STRING
from apps.engine.frames.decoding import StreamSchema
from apps.engine.frames.json_numbers import parse_json
from apps.engine.sources.files.json_readers import JsonLinesReader
from apps.engine.sources.files.names import column_names
from tests.corpora.test_values import CUSTOM_SOURCES
from tests.engine.conftest import Rehearsal
from tests.engine.sources.api import Api, ReceivedRequest, Reply, serve_api
from tests.engine.sources.reading import make_source
from tests.engine.sources.test_custom import set_custom_source

MakeRehearsal = Callable[..., Rehearsal]
PASS_ON = "def transform(record):\n    return record\n"
WAYS = {
    "a file": PASS_ON,
    "rest": PASS_ON,
    "custom rest": "",
    "custom requests": "",
    "custom requests and a transform": PASS_ON,
}
LONE_SURROGATES = [
    '{"id":1,"v":"a\\ud800b"}',
    '{"id":1,"v":{"n":["\\udfff"]}}',
    '{"id":1,"\\ud800":1}',
]
NOT_FINITE = (
    '[{"id":1,"v":NaN,"n":{"x":[NaN,null]}},{"id":2,"v":-Infinity,"n":{}},{"id":3,"v":null,"n":{}}]'
)


class Body:
    text = ""

    def respond(self, _request: ReceivedRequest) -> Reply:
        return Reply(self.text.encode())


@pytest.fixture
def body() -> Body:
    return Body()


@pytest.fixture
def api(body: Body) -> Iterator[Api]:
    with serve_api(body.respond) as api:
        yield api


@pytest.fixture
def make_run(
    make_rehearsal: MakeRehearsal, tmp_path: Path, api: Api, body: Body
) -> Callable[..., Rehearsal]:
    """Return a function that creates a run to Parquet, which reads a JSON text in one of several ways."""

    def build(way: str, text: str) -> Rehearsal:
        body.text = text
        modes: dict[str, Any] = {"destination_kind": "parquet", "stream": "numbers"}
        if way == "a file":
            run = make_rehearsal({"path": "numbers.json"}, source_kind="files", **modes)
            folder = run.folder / "org/x/files"
            folder.mkdir(parents=True)
            (folder / "numbers.json").write_text(text)
        elif way == "rest":
            streams = [{"name": "numbers", "path": "/n"}]
            config = {"base_url": api.url, "retries": 0, "streams": streams}
            run = make_rehearsal(config, source_kind="rest", **modes)
        else:
            code = CUSTOM_SOURCES[way.split()[1]].replace('["v"] + 1 > 0', "")
            run = set_custom_source(make_rehearsal({"url": api.url}, **modes), code, tmp_path)
        transform = CodeSpec(WAYS[way]) if WAYS[way] else None
        run.spec = replace(
            run.spec,
            transform=transform,
            sandbox=SandboxSpec(home=str(tmp_path)),
            allow_private_networks=True,
        )
        return run

    return build


def written(run: Rehearsal) -> pl.DataFrame:
    return pl.concat([pl.read_parquet(run.folder / output.key) for output in run.outputs])


@pytest.mark.parametrize("way", WAYS)
def test_a_record_with_a_lone_surrogate_is_rejected(
    way: str, make_run: Callable[..., Rehearsal]
) -> None:
    records = [*LONE_SURROGATES, '{"id":2,"v":"a?b"}']
    run = make_run(way, f"[{','.join(records)}]")
    run.spec = replace(run.spec, rules=replace(run.spec.rules, max_rejected_share=1.0))
    outcome = run.attempt()
    assert isinstance(outcome, Succeeded), outcome
    assert (outcome.read, outcome.written, outcome.rejected) == (4, 1, 3)
    assert written(run)["v"].to_list() == ["a?b"]


def test_a_transform_may_repair_a_lone_surrogate(make_run: Callable[..., Rehearsal]) -> None:
    run = make_run("rest", f"[{LONE_SURROGATES[0]}]")
    code = "def transform(r):\n    return {**r, 'v': r['v'].replace('\\ud800', '-')}\n"
    run.spec = replace(run.spec, transform=CodeSpec(code))
    assert isinstance(run.attempt(), Succeeded)
    assert written(run)["v"].to_list() == ["a-b"]


@pytest.mark.parametrize("way", WAYS)
def test_nan_and_infinities_stay_what_they_are(
    way: str, make_run: Callable[..., Rehearsal]
) -> None:
    run = make_run(way, NOT_FINITE)
    outcome = run.attempt()
    assert isinstance(outcome, Succeeded), outcome
    not_a_number, infinity, missing = written(run)["v"].to_list()
    assert math.isnan(not_a_number)
    assert (infinity, missing) == (-math.inf, None)
    assert written(run)["n"][0] == '{"x":["NaN",null]}'


def test_a_position_with_a_lone_surrogate_fails_instead_of_reading_another_page(
    make_rehearsal: MakeRehearsal, tmp_path: Path
) -> None:
    code = """
from drover import Page, Source, Stream

class Pages(Source):
    streams = [Stream("numbers")]

    def get(self, pagination=None):
        return Page([{"id": 1}], None if pagination else {"after": "a" + chr(0xD800)})
"""
    run = set_custom_source(make_rehearsal({}), code, tmp_path)
    outcome = run.attempt()
    assert isinstance(outcome, Failed)
    assert outcome.failure_class is FailureClass.CONTRACT
    assert "position of the next page" in outcome.message


@pytest.mark.parametrize(
    ("texts", "expected"),
    [
        (["-0", "1"], [0.0, 1.0]),
        (["-0", '"x"'], ["-0", "x"]),
        (["[0.1000,-0]", "[-0]"], ["[0.1000,-0]", "[-0]"]),
        (['{"a":-0}', "[-0.0]"], ['{"a":-0}', "[-0.0]"]),
    ],
)
def test_minus_zero_keeps_its_sign(texts: list[str], expected: list[Any]) -> None:
    frame = StreamSchema().decode([parse_json(f'{{"v":{text}}}'.encode()) for text in texts]).frame
    assert frame["v"].to_list() == expected
    if isinstance(expected[0], float):
        assert math.copysign(1, frame["v"][0]) == -1


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        (["A", "a", "a_2"], ["A", "a_3", "a_2"]),
        (["id", "id", "ID", "id_2"], ["id", "id_3", "ID_4", "id_2"]),
        (["id", "id", "ID_2"], ["id", "id_3", "ID_2"]),
        (["", "Column_1"], ["column_1_1", "Column_1"]),
        (["a", "A", "A_2", "a_2"], ["a", "A_3", "A_2", "a_2_2"]),
    ],
)
def test_a_repeated_header_takes_no_name_of_another_column(
    header: list[str], expected: list[str]
) -> None:
    fields = dict.fromkeys(column_names(header), STRING)
    assert list(duckdb_names(fields, [])) == list(fields)
    assert list(duckdb_names(fields, []).values()) == expected
    # In later runs the fields have the same columns, whatever their order is.
    later = dict.fromkeys(sorted(fields), STRING)
    assert duckdb_names(later, expected) == duckdb_names(fields, [])


def test_a_table_of_an_older_release_keeps_its_columns() -> None:
    fields = dict.fromkeys(("A", "a", "a_2"), STRING)
    older = {"A": "A", "a": "a_2", "a_2": "a_2_2"}
    assert duckdb_names(fields, list(older.values())) == older


REPEATED_NAMES = [
    ('{"id":1,"id":2}', True),
    ('{"a" : {"x":1, "x":1}}', True),
    ('{"a":"\\u003a","b":1,"b":2}', True),
    ('{"a":[{"n":1.50,"n":2}]}', True),
    ('{"a":"x:y","b":{"a":":"},"c":[{"a":1},{"a":2}]}', False),
    ('{"a":123456789012345678901234567890,"b":1.50}', False),
    ('{"a":"\\u003a"}', False),
]


@pytest.mark.parametrize(("line", "is_rejected"), REPEATED_NAMES)
def test_a_line_of_json_with_a_name_twice_is_rejected(line: str, is_rejected: bool) -> None:
    reader = JsonLinesReader(io.BytesIO(line.encode()), "n.jsonl")
    piece = reader.read({}, 100)
    assert [bad.reason for bad in piece.bad_records if "times" not in bad.reason] == []
    assert (len(piece.content), len(piece.bad_records)) == ((0, 1) if is_rejected else (1, 0))


def archive_of(*names: str) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name in names:
            archive.writestr(name, "id\n1\n")
    return buffer.getvalue()


def test_files_of_an_archive_that_are_not_read_are_named(
    make_rehearsal: MakeRehearsal,
) -> None:
    run = make_rehearsal(
        {"path": "a.zip"}, source_kind="files", destination_kind="parquet", stream="a"
    )
    folder = run.folder / "org/x/files"
    folder.mkdir(parents=True)
    (folder / "a.zip").write_bytes(archive_of("a.csv", "d.dat", "e"))
    assert isinstance(run.attempt(), Succeeded)
    warnings = [line.message for line in run.log if "are not read" in line.message]
    assert len(warnings) == 1
    assert warnings[0].endswith("'d.dat', 'e'")
    source = make_source("files", {"path": "a.zip"}, "a", files=run.spec.files)
    assert any("2 files of a.zip are not read" in step.message for step in source.check())


def test_an_empty_archive_is_refused_in_words(make_rehearsal: MakeRehearsal) -> None:
    run = make_rehearsal(
        {"path": "a.zip"}, source_kind="files", destination_kind="parquet", stream="a"
    )
    folder = run.folder / "org/x/files"
    folder.mkdir(parents=True)
    (folder / "a.zip").write_bytes(archive_of())
    outcome = run.attempt()
    assert isinstance(outcome, Failed)
    assert "the archive 'a.zip' has no files" in outcome.message
    assert not outcome.retryable
