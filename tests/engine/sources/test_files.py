"""The files source reads CSV, JSON Lines and Parquet from a folder, a bucket and a web address."""

from __future__ import annotations

import bz2
import csv
import gzip
import io
import json
from collections.abc import Iterator
from dataclasses import asdict
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from moto.server import ThreadedMotoServer

from apps.egress.exceptions import EgressError
from apps.engine import connect
from apps.engine.contract import StorageRoot
from apps.engine.failures import (
    AuthenticationError,
    ConfigurationError,
    EngineError,
    SourceError,
)
from apps.engine.sources.files import csv_records, locations, readers
from apps.engine.sources.files.patterns import check_path, detect_format, matches, stream_name
from tests.engine.sources.api import ReceivedRequest, Reply, always_reply, serve_api
from tests.engine.sources.reading import make_source, read_stream


@pytest.fixture
def root(tmp_path: Path) -> StorageRoot:
    (tmp_path / "org" / "1").mkdir(parents=True)
    return StorageRoot(tmp_path.as_uri(), "org/1")


@pytest.fixture
def folder(root: StorageRoot, tmp_path: Path) -> Path:
    return tmp_path / root.prefix


def make_files_source(
    root: StorageRoot, path: str, stream: str | None = None, **config: Any
) -> Any:
    name = stream or config.get("stream_name") or stream_name(path)
    return make_source("files", {"path": path, **config}, name, files=root)


def make_csv(rows: list[dict[str, Any]]) -> bytes:
    text = io.StringIO()
    writer = csv.DictWriter(text, list(rows[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue().encode()


PACKED = {"Content-Encoding": "gzip"}
ROWS = [
    {"faa": f"A{n}", "lat": n / 8, "alt": n, "note": 'a,\n"b"' if n % 5 == 0 else "plain"}
    for n in range(1, 2001)
]


def test_columns_of_a_csv_file_have_types(root: StorageRoot, folder: Path) -> None:
    (folder / "airports.csv").write_bytes(
        b"\xef\xbb\xbfcode,lat,alt,open,since,seen,seen_utc,note,nothing\r\n"
        b'007,1.5,10,true,2020-02-29,2020-01-01 10:00:00,2020-01-01T10:00:00Z,"a ""b"", c",\r\n'
        b"1e3,-2,NA,false,1999-12-31,2020-01-01 10:00:01,2020-01-01T12:00:00+02:00,,NA\r\n"
    )
    result = read_stream(make_files_source(root, "airports.csv", csv={"null_values": ["NA"]}))
    assert result.rows == [
        {
            "code": "007",
            "lat": 1.5,
            "alt": 10,
            "open": True,
            "since": date(2020, 2, 29),
            "seen": datetime(2020, 1, 1, 10, tzinfo=UTC).replace(tzinfo=None),
            "seen_utc": datetime(2020, 1, 1, 10, tzinfo=UTC),
            "note": 'a "b", c',
            "nothing": None,
        },
        {
            "code": "1e3",
            "lat": -2.0,
            "alt": None,
            "open": False,
            "since": date(1999, 12, 31),
            "seen": datetime(2020, 1, 1, 10, 0, 1, tzinfo=UTC).replace(tzinfo=None),
            "seen_utc": datetime(2020, 1, 1, 10, tzinfo=UTC),
            "note": None,
            "nothing": None,
        },
    ]


def test_a_word_in_a_later_page_makes_a_text_column_from_the_first_page(
    root: StorageRoot, folder: Path
) -> None:
    lines = [f"{n}.50,x" for n in range(200_000)]
    lines[199_990] = "unknown,x"
    (folder / "late.csv").write_text("n,filler\n" + "\n".join(lines) + "\n")
    result = read_stream(make_files_source(root, "late.csv", page_size=10_000))
    assert len(result.pages) > 1
    assert result.column("n") == [line.removesuffix(",x") for line in lines]


@pytest.mark.parametrize(
    ("name", "content", "options"),
    [
        ("plain.csv", make_csv(ROWS), {}),
        ("compressed.csv.gz", gzip.compress(make_csv(ROWS)), {}),
        ("semi.txt", make_csv(ROWS).replace(b"plain", b"pl;n"), {"csv": {"delimiter": ","}}),
        ("lines.jsonl", b"\n".join(json.dumps(row).encode() for row in ROWS), {}),
        ("lines.ndjson.gz", gzip.compress(b"\n\n".join(json.dumps(r).encode() for r in ROWS)), {}),
    ],
)
def test_every_record_is_read_once_and_reading_can_resume_at_any_token(
    root: StorageRoot,
    folder: Path,
    monkeypatch: pytest.MonkeyPatch,
    name: str,
    content: bytes,
    options: dict[str, Any],
) -> None:
    monkeypatch.setattr(readers, "MIN_PIECE_BYTES", 4000)
    (folder / name).write_bytes(content)
    full_read = read_stream(make_files_source(root, name, page_size=40, **options))
    assert [row["faa"] for row in full_read.rows] == [row["faa"] for row in ROWS]
    assert [row["note"] for row in full_read.rows if row["alt"] % 5 == 0] == ['a,\n"b"'] * 400
    assert len(full_read.pages) > 5
    for position in (1, len(full_read.tokens) // 2, len(full_read.tokens) - 1):
        resumed_read = read_stream(
            make_files_source(root, name, page_size=40, **options), token=full_read.tokens[position]
        )
        assert resumed_read.rows == [row for page in full_read.pages[position:] for row in page]


CELLS = st.text(st.characters(codec="utf-8", exclude_characters="\0\r"), max_size=8)


@given(st.lists(st.tuples(CELLS, CELLS), min_size=1, max_size=30), st.integers(20, 200))
@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_any_text_is_read_unchanged_for_any_size_of_pieces(
    root: StorageRoot, folder: Path, rows: list[tuple[str, str]], piece_bytes: int
) -> None:
    text = io.StringIO()
    csv.writer(text, quoting=csv.QUOTE_ALL, lineterminator="\n").writerows([("a", "b"), *rows])
    (folder / "any.csv").write_bytes(text.getvalue().encode())
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(readers, "MIN_PIECE_BYTES", piece_bytes)
        patch.setattr(readers, "BYTES_PER_ROW", 1)
        result = read_stream(
            make_files_source(root, "any.csv", page_size=1, csv={"infer_types": False})
        )
    assert [(row["a"], row["b"]) for row in result.rows] == rows


def test_a_file_without_a_header_has_numbered_columns(root: StorageRoot, folder: Path) -> None:
    (folder / "bare.csv").write_bytes(b"1,a\n2,b\n")
    result = read_stream(make_files_source(root, "bare.csv", csv={"header": False}))
    assert result.rows == [
        {"column_1": 1, "column_2": "a"},
        {"column_1": 2, "column_2": "b"},
    ]


def test_a_tab_separated_file_in_latin_1_is_read(root: StorageRoot, folder: Path) -> None:
    (folder / "alt.tsv").write_bytes("n\tname\n1\tZürich\n".encode("latin-1"))
    assert read_stream(make_files_source(root, "alt.tsv", csv={"encoding": "latin-1"})).rows == [
        {"n": 1, "name": "Zürich"}
    ]


@pytest.mark.parametrize("content", [b"", b"\n", b"a,b\n", b"a,b"])
def test_a_file_without_records_is_read_as_one_empty_page(
    root: StorageRoot, folder: Path, content: bytes
) -> None:
    (folder / "empty.csv").write_bytes(content)
    result = read_stream(make_files_source(root, "empty.csv"))
    assert (result.rows, len(result.pages)) == ([], 1)


def make_parquet(row_count: int, group_size: int) -> bytes:
    buffer = io.BytesIO()
    frame = pl.DataFrame(
        {"n": range(row_count), "at": [datetime(2024, 1, 1, tzinfo=UTC)] * row_count}
    )
    frame.write_parquet(buffer, row_group_size=group_size)
    return buffer.getvalue()


@pytest.mark.parametrize("page_size", [1, 30, 64, 100, 1000])
def test_reading_parquet_can_resume_at_any_token(
    root: StorageRoot, folder: Path, page_size: int
) -> None:
    (folder / "data.parquet").write_bytes(make_parquet(200, 64))
    source = make_files_source(root, "data.parquet", page_size=page_size)
    assert source.get_total_records_count() == 200
    full_read = read_stream(source)
    assert full_read.column("n") == list(range(200))
    for position in {0, 1, 2, len(full_read.tokens) - 1} & set(range(len(full_read.tokens))):
        token = full_read.tokens[position]
        resumed_read = read_stream(
            make_files_source(root, "data.parquet", page_size=page_size), token=token
        )
        assert resumed_read.rows == [row for page in full_read.pages[position:] for row in page]


def test_a_token_works_with_another_page_size(root: StorageRoot, folder: Path) -> None:
    (folder / "data.parquet").write_bytes(make_parquet(200, 64))
    full_read = read_stream(make_files_source(root, "data.parquet", page_size=30))
    resumed_read = read_stream(
        make_files_source(root, "data.parquet", page_size=7), token=full_read.tokens[2]
    )
    assert resumed_read.column("n") == list(range(60, 200))


def test_a_pattern_reads_its_files_in_order_as_one_stream(root: StorageRoot, folder: Path) -> None:
    (folder / "logs" / "deep").mkdir(parents=True)
    for name, content in {
        "logs/b.csv": b"n,m\n3,x\n4,x\n",
        "logs/a.csv": b"n\n1\n2\n",
        "logs/deep/c.csv": b"n\n5\n",
        "logs/readme.md": b"no",
        "other.csv": b"n\n9\n",
    }.items():
        (folder / name).write_bytes(content)
    one_folder = read_stream(make_files_source(root, "logs/*.csv", "logs"))
    assert one_folder.column("n") == [1, 2, 3, 4]
    all_folders = read_stream(make_files_source(root, "logs/**/*.csv", "logs"))
    assert all_folders.column("n") == [1, 2, 3, 4, 5]
    resumed_read = read_stream(
        make_files_source(root, "logs/*.csv", "logs"), token=one_folder.tokens[1]
    )
    assert resumed_read.column("n") == [3, 4]
    one_file = read_stream(make_files_source(root, "logs/[b-z].csv", stream_name="mine"))
    assert one_file.column("n") == [3, 4]


def test_a_pattern_of_too_many_files_fails_instead_of_leaving_some_out(
    root: StorageRoot, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(locations, "MAX_FILES", 2)
    for name in ("a", "b"):
        (folder / f"{name}.csv").write_bytes(b"n\n1\n")
    assert read_stream(make_files_source(root, "*.csv", "files")).column("n") == [1, 1]
    (folder / "c.csv").write_bytes(b"n\n1\n")
    with pytest.raises(ConfigurationError, match="more than 2 files match"):
        read_stream(make_files_source(root, "*.csv", "files"))


def test_a_pattern_leaves_out_markers_without_data(root: StorageRoot, folder: Path) -> None:
    for name, content in {"_SUCCESS": b"", "a.csv": b"n\n1\n", "b.csv": b""}.items():
        (folder / name).write_bytes(content)
    assert read_stream(make_files_source(root, "*", "files")).column("n") == [1]
    (folder / "_SUCCESS").write_bytes(b"1")
    with pytest.raises(ConfigurationError, match="the format of '_SUCCESS' is not known"):
        read_stream(make_files_source(root, "*", "files"))


@pytest.mark.parametrize(
    ("pattern", "path", "is_match"),
    [
        ("logs/*.csv", "logs/a.csv", True),
        ("logs/*.csv", "logs/x/a.csv", False),
        ("**/*.csv", "a.csv", True),
        ("**/*.csv", "x/y/a.csv", True),
        ("logs/**", "logs/x/a", True),
        ("a?.csv", "ab.csv", True),
        ("a?.csv", "a/.csv", False),
        ("[!a].csv", "b.csv", True),
        ("[!a].csv", "a.csv", False),
        ("[ab", "[ab", True),
        ("a+b.csv", "a+b.csv", True),
        ("*", ".hidden", True),
    ],
)
def test_patterns_match_paths_as_in_a_shell(pattern: str, path: str, is_match: bool) -> None:
    assert matches(pattern, path) is is_match


@pytest.mark.parametrize(
    "path",
    [
        "/etc/passwd",
        "../x.csv",
        "a/../../x.csv",
        "a/./b.csv",
        "a//b.csv",
        "~/x.csv",
        "a\\b.csv",
        "a\x00b.csv",
        "file:///etc/passwd",
        "s3://bucket/x.csv",
        "*" * 11,
        "[z-a].csv",
    ],
)
def test_paths_outside_the_upload_area_and_invalid_patterns_are_refused(path: str) -> None:
    with pytest.raises(ValueError, match=r"must|wildcards|range"):
        check_path(path)
    with pytest.raises(ConfigurationError):
        make_source("files", {"path": path}, "x")


def test_links_to_files_outside_the_upload_area_are_not_followed(
    root: StorageRoot, folder: Path, tmp_path: Path
) -> None:
    (tmp_path / "secret.csv").write_bytes(b"n\n1\n")
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "x.csv").write_bytes(b"n\n1\n")
    (folder / "link.csv").symlink_to(tmp_path / "secret.csv")
    (folder / "inside").symlink_to(tmp_path / "elsewhere")
    (folder / "good.csv").write_bytes(b"n\n7\n")
    for path in ("link.csv", "inside/x.csv"):
        with pytest.raises(ConfigurationError, match="leads out"):
            make_files_source(root, path).get()
    assert read_stream(make_files_source(root, "*.csv", "files")).column("n") == [7]
    assert read_stream(make_files_source(root, "**/*.csv", "files")).column("n") == [7]


def test_files_of_another_org_are_not_found(root: StorageRoot, folder: Path) -> None:
    other_root = StorageRoot(root.url, "org/2")
    (folder / "mine.csv").write_bytes(b"n\n1\n")
    with pytest.raises(ConfigurationError, match="no uploaded file"):
        make_files_source(other_root, "mine.csv").get()
    with pytest.raises(ConfigurationError, match="no uploaded file matches"):
        make_files_source(other_root, "**", "files", format="csv").get()


def raised_error(source: Any, error_type: Any, token: dict[str, Any] | None = None) -> Any:
    with pytest.raises(error_type) as raised:
        source.get(token or {})
    return raised.value


@pytest.mark.parametrize(
    ("name", "content", "evidence"),
    [
        ("a.csv", b"a,b\n\x01\xff,\x80\n", "not text"),
        ("a.csv", b'"a,b\n1,2\n', "line 1, character 1"),
        ("a.json", b'[{"n": 1},\n {"n": ]', "line 2, character 8"),
        ("a.json", b'[{"n": 1}', "document ends"),
        ("a.parquet", b"PAR1 not really", "Parquet"),
        ("a.parquet", make_parquet(100, 100)[:-50], "Parquet"),
        ("a.csv.gz", gzip.compress(b"a,b\n1,2\n" * 999)[:-20], "end-of-stream"),
        ("a.csv.bz2", bz2.compress(b"a,b\n1,2\n" * 999)[:-20], "end-of-stream"),
        ("a.xls", b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "save it as .xlsx"),
    ],
)
def test_a_broken_file_is_a_source_failure_that_is_not_retryable(
    root: StorageRoot, folder: Path, name: str, content: bytes, evidence: str
) -> None:
    (folder / name).write_bytes(content)
    error = raised_error(make_files_source(root, name), SourceError)
    assert not error.retryable
    assert evidence.lower() in f"{error.message} {error.evidence}".lower()


def test_a_record_longer_than_the_limit_is_a_source_failure(
    root: StorageRoot, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(csv_records, "MAX_RECORD_BYTES", 200_000)
    (folder / "a.csv").write_bytes(b"a,b\n1," + b"x" * 1_000_000)
    error = raised_error(make_files_source(root, "a.csv", page_size=1), SourceError)
    assert "longer than" in error.message


def test_a_missing_file_and_an_unknown_format_are_configuration_failures(
    root: StorageRoot, folder: Path
) -> None:
    raised_error(make_files_source(root, "gone.csv"), ConfigurationError)
    (folder / "data.bin").write_bytes(b"?")
    error = raised_error(make_files_source(root, "data.bin"), ConfigurationError)
    assert "CSV, JSON, Excel or Parquet" in error.message
    (folder / "a.csv").write_bytes(b"a\n1\n")
    error = raised_error(make_files_source(root, "a.csv", "b"), ConfigurationError)
    assert "the only stream is a" in error.message


def test_a_file_that_changed_between_two_pages_is_a_source_failure(
    root: StorageRoot, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(readers, "MIN_PIECE_BYTES", 1000)
    (folder / "a.csv").write_bytes(make_csv(ROWS))
    token = make_files_source(root, "a.csv", page_size=10).get().next_pagination
    (folder / "a.csv").write_bytes(make_csv(ROWS[:-1]))
    error = raised_error(make_files_source(root, "a.csv", page_size=10), SourceError, token)
    assert "changed" in error.message
    (folder / "a.csv").unlink()
    (folder / "b.csv").write_bytes(make_csv(ROWS))
    pattern_source = make_files_source(root, "*.csv", "files", page_size=10)
    assert "was removed" in raised_error(pattern_source, SourceError, token).message


def test_discovery_and_check_read_the_first_records(root: StorageRoot, folder: Path) -> None:
    (folder / "a.csv").write_bytes(make_csv(ROWS))
    source = make_source("files", {"path": "a.csv"}, files=root)
    (stream,) = source.discover()
    assert stream.name == "a"
    assert [(field.name, field.type) for field in stream.fields] == [
        ("faa", "string"),
        ("lat", "number"),
        ("alt", "integer"),
        ("note", "string"),
    ]
    assert [(step.step, step.ok) for step in source.check()] == [
        ("find", True),
        ("read", True),
        ("format", True),
    ]
    steps_without_file = list(make_source("files", {"path": "b.csv"}, files=root).check())
    assert [(step.step, step.ok) for step in steps_without_file] == [("find", False)]


def test_the_check_of_a_json_document_names_the_lists_that_could_be_its_records(
    root: StorageRoot, folder: Path
) -> None:
    (folder / "a.json").write_text('{"page": 1, "data": {"items": [{"id": 1}, {"id": 2}]}}')
    source = make_source("files", {"path": "a.json"}, files=root)
    messages = [step.message for step in source.check()]
    assert messages[1] == "1 record at the beginning of a.json"
    assert "set `json.records` to data.items" in messages[2]
    with_path = {"path": "a.json", "json": {"records": "data.items"}}
    messages = [step.message for step in make_source("files", with_path, files=root).check()]
    assert messages[1] == "2 records at the beginning of a.json"


@pytest.mark.parametrize(
    ("path", "file_format", "name"),
    [
        ("a.csv", "csv", "a"),
        ("x/b.data.CSV.gz", "csv", "b"),
        ("https://h.test/d/c.parquet?sig=1", "parquet", "c"),
        ("logs/**/*.ndjson", "jsonl", "logs"),
        ("*.txt", "csv", "files"),
        ("noending", None, "noending"),
    ],
)
def test_the_format_and_the_stream_name_come_from_the_path(
    path: str, file_format: str | None, name: str
) -> None:
    assert detect_format(path) == file_format
    assert stream_name(path) == name


def test_a_file_at_a_web_address_is_downloaded_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(readers, "MIN_PIECE_BYTES", 4000)
    content = make_csv(ROWS)
    with serve_api(always_reply(Reply(content, headers={"ETag": '"1"'}))) as api:
        url = f"{api.url}/data/airports.csv?signature=s3cret-canary"
        full_read = read_stream(make_source("files", {"path": url, "page_size": 40}, "airports"))
        assert len(full_read.rows) == len(ROWS)
        assert len(api.requests) == 1
        second_source = make_source("files", {"path": url, "page_size": 40}, "airports")
        resumed_read = read_stream(second_source, token=full_read.tokens[3])
        assert resumed_read.rows == [row for page in full_read.pages[3:] for row in page]
        assert "s3cret-canary" not in json.dumps(full_read.tokens)


def test_a_web_file_that_changed_between_two_pages_is_a_source_failure(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(readers, "MIN_PIECE_BYTES", 4000)
    etags = ['"1"', '"2"']

    def respond(_: ReceivedRequest) -> Reply:
        return Reply(make_csv(ROWS), headers={"ETag": etags.pop(0)})

    with serve_api(respond) as api:
        config = {"path": f"{api.url}/a.csv", "page_size": 40}
        token = make_source("files", config, "a").get().next_pagination
        error = raised_error(make_source("files", config, "a"), SourceError, token)
        assert "changed" in error.message


@pytest.mark.parametrize(
    ("reply", "error_type"),
    [
        (Reply(b"no", 403), AuthenticationError),
        (Reply(b"no", 404), ConfigurationError),
        (Reply(b"no", 500), SourceError),
        (Reply(b"a,b\n", declared_length=999), SourceError),
        *((Reply(b"a\n1\n", status), SourceError) for status in (202, 206, 300)),
        *((Reply(b"", status), SourceError) for status in (204, 304)),
        (Reply(gzip.compress(b"a\n1\n" * 999)[:-20], headers=PACKED), SourceError),
        (Reply(b"x" * (2 << 20)), SourceError),
        (Reply(b"", 302, {"Location": "http://169.254.169.254/"}), EgressError),
    ],
)
def test_a_failed_download_has_a_failure_class_and_shows_no_secret(
    reply: Reply, error_type: type[EngineError]
) -> None:
    with serve_api(always_reply(reply)) as api:
        config = {"path": f"{api.url}/a.csv?key=s3cret-canary", "max_download_mb": 1}
        error = raised_error(make_source("files", config, "a"), error_type)
        assert api.requests
    assert "s3cret-canary" not in f"{error.message} {error.evidence}"


def test_a_download_that_is_compressed_on_its_way_arrives() -> None:
    reply = Reply(gzip.compress(b"a\n" + b"1\n" * 999), headers=PACKED)
    with serve_api(always_reply(reply)) as api:
        source = make_source("files", {"path": f"{api.url}/a.csv"}, "a")
        assert read_stream(source).column("a") == [1] * 999


def test_a_private_web_address_is_refused() -> None:
    with serve_api(always_reply(Reply(b"a\n1\n"))) as api:
        source = make_source("files", {"path": f"{api.url}/a.csv"}, "a", allow_private=False)
        raised_error(source, EgressError)
        assert api.requests == []


@pytest.fixture(scope="module")
def s3_root() -> Iterator[StorageRoot]:
    import boto3

    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0)
    server.start()
    host, port = server.get_host_and_port()
    options = {
        "endpoint_override": f"http://{host}:{port}",
        "access_key": "key",
        "secret_key": "secret",
        "region": "us-east-1",
    }
    client = boto3.client(
        "s3",
        endpoint_url=options["endpoint_override"],
        aws_access_key_id="key",
        aws_secret_access_key="secret",
        region_name="us-east-1",
    )
    client.create_bucket(Bucket="uploads")
    for name, body in {
        "org/1/a.csv": make_csv(ROWS),
        "org/1/logs/x.jsonl": b'{"n": 1}\n',
        "org/1/logs/y.jsonl": b'{"n": 2}\n',
        "org/1/data.parquet": make_parquet(200, 64),
        "org/2/secret.csv": b"n\n1\n",
    }.items():
        client.put_object(Bucket="uploads", Key=name, Body=body)
    yield StorageRoot("s3://uploads", "org/1", options)
    server.stop()


def test_files_in_a_bucket_are_read(s3_root: StorageRoot, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(readers, "MIN_PIECE_BYTES", 4000)
    full_read = read_stream(make_files_source(s3_root, "a.csv", page_size=40))
    assert len(full_read.rows) == len(ROWS)
    resumed_read = read_stream(
        make_files_source(s3_root, "a.csv", page_size=40), token=full_read.tokens[2]
    )
    assert resumed_read.rows == [row for page in full_read.pages[2:] for row in page]
    assert read_stream(make_files_source(s3_root, "logs/*.jsonl", "logs")).column("n") == [1, 2]
    parquet_read = read_stream(make_files_source(s3_root, "data.parquet", page_size=50))
    assert parquet_read.column("n") == list(range(200))
    raised_error(make_files_source(s3_root, "secret.csv"), ConfigurationError)


def test_files_are_listed_by_stream_without_reading_them(root: StorageRoot, folder: Path) -> None:
    """Also files that cannot be read as CSV are listed, by their size and time."""
    payload = {
        "role": "source",
        "kind": "files",
        "config": {"path": "*/*.csv", "one_stream_per": "folder"},
        "files": asdict(root),
    }
    assert connect.list_files(payload) == {"streams": {}}
    for name in ("orders", "customers"):
        (folder / name).mkdir()
        (folder / name / "a.csv").write_bytes(b"\xff\x00")
    (folder / "orders" / "b.csv").write_bytes(b"")
    before = connect.list_files(payload)["streams"]
    assert {name: each["files"] for name, each in before.items()} == {"customers": 1, "orders": 2}
    (folder / "orders" / "b.csv").write_bytes(b"1")
    after = connect.list_files(payload)["streams"]
    assert after["customers"] == before["customers"]
    assert after["orders"]["digest"] != before["orders"]["digest"]


def test_a_source_without_files_lists_none() -> None:
    payload = {"role": "source", "kind": "dummy", "config": {"rows": 1}}
    with pytest.raises(ConfigurationError, match="has no files"):
        connect.list_files(payload)
