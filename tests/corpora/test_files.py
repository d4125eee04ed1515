"""What must arrive of files as people have them: the value, its type, or a record that is rejected in words."""

from __future__ import annotations

import bz2
import gzip
import io
import json
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import polars as pl
import pyarrow as pa
import pytest
from pyarrow import parquet

from apps.engine.contract import StorageRoot
from apps.engine.failures import ConfigurationError, EngineError, FailureClass
from apps.engine.frames.columns import Column, ColumnType
from apps.engine.frames.decoding import StreamSchema
from apps.engine.frames.left_out import LeftOutRecords
from apps.engine.sources.base import FrameIteration, RowsIteration
from apps.engine.sources.files import streams
from apps.engine.sources.files.config import CsvOptions
from apps.engine.sources.files.csv_reader import CsvReader
from apps.engine.sources.files.patterns import stream_name
from tests.engine.sources.reading import make_source

FILES = Path(__file__).parent / "files"
Row = tuple[Any, ...]


@dataclass
class Arrived:
    """What a read delivered: the columns, the rows as a destination receives them, and why records are missing."""

    names: list[str] = field(default_factory=list)
    rows: list[Row] = field(default_factory=list)
    reasons: list[str] = field(default_factory=list)
    samples: list[str] = field(default_factory=list)
    skipped: int = 0


@dataclass
class Case:
    """One file: its content (or the name of a file in `files`), the settings, and what must arrive of it."""

    name: str
    rows: Sequence[Row]
    content: bytes | None = None
    names: Sequence[str] | None = None
    rejected: Sequence[str] = ()  # a part of the reason of each rejected record
    settings: Mapping[str, Any] = field(default_factory=dict)

    def __str__(self) -> str:
        return f"{self.name} {self.settings or ''}"


def read(folder: Path, path: str, **settings: Any) -> Arrived:
    """Read a stream page by page, as a run does."""
    root = StorageRoot(folder.parent.as_uri(), folder.name)
    source = make_source("files", {"path": path, **settings}, stream_name(path), files=root)
    schema = StreamSchema()
    arrived = Arrived()
    frames: list[pl.DataFrame] = []
    token: dict[str, Any] = {}
    while True:
        page = source.get(json.loads(json.dumps(token)))
        assert isinstance(page, (FrameIteration, RowsIteration))
        left_out = page.left_out or LeftOutRecords()
        if isinstance(page, FrameIteration):
            frames.append(schema.conform(page.frame))
        else:
            decoded = schema.decode(page.rows)
            frames.append(decoded.frame)
            for record in decoded.rejected:
                left_out.add("rejected", record.record, reason=record.reason, position="")
        for kept in left_out.kept("rejected"):
            arrived.reasons.append(f"{kept.position}: {kept.reason}")
            arrived.samples.append(json.loads(kept.record))
        arrived.skipped += left_out.count("skipped")
        token = page.next_pagination
        if not token:
            arrived.names = list(schema.columns)
            arrived.rows = pl.concat([schema.conform(frame) for frame in frames]).rows()
            source.close()
            return arrived


def utf8(text: str) -> bytes:
    return text.encode()


SHARED_CASES = [
    Case("cr_only.csv", [(1, "ann"), (2, "bob")]),
    Case("allrej.jsonl", [], rejected=["not an object", "not an object"]),
    Case("esc.csv", [('say "hi"', 1), ("c:\\x", 2)]),
    Case("money17.csv", [("90071992547409.93",), ("1234567890123456.7",), ("9007199254740993.0",)]),
    Case("exp.csv", [("1e400",), ("12345e678",)]),
    Case("hugeint.csv", [(Decimal("9223372036854775807"),), (Decimal("9223372036854775808"),)]),
    Case("inf.csv", [("1.5",), ("inf",), ("nan",)]),
    Case("mid.csv", [(0, "1.10"), (1, "1.10"), (2, "1.10"), (3, "n/a")]),
    Case("stray_quote_mid.csv", [('5" disk', "ann"), ("6", "bob")]),
    Case("inch2.csv", [('5" disk', 1), ('6" disk', 2)]),
    Case(
        "short.csv",
        [(1, 2, 3)],
        rejected=["short.csv, line 3, character 2: the record has 1 value", "line 4, character 4"],
    ),
    Case(
        "short.csv",
        [(1, 2, 3), (4, None, None), (5, 6, None)],
        settings={"csv": {"short_records": "fill"}},
    ),
    Case("dup_hdr.csv", [(1, 2, 3)], names=["a", "a_3", "a_4"]),
    Case("comment.csv", [(1, 2)], names=["a", "b"]),
    Case("semicolon.csv", [(1, "ann"), (2, "bob")], names=["id", "name"]),
    Case("eurodec.csv", [(1.5, 2)]),
    Case("eurodec.csv", [("1,5", 2)], settings={"csv": {"decimal": "point"}}),
    Case("utf16.csv", [(1, 2)], names=["a", "b"]),
    Case("tsv_allempty.tsv", [(1, 2), (None, None), (3, 4)]),
    Case("nullempty.csv", [("", 1), (None, 2), ("x", 3)]),
    Case(
        "nullempty.csv", [(None, 1), (None, 2), ("x", 3)], settings={"csv": {"null_values": [""]}}
    ),
    Case(
        "dates.csv",
        [
            (
                date(2024, 2, 29),
                datetime(2024, 1, 1, 10, tzinfo=UTC).replace(tzinfo=None),
                datetime(2024, 1, 1, 8, tzinfo=UTC),
                "2016-12-31 23:59:60",
            )
        ],
    ),
    Case("arr1.json", [(1,), (2,)], names=["a"]),
    Case("big17.jsonl", [(Decimal("90071992547409.93"),)]),
    Case("nulkey.jsonl", [], rejected=["a field's name cannot be a column name"]),
    Case(
        "int96_far.parquet",
        [
            (1, datetime(2024, 1, 1, tzinfo=UTC).replace(tzinfo=None)),
            (2, datetime(9999, 12, 31, tzinfo=UTC).replace(tzinfo=None)),
        ],
    ),
    Case("dec256.parquet", [(1, Decimal("1.50"))]),
    Case("uuid.parquet", [(1, "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11")]),
]

CSV_CASES = [
    # Delimiters
    Case("a.csv", [(1, "x")], b"a|b\n1|x\n"),
    Case("a.txt", [(1, "x")], b"a\tb\n1\tx\n"),
    Case("a.csv", [(1, "x")], b"a\x01b\n1\x01x\n"),
    Case("a.csv", [("x,y", 1)], b"a;b\nx,y;1\n"),
    Case("a.csv", [(1, 2)], b"sep=;\na;b\n1;2\n", names=["a", "b"]),
    Case("a.csv", [("a;b",)], b"x\na;b\n", settings={"csv": {"delimiter": ","}}),
    # Line ends
    Case("a.csv", [(1, "x"), (2, "y"), (3, "z")], b"a,b\r\n1,x\r2,y\n3,z"),
    Case("a.csv", [("1\r\n2", "x"), ("3\n4", "y")], b'a,b\r\n"1\r\n2",x\r\n"3\n4",y\r\n'),
    Case("a.csv", [("x\x0by\u2028z\x85", 1)], utf8("a,b\nx\x0by\u2028z\x85,1\n")),
    # Quotes
    Case("a.csv", [('"abc"def', 1), ("x", 2)], b'a,b\n"abc"def,1\n"x",2\n'),
    Case("a.csv", [('5" disk', 1)], b'a,b\n"5" disk",1\n'),
    Case("a.csv", [('a "b" c', 1), ("d", 2)], b'a,b\na "b" c,1\n"d",2\n'),
    Case("a.csv", [("x", "b, c")], b'a,b\n"x", "b, c"\n'),
    Case("a.csv", [("x ", " y")], b"a,b\nx , y\n"),
    Case("a.csv", [("", '"')], b'a,b\n"",""""\n'),
    Case(
        "a.csv",
        [("x", 2)],
        b'a,b\n" disk,1\n"x",2\n',
        rejected=["a.csv, line 3, character 1: the quoted value before this quote is never closed"],
    ),
    Case(
        "a.csv",
        [("x", "1"), ("z", "3")],
        b'a,b\nx,1\ny,"2\nz,3\n',
        rejected=["a.csv, line 3, character 3: the quoted value is never closed"],
        settings={"csv": {"infer_types": False}},
    ),
    Case(
        "a.csv",
        [("d", 2)],
        b'a,b\n"a\nb" c",1\nd,2\n',
        rejected=["a.csv, line 3, character 2: this quote inside a quoted value is not doubled"],
    ),
    Case("a.csv", [("x,y", 1), ("z", 2)], b"a,b\n'x,y',1\n'z',2\n"),
    Case("a.csv", [("it's", "'x"), ("don't", "y")], b"a,b\nit's,'x\ndon't,y\n"),
    Case("a.csv", [('"x"', 1)], b'a,b\n"x",1\n', settings={"csv": {"quote": None}}),
    # Escapes
    Case("a.csv", [("c:\\", 1), ("d:\\", 2)], b'a,b\n"c:\\",1\n"d:\\",2\n'),
    Case("a.csv", [('x"y', 1), ("c:\\new", 2)], b'a,b\n"x\\"y",1\nc:\\new,2\n'),
    Case("a.csv", [("x,y", 1)], b"a,b\nx\\,y,1\n", settings={"csv": {"escape": "backslash"}}),
    Case("a.csv", [("x\ny", 1)], b"a,b\nx\\\ny,1\n", settings={"csv": {"escape": "backslash"}}),
    # Headers
    Case("a.csv", [(1, "x"), (2, "y")], b"1,x\n2,y\n", names=["column_1", "column_2"]),
    Case(
        "a.csv", [("fr", 1, 2)], b"country,2019,2020\nfr,1,2\n", names=["country", "2019", "2020"]
    ),
    Case("a.csv", [(1, 2, 3)], b"a,,a\n1,2,3\n", names=["a", "column_2", "a_3"]),
    Case("a.csv", [(1, 2, 3)], b"a,a,a_2\n1,2,3\n", names=["a", "a_3", "a_2"]),
    Case("a.csv", [(1, 2)], b",column_1\n1,2\n", names=["column_1_1", "column_1"]),
    Case("a.csv", [(1,)], b'"a\x00b\nc"\n1\n', names=["a b c"]),
    Case("a.csv", [], b"a,b\n", names=["a", "b"]),
    Case("a.csv", [], b"\xef\xbb\xbfa,b", names=["a", "b"]),
    Case("a.csv", [], b""),
    Case("a.csv", [(1, 2)], b"Report of May\n\nid,n\n1,2\n", names=["id", "n"]),
    Case("a.csv", [(1, 2)], b"# by x\n# on y\nid,n\n1,2\n", names=["id", "n"]),
    Case("a.tsv", [(1, "x")], b"#id\tname\n1\tx\n", names=["#id", "name"]),
    Case("a.csv", [(1, 2)], b"x\ny,z\na,b\n1,2\n", settings={"csv": {"skip_lines": 2}}),
    Case("a.csv", [(1, 2), (3, 4)], b"a,b\n1,2\n#x,y\n3,4\n", settings={"csv": {"comment": "#"}}),
    Case("a.csv", [("1", "2"), ("#x", "y")], b"a,b\n1,2\n#x,y\n"),
    # The header of a file that was joined to another one
    Case(
        "a.csv",
        [(1, 2), (3, 4)],
        utf8("\ufeffid,v\n1,2\n\ufeffid,v\n3,4\n"),
        rejected=["a.csv, line 3, character 1: the record repeats the header"],
    ),
    Case(
        "a.csv",
        [("x", "y"), ("id,v", "z")],
        b'"id","v"\r\nx,y\r\n"id","v"\r\n"id,v",z\r\n',
        rejected=["a.csv, line 3, character 1: the record repeats the header"],
    ),
    Case("a.csv", [("x",), ("name",)], b"name\nx\nname\n"),
    Case("a.csv", [("id", "v2"), ("x", "y")], b"id,v\nid,v2\nx,y\n", names=["id", "v"]),
    # A value that is missing from the first record is no name.
    Case(
        "a.tsv",
        [(1, "ann", "\\N"), (2, "bob", "5")],
        b"1\tann\t\\N\n2\tbob\t5\n",
        names=["column_1", "column_2", "column_3"],
    ),
    Case("a.csv", [(39, "?", "BSc"), (50, "13", "MSc")], b"39,?,BSc\n50,13,MSc\n"),
    Case("a.csv", [("NA", 5), ("3", 6)], b"NA,5\n3,6\n"),
    Case("a.csv", [("ann", 1, "-"), ("bob", 2, "5")], b"ann,1,-\nbob,2,5\n"),
    Case(
        "a.csv",
        [(1, None), (2, 5)],
        b"1,nichts\n2,5\n",
        settings={"csv": {"null_values": ["nichts"]}},
    ),
    Case("a.csv", [("fr", 1)], b"name,n/a\nfr,1\n", names=["name", "n/a"]),
    # Days above numbers are names, and so are the numbers that pandas gives to columns without names.
    Case(
        "a.csv",
        [("fr", 1, None), ("de", 2, 3)],
        b"country,2024-01-01,2024-02-01\nfr,1,\nde,2,3\n",
        names=["country", "2024-01-01", "2024-02-01"],
    ),
    Case(
        "a.csv",
        [("cpu", 1.5)],
        b"metric,2024-01-01 00:00:00\ncpu,1.5\n",
        names=["metric", "2024-01-01 00:00:00"],
    ),
    Case(
        "a.csv",
        [(0, 5.1, "x"), (1, 4.9, "y")],
        b",0,1\n0,5.1,x\n1,4.9,y\n",
        names=["column_1", "0", "1"],
    ),
    Case("a.csv", [(None, 1, 2), (5, 3, 4)], b",1,2\n5,3,4\n"),
    Case("a.csv", [(date(2024, 1, 1), 5), (date(2024, 1, 2), 6)], b"2024-01-01,5\n2024-01-02,6\n"),
    # Ragged records and blank lines
    Case("a.csv", [(1, 2), (3, 4)], b"a,b\n1,2,\n3,4,,\n"),
    Case(
        "a.csv",
        [(1, 2)],
        b"a,b\n1,2\n3,4,5\n",
        rejected=["the record has 3 values, but there are 2"],
    ),
    Case("a.csv", [(1, 2), (3, 4)], b"a,b\n\n1,2\n  \t\n\n3,4\n\n"),
    Case("a.csv", [("x",), (None,), ("y",)], b"a\nx\n\ny\n"),
    Case("a.csv", [(1, 2)], b"a,b\r\n1,2\r\n\x1a"),
    # Encodings
    Case("a.csv", [("é", "€")], utf8("\ufeffa,b\né,€\n")),
    Case("a.csv", [("é", "€")], "a,b\né,€\n".encode("cp1252")),
    Case("a.csv", [("é", "€")], "a,b\né,€\n".encode("utf-16")),
    Case("a.csv", [("é", "€")], "a,b\né,€\n".encode("utf-16-be")),
    Case("a.csv", [("é", "€")], "a,b\né,€\n".encode("utf-32")),
    Case(
        "a.csv",
        [("ж", 1)],
        "a,b\nж,1\n".encode("cp1251"),
        settings={"csv": {"encoding": "windows-1251"}},
    ),
    Case(
        "a.csv",
        [("\x81é", 1)],
        b"a,b\n\x81\xe9,1\n",
        settings={"csv": {"encoding": "windows-1252"}},
    ),
    Case(
        "a.csv",
        [("é", 1)],
        b"a,b\n\xc3\xa9,1\nx\xff,2\n",
        rejected=["a.csv, line 3, character 2: this is not valid text in the encoding"],
        settings={"csv": {"encoding": "utf-8"}},
    ),
    Case(
        "a.csv",
        [("café", 1), ("€", 2)],
        b"a,b\ncaf\xc3\xa9,1\n\xe2\x82\xac,2\nx\xff,3\n",
        rejected=["a.csv, line 4, character 2: this is not valid text in the encoding"],
    ),
    Case(
        "a.csv",
        [("x", 1)],
        "a,b\nx,1\n".encode("utf-16-le") + b"\x00\xd8\x2c\x00\x32\x00\x0a\x00",
        rejected=["line 3, character 1"],
    ),
    Case("a.csv", [("x\0y", 1)], b"a,b\nx\0y,1\n"),
    # Types
    Case("a.csv", [("007", True), ("1", False)], b"a,b\n007,true\n1,false\n"),
    Case("a.csv", [("TRUE",), ("true",)], b"a\nTRUE\ntrue\n"),
    Case("a.csv", [(Decimal("1.50"),), (Decimal("2.25"),)], b"a\n1.50\n2.25\n"),
    Case("a.csv", [(39.0,), (39.02,)], b"a\n39\n39.02\n"),
    Case("a.csv", [("39",), ("39.0",)], b"a\n39\n39.0\n"),
    Case("a.csv", [("1e5", 1)], b"a,b\n1e5,1\n"),
    Case(
        "a.csv",
        [(Decimal("9" * 38),), (Decimal("-" + "9" * 38),)],
        b"a\n%s\n-%s\n" % (b"9" * 38, b"9" * 38),
    ),
    Case("a.csv", [("9" * 39,)], b"a\n" + b"9" * 39),
    Case(
        "a.csv",
        [("2024-01-01T10:00:00",), ("2024-01-01 10:00:00",)],
        b"a\n2024-01-01T10:00:00\n2024-01-01 10:00:00\n",
    ),
    Case("a.csv", [("24:00:00",)], b"a\n24:00:00\n"),
    Case(
        "a.csv", [(None, 1), (5, 2)], b"a,b\nNA,1\n5,2\n", settings={"csv": {"null_values": ["NA"]}}
    ),
    Case(
        "a.csv",
        [("NA", 1), (None, 2)],
        b'a,b\n"NA",1\nNA,2\n',
        settings={"csv": {"null_values": ["NA"]}},
    ),
    Case("a.csv", [(Decimal("1.50"), "x"), (Decimal("-2.25"), "x")], b"a;b\n1,50;x\n-2,25;x\n"),
    Case("a.csv", [("1.234,56", "x")], b"a;b\n1.234,56;x\n"),
    Case(
        "a.csv",
        [("1,5", "x"), ("1.5", "x")],
        b"a;b\n1,5;x\n1.5;x\n",
        settings={"csv": {"decimal": "comma"}},
    ),
    Case("a.csv", [("1,250", 1), ("2,500", 2)], b"w;n\n1,250;1\n2,500;2\n"),
]


@pytest.mark.parametrize("case", [*SHARED_CASES, *CSV_CASES], ids=str)
def test_a_file_arrives_exactly_or_a_record_is_rejected_in_words(
    case: Case, tmp_path: Path
) -> None:
    folder = FILES
    if case.content is not None:
        folder = tmp_path
        (folder / case.name).write_bytes(case.content)
    arrived = read(folder, case.name, **case.settings)
    assert arrived.rows == list(case.rows)
    assert [type(value) for row in arrived.rows for value in row] == [
        type(value) for row in case.rows for value in row
    ]
    if case.names is not None:
        assert arrived.names == list(case.names)
    assert len(arrived.reasons) == len(case.rejected)
    for reason, expected in zip(arrived.reasons, case.rejected, strict=True):
        assert expected in reason


def zipped(files: Mapping[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return buffer.getvalue()


def zstd(content: bytes) -> bytes:
    packed: bytes = pa.compress(content, codec="zstd", asbytes=True)
    return packed


CSV = b"a,b\n1,x\n2,y\n"
ROWS = [(1, "x"), (2, "y")]


@pytest.mark.parametrize(
    ("path", "content"),
    [
        ("a.csv.gz", gzip.compress(CSV)),
        ("a.csv", gzip.compress(CSV)),  # The content decides, not the name.
        ("a.csv.gz", CSV),
        ("a.csv.gz", gzip.compress(CSV[:6]) + gzip.compress(CSV[6:])),
        ("a.csv.bz2", bz2.compress(CSV)),
        ("a.csv.bz2", bz2.compress(CSV[:6]) + bz2.compress(CSV[6:])),
        ("a.csv.zst", zstd(CSV)),
        ("a.csv.zst", zstd(CSV[:6]) + zstd(CSV[6:])),
        ("a.csv.gz", gzip.compress(gzip.compress(CSV))),
        ("a.zip", zipped({"data": CSV})),
        ("a.csv.zip", zipped({"data.bin": CSV})),
        ("a.zip", zipped({"x.csv": b"a,b\n1,x\n", "y.csv": b"b,a\ny,2\n", "readme.md": b"no"})),
        ("a.zip", zipped({"x.csv.gz": gzip.compress(CSV), "__MACOSX/x.csv": b"?"})),
        ("a.zip.gz", gzip.compress(zipped({"x/y.csv": CSV}))),
        ("a.json", b'[{"a":1,"b":"x"},{"a":2,"b":"y"}]'),
        ("a.json", b'{"a":1,"b":"x"}\n{"a":2,"b":"y"}\n'),
        ("a.json", b'[{"a":1,"b":"x"}]\n[{"a":2,"b":"y"}]'),
        ("a.json.zst", zstd(b'[{"a":1,"b":"x"},{"a":2,"b":"y"}]')),
        ("a.jsonl", '\ufeff{"a":1,"b":"x"}\r\n\r\n{"a":2,"b":"y"}'.encode()),
        ("a.jsonl", '{"a":1,"b":"x"}\n{"a":2,"b":"y"}\n'.encode("utf-16")),
        ("a.jsonl", b'{"a":1,"b":"x"}\r{"a":2,"b":"y"}\r'),
    ],
)
def test_the_content_decides_how_a_file_is_packed(
    path: str, content: bytes, tmp_path: Path
) -> None:
    settings = {
        "csv": {"header": "yes"},
        "format": "csv" if path in ("a.zip", "a.csv.zip") else "auto",
    }
    (tmp_path / path).write_bytes(content)
    assert read(tmp_path, path, **settings).rows == ROWS


def test_a_pattern_without_an_extension_reads_packed_files(tmp_path: Path) -> None:
    (tmp_path / "gz").mkdir()
    (tmp_path / "gz" / "a.csv.gz").write_bytes(gzip.compress(b"a,b\n1,x\n"))
    (tmp_path / "gz" / "b.csv.zst").write_bytes(zstd(b"a,b\n2,y\n"))
    assert read(tmp_path, "gz/*").rows == ROWS


def archive_with(name: str, *, link: bool = False, encrypted: bool = False) -> bytes:
    buffer = io.BytesIO()
    info = zipfile.ZipInfo(name)
    if link:
        info.external_attr = 0o120777 << 16
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr(info, CSV)
    data = buffer.getvalue()
    if encrypted:  # Set the flag in both headers.
        data = data.replace(b"PK\x03\x04\x14\x00\x00", b"PK\x03\x04\x14\x00\x01")
        position = data.index(b"PK\x01\x02") + 8
        data = data[:position] + b"\x01" + data[position + 1 :]
    return data


def damaged_archive(method: int) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", method) as archive:
        archive.writestr("x.csv", CSV * 999)
    data = bytearray(buffer.getvalue())
    start = data.index(b"x.csv") + 20
    data[start : start + 10] = b"\xff" * 10
    return bytes(data)


@pytest.mark.parametrize(
    ("path", "content", "message"),
    [
        ("a.zip", damaged_archive(zipfile.ZIP_DEFLATED), "cannot be unpacked"),
        ("a.zip", damaged_archive(zipfile.ZIP_BZIP2), "cannot be unpacked"),
        ("a.zip", damaged_archive(zipfile.ZIP_LZMA), "cannot be unpacked"),
        ("a.zip", zipped({"é.csv": CSV}).replace("é".encode(), b"\xff\xfe"), "not a complete zip"),
        (
            "a.zip",
            zipped({"é.csv": CSV}).replace("é".encode(), b"\xff\xfe", 1),
            "cannot be unpacked",
        ),
        ("a.zip", archive_with("../x.csv"), "leads out of the archive"),
        ("a.zip", archive_with("/etc/x.csv"), "leads out of the archive"),
        ("a.zip", archive_with("..\\x.csv"), "leads out of the archive"),
        ("a.zip", archive_with("x.csv", link=True), "a link"),
        ("a.zip", archive_with("x.csv", encrypted=True), "encrypted"),
        ("a.zip", zipped({"a.md": b"", "b.md": b""}), "no CSV"),
        ("a.zip", zipped({"x.csv": CSV})[:-30], "not a complete zip archive"),
        ("a.zip", zipped({"x.csv.zip": zipped({"x.csv": CSV})}), "archive in an archive"),
        ("a.csv.zst", zstd(CSV * 99)[:-5], "not a complete zstd"),
        ("a.csv.gz", gzip.compress(gzip.compress(gzip.compress(gzip.compress(CSV)))), "3 times"),
        ("a.csv", b"\x7fELF\x02\x01\x01\x00\x80\xff\x00\x00", "not text in a known encoding"),
        ("a.csv", b"\n<!DOCTYPE html>\n<html><body>Log in</body></html>\n", "a web page"),
        ("a.csv", b"7z\xbc\xaf\x27\x1c\x00\x04", "use zip"),
        ("a.json", b'{"data": {"items": [1', "line 1, character"),
    ],
)
def test_a_file_that_is_not_read_is_refused_in_words_and_once(
    path: str, content: bytes, message: str, tmp_path: Path
) -> None:
    (tmp_path / path).write_bytes(content)
    with pytest.raises(EngineError) as raised:
        read(tmp_path, path)
    assert message in f"{raised.value.message} {raised.value.evidence}"
    assert raised.value.failure_class is FailureClass.SOURCE
    assert not raised.value.retryable


def test_data_that_unpacks_to_too_much_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(streams, "ALWAYS_READ_BYTES", 1 << 10)
    bomb = b"1,1\n" * (1 << 18)
    for name, content in {"a.csv.bz2": bz2.compress(bomb), "a.csv.zst": zstd(bomb)}.items():
        (tmp_path / name).write_bytes(content)
        with pytest.raises(EngineError, match=r"1,000 times"):
            read(tmp_path, name)


def test_an_archive_that_lies_about_the_size_of_its_packed_data_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(streams, "ALWAYS_READ_BYTES", 1 << 10)
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_BZIP2) as archive:
        archive.writestr("x.csv", b"1,1\n" * (1 << 18))
    data = bytearray(buffer.getvalue())
    start = data.index(b"PK\x01\x02") + 20
    data[start : start + 4] = (1 << 20).to_bytes(4, "little")
    (tmp_path / "a.zip").write_bytes(data)
    with pytest.raises(EngineError, match=r"1,000 times"):
        read(tmp_path, "a.zip")


@pytest.mark.parametrize(
    ("content", "path", "rows"),
    [
        (b'{"data": {"items": [{"n": 1}, {"n": 2}]}, "next": null}', "data.items", [(1,), (2,)]),
        (b'{"skip": [[1], {"x": "]"}], "data": [{"n": 1}]}', "data", [(1,)]),
        (b'{"data": []}', "data", []),
        (b'{"data": null}', "data", []),
        (b'{"data": {"n": 1}}', "data", [(1,)]),
        (b'{"n": 1, "m": [2]}', None, [(1, "[2]")]),
        (b"[]", None, []),
        (b' \n[ {"n" : 1} \n, {"n":2}\n]\n ', None, [(1,), (2,)]),
        (b'[{"n": 1234567890123456.78}]', None, [(Decimal("1234567890123456.78"),)]),
        (b'[{"n": 7e99999}]', None, [("7e99999",)]),
        (b'[{"n": 18446744073709551617}]', None, [(Decimal("18446744073709551617"),)]),
        (b'[{"n": 0.1}, {"n": 1e5}]', None, [(0.1,), (100000.0,)]),
    ],
)
def test_the_records_of_a_json_document_arrive(
    content: bytes, path: str | None, rows: list[Row], tmp_path: Path
) -> None:
    (tmp_path / "a.json").write_bytes(content)
    assert read(tmp_path, "a.json", **({"json": {"records": path}} if path else {})).rows == rows


def test_a_document_is_read_in_pages_and_may_be_larger_than_one(tmp_path: Path) -> None:
    records = [{"n": n, "text": "é" * (n % 50)} for n in range(3000)]
    text = json.dumps({"a": {"b": records}, "z": [1]}, ensure_ascii=False, indent=1)
    (tmp_path / "a.json").write_text(text)
    arrived = read(tmp_path, "a.json", page_size=7, json={"records": "a.b"})
    assert arrived.rows == [(record["n"], record["text"]) for record in records]


def test_a_document_without_the_list_of_records_is_a_configuration_failure(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_bytes(b'{"data": []}')
    with pytest.raises(ConfigurationError, match=r"data\.items"):
        read(tmp_path, "a.json", json={"records": "data.items"})


@pytest.mark.parametrize("path", ["r", "d.r"])
def test_a_document_that_has_the_list_of_records_twice_is_refused(
    tmp_path: Path, path: str
) -> None:
    lists = b'{"r": [], "x": 1, "r": [{"n": 1}]}'
    (tmp_path / "a.json").write_bytes(lists if path == "r" else b'{"d": ' + lists + b"}")
    with pytest.raises(EngineError, match="has the name 'r' twice"):
        read(tmp_path, "a.json", json={"records": path})


def test_a_record_of_a_document_that_has_a_name_twice_is_rejected(tmp_path: Path) -> None:
    lines = [
        '[{"n": 1, "u": "a:b"},',
        ' {"n": {"x": 1, "x": 2}},',
        '{"n": 3, "\\u006e": 4}, {"n": 5}]',
    ]
    (tmp_path / "a.json").write_text("\n".join(lines))
    for page_size in (1, 1000):
        arrived = read(tmp_path, "a.json", page_size=page_size)
        assert [row[0] for row in arrived.rows] == [1, 5]
        assert [reason.partition(", character")[0] for reason in arrived.reasons] == [
            "a.json, line 2",
            "a.json, line 3",
        ]
    (tmp_path / "a.json").write_text('{"r": null}{"r": {"n": 1, "n": 2}}{"r": {"n": 3}}')
    arrived = read(tmp_path, "a.json", json={"records": "r"})
    assert (arrived.rows, len(arrived.reasons)) == ([(3,)], 1)


@pytest.mark.parametrize("name", ["a.txt", "a.csv"])
def test_json_with_the_name_of_a_table_is_refused_unless_the_format_is_set(
    tmp_path: Path, name: str
) -> None:
    """Its first line would be taken for the header; servers also send an error in place of the file."""
    (tmp_path / name).write_bytes(b'{"n": 1}\n{"n": 2}\n')
    with pytest.raises(EngineError, match="its first line is a JSON object; set `format`"):
        read(tmp_path, name)
    assert read(tmp_path, name, format="jsonl").rows == [(1,), (2,)]
    (tmp_path / name).write_bytes(b"{n,m}\n1,2\n")
    assert read(tmp_path, name).names == ["{n", "m}"]


def test_a_line_that_is_not_json_is_rejected_with_its_place(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_bytes(b'{"n": 1}\n{"n": \n{"n": "\xff"}\n{"n": 2}\n')
    arrived = read(tmp_path, "a.jsonl")
    assert arrived.rows == [(1,), (2,)]
    assert [reason.partition(":")[0] for reason in arrived.reasons] == [
        "a.jsonl, line 2, character 7",
        "a.jsonl, line 3, character 8",
    ]
    assert arrived.samples == ['{"n": ', '{"n": "\\xff"}']


def write_parquet(folder: Path, **columns: pa.Array) -> str:
    parquet.write_table(pa.table(columns), folder / "a.parquet")
    return "a.parquet"


@pytest.mark.parametrize(
    ("array", "value"),
    [
        (pa.array([Decimal("1.5")], pa.decimal256(20, 2)), Decimal("1.50")),
        (pa.array([Decimal("9" * 60 + ".25")], pa.decimal256(62, 2)), "9" * 60 + ".25"),
        (pa.array([[Decimal("1.50")]], pa.list_(pa.decimal256(60, 2))), "[1.50]"),
        (pa.array([b"\1" * 16], pa.uuid()), "01010101-0101-0101-0101-010101010101"),
        (pa.array([1.5], pa.float16()), 1.5),
        (pa.array([2**64 - 1], pa.uint64()), Decimal(2**64 - 1)),
        (pa.array([date(9999, 12, 31)], pa.date64()), date(9999, 12, 31)),
        (
            pa.array([datetime(2024, 1, 1, 12, tzinfo=UTC)], pa.timestamp("us", "Europe/Paris")),
            datetime(2024, 1, 1, 12, tzinfo=UTC),
        ),
        (pa.array(["x"]).dictionary_encode(), "x"),
        (pa.array(["x\0y"]), "x\0y"),
    ],
)
def test_a_parquet_value_is_exact(array: pa.Array, value: Any, tmp_path: Path) -> None:
    assert read(tmp_path, write_parquet(tmp_path, c=array)).rows == [(value,)]


def test_int96_keeps_far_dates_and_nanoseconds(tmp_path: Path) -> None:
    near, far = 1_700_000_000_123_456_789, datetime(9999, 12, 31, tzinfo=UTC).replace(tzinfo=None)
    table = pa.table({"t": pa.array([near], pa.timestamp("ns"))})
    parquet.write_table(table, tmp_path / "a.parquet", use_deprecated_int96_timestamps=True)
    assert read(tmp_path, "a.parquet").rows == [("2023-11-14T22:13:20.123456789",)]
    table = pa.table({"t": pa.array([far], pa.timestamp("us"))})
    parquet.write_table(table, tmp_path / "b.parquet", use_deprecated_int96_timestamps=True)
    assert read(tmp_path, "b.parquet").rows == [(far,)]


def test_column_names_of_any_kind_are_cleaned_and_distinct(tmp_path: Path) -> None:
    table = pa.table(
        [pa.array([n]) for n in range(5)], names=["a\0b", "a b", "", "x\ny", "é " * 300]
    )
    parquet.write_table(table, tmp_path / "a.parquet")
    arrived = read(tmp_path, "a.parquet")
    assert arrived.names[:4] == ["a b", "a b_2", "column_3", "x y"]
    assert arrived.rows == [(0, 1, 2, 3, 4)]


def test_columns_of_one_name_are_distinct(tmp_path: Path) -> None:
    table = pa.table([pa.array([1]), pa.array([2])], names=["a", "a"])
    parquet.write_table(table, tmp_path / "a.parquet")
    arrived = read(tmp_path, "a.parquet")
    assert (arrived.names, arrived.rows) == (["a", "a_2"], [(1, 2)])


def test_invalid_text_in_parquet_is_refused_once_and_names_the_column() -> None:
    with pytest.raises(EngineError) as raised:
        read(FILES, "badutf8.parquet")
    assert raised.value.failure_class is FailureClass.SOURCE
    assert not raised.value.retryable
    assert "'s'" in raised.value.message


def test_a_text_in_the_last_file_makes_a_text_column_in_all_files(tmp_path: Path) -> None:
    (tmp_path / "1.csv").write_bytes(b"id,v\n" + b"0,1.10\n1,TRUE\n2,2024-01-02 03:04:05\n" * 1000)
    (tmp_path / "2.csv").write_bytes(b"id,v\n3,n/a\n")
    arrived = read(tmp_path, "*.csv", page_size=1)
    assert arrived.rows[:3] == [(0, "1.10"), (1, "TRUE"), (2, "2024-01-02 03:04:05")]
    assert arrived.rows[-1] == (3, "n/a")
    (tmp_path / "2.csv").write_bytes(b"id,v\n3,1.25\n")
    (tmp_path / "1.csv").write_bytes(b"id,v\n" + b"0,1.10\n" * 1000)
    assert {type(v) for _, v in read(tmp_path, "*.csv", page_size=1).rows} == {Decimal}


def test_a_value_that_was_written_after_the_types_were_decided_is_rejected_with_its_field() -> None:
    columns = {"id": Column(ColumnType.INTEGER), "v": Column(ColumnType.INTEGER)}
    reader = CsvReader(io.BytesIO(b"id,v\n1,2\n2,x\n"), CsvOptions(), "a.csv", columns)
    piece = reader.read({}, 1000)
    assert isinstance(piece.content, pl.DataFrame)
    assert piece.content.rows() == [(1, 2)]
    [bad] = piece.bad_records
    assert bad.reason == (
        "the field 'v' has the value 'x', and its column was decided as integer before the file changed: run again"
    )
    assert (bad.position, bad.record) == ("a.csv", {"id": "2", "v": "x"})


def test_lines_that_cannot_be_read_are_skipped_by_choice(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_bytes(b"a,b\n1,2\n3\n4,5\n")
    (tmp_path / "b.jsonl").write_bytes(b'{"a": 1}\n{\n')
    for path, rows in {"a.csv": [(1, 2), (4, 5)], "b.jsonl": [(1,)]}.items():
        arrived = read(tmp_path, path, bad_lines="skip")
        assert (arrived.rows, arrived.skipped, arrived.reasons) == (rows, 1, [])


def test_the_first_file_decides_whether_there_are_headers(tmp_path: Path) -> None:
    (tmp_path / "1.csv").write_bytes(b"id,n\nx,1\n")
    (tmp_path / "2.csv").write_bytes(b"id,n\n")
    assert read(tmp_path, "*.csv").rows == [("x", 1)]
    (tmp_path / "1.csv").write_bytes(b"1,x\n2,y\n")
    (tmp_path / "2.csv").write_bytes(b"u,v\nw,z\n")
    assert read(tmp_path, "*.csv").names == ["column_1", "column_2"]
    (tmp_path / "2.csv").write_bytes(b"id,n\n3,1\n")
    with pytest.raises(ConfigurationError, match="has a header, but the first file"):
        read(tmp_path, "*.csv")


@pytest.mark.parametrize("name", ["PAR1", "ORCID", "BZhours", "PKey", "%PDF"])
def test_the_first_letters_of_a_text_do_not_make_it_binary(name: str, tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_bytes(f"{name},other column\n1,2\n".encode())
    assert read(tmp_path, "a.csv").names == [name, "other column"]


def test_stray_quotes_and_ragged_records_are_read_at_their_lines(tmp_path: Path) -> None:
    lines, rows = [], []
    for n in range(20_000):
        value = {0: f'{n}" disk', 1: f'"a,\n{n}"', 2: f"{n}"}[n % 3]
        lines.append(f"{n},{value}")
        rows.append((n, {0: f'{n}" disk', 1: f"a,\n{n}", 2: f"{n}"}[n % 3]))
    lines[10_000] = "only one"
    del rows[10_000]
    (tmp_path / "a.csv").write_text("id,v\n" + "\n".join(lines) + "\n", newline="")
    arrived = read(tmp_path, "a.csv", page_size=1)
    assert arrived.rows == rows
    number = 2 + sum(line.count("\n") + 1 for line in lines[:10_000])
    assert arrived.reasons[0].startswith(f"a.csv, line {number:,}, character 9:")
    assert arrived.samples == ["only one"]


def make_workbook(folder: Path, rows: Sequence[Sequence[Any]]) -> str:
    import openpyxl

    book = openpyxl.Workbook()
    for row in rows:
        book.active.append(list(row))
    book.create_sheet("other").append(["z"])
    book.save(folder / "a.xlsx")
    return "a.xlsx"


def test_a_workbook_arrives_with_types_of_whole_columns(tmp_path: Path) -> None:
    day = datetime.fromisoformat("2024-02-29")
    moment = day.replace(hour=10, second=5)
    path = make_workbook(
        tmp_path,
        [
            ["id", "mixed", "day", "at", "flag", "x", None],
            [1, 1.5, day, day, True, 0.1, None],
            [None] * 7,
            [2, "n/a", day, moment, False, 39, None],
            [3, day, None, None, None, 1e22, "end"],
        ],
    )
    arrived = read(tmp_path, path, page_size=1)
    assert arrived.names == ["id", "mixed", "day", "at", "flag", "x", "column_7"]
    assert arrived.rows == [
        (1, "1.5", day.date(), day, True, 0.1, None),
        (2, "n/a", day.date(), moment, False, 39.0, None),
        (3, "2024-02-29", None, None, None, 1e22, "end"),
    ]
    assert read(tmp_path, path, excel={"sheet": "other"}).names == ["z"]
    root = StorageRoot(tmp_path.parent.as_uri(), tmp_path.name)
    source = make_source("files", {"path": path}, "a", files=root)
    assert [step.ok for step in source.check()] == [True, True, True]
    assert source.estimate_size().records == 3
    with pytest.raises(ConfigurationError, match="Sheet, other"):
        read(tmp_path, path, excel={"sheet": "gone"})


@pytest.mark.parametrize(
    "change",
    [
        (b'<row r="3"', b'<row r="1900000000"'),  # openpyxl would yield all rows before it
        (b'r="B3"', b'r="ZZZZZZ3"'),
    ],
)
@pytest.mark.parametrize("has_formula", [False, True])
def test_a_sheet_that_excel_cannot_have_written_is_refused_soon(
    tmp_path: Path, change: tuple[bytes, bytes], has_formula: bool
) -> None:
    import openpyxl

    book = openpyxl.Workbook()
    for row in (["id", "v"], [1, 10], [2, 20]):
        book.active.append(row)
    book.save(tmp_path / "whole.xlsx")
    formula = (b"<v>10</v>", b"<f>5+5</f><v>10</v>") if has_formula else (b"", b"")
    with (
        zipfile.ZipFile(tmp_path / "whole.xlsx") as whole,
        zipfile.ZipFile(tmp_path / "a.xlsx", "w") as changed,
    ):
        for name in whole.namelist():
            data = whole.read(name)
            if name == "xl/worksheets/sheet1.xml":
                assert change[0] in data
                data = data.replace(*change).replace(*formula, 1)
            changed.writestr(name, data)
    with pytest.raises(EngineError, match="not a complete Excel workbook"):
        read(tmp_path, "a.xlsx")


@pytest.mark.parametrize(
    ("sheet", "names", "rows"),
    [
        # Lines above the table
        ([["Report of May"], [], ["id", "n"], [1, 2], [3, 4]], ["id", "n"], [(1, 2), (3, 4)]),
        ([["Report"], ["by x"], ["id", "n"], [1, 2]], ["id", "n"], [(1, 2)]),
        ([["Report"], [], ["a", "b"], ["x", "y"]], ["a", "b"], [("x", "y")]),
        ([[], [], [None, "id"], [None, 1]], ["column_1", "id"], [(None, 1)]),
        ([["name"], ["ann"], ["bob", "note"], ["cy"]], ["name", "column_2"], [("ann", None), ("bob", "note"), ("cy", None)]),
        # Header or data
        ([[1, "x"], [2, "y"]], ["column_1", "column_2"], [(1, "x"), (2, "y")]),
        ([["x", 2019, 2020], ["fr", 1, 2]], ["x", "2019", "2020"], [("fr", 1, 2)]),
        ([["x", date(2024, 1, 1)], ["fr", 1]], ["x", "2024-01-01"], [("fr", 1)]),
        ([["a", "b"], ["x", "y"]], ["a", "b"], [("x", "y")]),
        ([[7, "N/A"], [8, 5]], ["column_1", "column_2"], [(7, "N/A"), (8, "5")]),
    ],
)  # fmt: skip
def test_the_table_of_a_sheet_is_found(
    tmp_path: Path, sheet: list[list[Any]], names: list[str], rows: list[Row]
) -> None:
    arrived = read(tmp_path, make_workbook(tmp_path, sheet))
    assert (arrived.names, arrived.rows) == (names, rows)


def test_settings_overrule_what_is_found_in_a_sheet(tmp_path: Path) -> None:
    path = make_workbook(tmp_path, [["Report"], ["id", "n"], [1, 2]])
    arrived = read(tmp_path, path, excel={"skip_rows": 0})
    assert (arrived.names, arrived.rows) == (["Report", "column_2"], [("id", "n"), ("1", "2")])
    arrived = read(tmp_path, path, excel={"skip_rows": 2, "header": "yes"})
    assert (arrived.names, arrived.rows) == (["1", "2"], [])
    assert read(tmp_path, path, excel={"header": "no"}).rows[0] == ("Report", None)


def test_a_sheet_that_may_begin_with_a_title_asks_how_many_rows_it_has(tmp_path: Path) -> None:
    path = make_workbook(tmp_path, [["Report"], ["name", "city"], ["ann", "rome"]])
    with pytest.raises(ConfigurationError, match=r"set `excel\.skip_rows` to 1 .* or to 0"):
        read(tmp_path, path)
    assert read(tmp_path, path, excel={"skip_rows": 1}).rows == [("ann", "rome")]


def test_the_first_workbook_decides_whether_there_are_headers(tmp_path: Path) -> None:
    make_workbook(tmp_path, [["u", "v"], ["w", 1]])
    (tmp_path / "a.xlsx").rename(tmp_path / "1.xlsx")
    make_workbook(tmp_path, [["u", "v"]])
    (tmp_path / "a.xlsx").rename(tmp_path / "2.xlsx")
    assert read(tmp_path, "*.xlsx").rows == [("w", 1)]
    make_workbook(tmp_path, [["w", 1], ["x", 2]])
    (tmp_path / "a.xlsx").rename(tmp_path / "2.xlsx")
    with pytest.raises(ConfigurationError, match=r"has no header, .* set `excel\.header`"):
        read(tmp_path, "*.xlsx")
    make_workbook(tmp_path, [["other", "names"], ["x", 2]])
    (tmp_path / "a.xlsx").rename(tmp_path / "2.xlsx")
    with pytest.raises(EngineError, match="do not belong to this stream"):
        read(tmp_path, "*.xlsx")


OFFICE = "http://schemas.openxmlformats.org"
PARTS = {
    "[Content_Types].xml": (
        f'<Types xmlns="{OFFICE}/package/2006/content-types">'
        '<Default Extension="xml" ContentType="application/xml"/>'
        '<Override PartName="/xl/workbook.xml" ContentType="application/vnd.openxmlformats-officedocument.spreadsheetml.sheet.main+xml"/>'
        '<Override PartName="/xl/texts.xml" ContentType="application/vnd.openxmlformats-officedocument.spreadsheetml.sharedStrings+xml"/>'
        "</Types>"
    ),
    "xl/workbook.xml": (
        f'<workbook xmlns="{OFFICE}/spreadsheetml/2006/main" xmlns:r="{OFFICE}/officeDocument/2006/relationships">'
        '<sheets><sheet name="S" sheetId="1" r:id="r1"/></sheets></workbook>'
    ),
    "xl/_rels/workbook.xml.rels": (
        f'<Relationships xmlns="{OFFICE}/package/2006/relationships">'
        f'<Relationship Id="r1" Type="{OFFICE}/officeDocument/2006/relationships/worksheet" Target="sheet.xml"/>'
        "</Relationships>"
    ),
}
HEADER = '<row r="1"><c r="A1" t="inlineStr"><is><t>a</t></is></c></row>'


def store_workbook(folder: Path, rows: str, text: str = "") -> str:
    """Store a workbook as Excel may write it: the XML of the rows below the header, and of one shared text."""
    main = f'xmlns="{OFFICE}/spreadsheetml/2006/main"'
    with zipfile.ZipFile(folder / "a.xlsx", "w") as archive:
        for name, content in PARTS.items():
            archive.writestr(name, content)
        sheet = f"<worksheet {main}><sheetData>{HEADER}{rows}</sheetData></worksheet>"
        archive.writestr("xl/sheet.xml", sheet)
        archive.writestr("xl/texts.xml", f"<sst {main}><si>{text}</si></sst>")
    return "a.xlsx"


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("<t>x_x000D_&#10;y</t>", "x\r\ny"),
        ("<t>_x005F_x000D_</t>", "_x000D_"),
        ("<t>abcx005F_d</t>", "abcx005F_d"),
        ("<t>_xD83D_</t>", "_xD83D_"),
        ("<t>=1+1</t>", "=1+1"),
        ('<r><t>h</t></r><r><rPr><b/></rPr><t xml:space="preserve"> i</t></r>', "h i"),
        ('<t>東</t><rPh sb="0" eb="1"><t>ひがし</t></rPh>', "東"),
    ],
)
def test_a_text_of_a_workbook_arrives_as_excel_shows_it(
    tmp_path: Path, text: str, value: str
) -> None:
    row = '<row r="2"><c r="A2" t="s"><v>0</v></c></row>'
    assert read(tmp_path, store_workbook(tmp_path, row, text)).rows == [(value,)]


@pytest.mark.parametrize("value", ["<v></v>", "<v/>"])
def test_a_formula_whose_value_is_an_empty_text_is_null(tmp_path: Path, value: str) -> None:
    rows = f'<row r="2"><c r="A2" t="str"><f>""</f>{value}</c><c r="B2"><f>1</f><v>1</v></c></row>'
    assert read(tmp_path, store_workbook(tmp_path, rows)).rows == [(None, 1)]


@pytest.mark.parametrize(
    "rows",
    [
        '<row r="3"><c r="A3"><v>3</v></c></row><row r="2"><c r="A2"><v>2</v></c></row>',
        '<row r="2"><c r="A2"><v>3</v></c></row><row r="2"><c r="A2"><v>2</v></c></row>',
        '<row r="2"><c r="B2"><v>3</v></c><c r="A2"><v>2</v></c></row>',
        '<row r="2"><c r="A2"><v>3</v></c><c r="A2"><v>2</v></c></row>',
    ],
)
def test_rows_and_cells_that_are_not_in_order_are_refused_instead_of_lost(
    tmp_path: Path, rows: str
) -> None:
    with pytest.raises(EngineError, match="not a complete Excel workbook"):
        read(tmp_path, store_workbook(tmp_path, rows))


def test_a_date_that_excel_cannot_show_arrives_as_its_number(tmp_path: Path) -> None:
    import openpyxl

    book = openpyxl.Workbook()
    book.active.append(["a"])
    book.active.append([3_000_000])
    book.active["A2"].number_format = "yyyy-mm-dd"
    book.save(tmp_path / "a.xlsx")
    assert read(tmp_path, "a.xlsx").rows == [(3_000_000,)]


def test_a_chart_sheet_is_no_sheet_of_records(tmp_path: Path) -> None:
    import openpyxl

    book = openpyxl.Workbook()
    book.active.append(["a"])
    book.active.append([1])
    book.create_chartsheet("chart", 0)
    book.save(tmp_path / "a.xlsx")
    assert read(tmp_path, "a.xlsx").rows == [(1,)]


@pytest.mark.parametrize("content", [b"", b"lock", b"a,b\n1,2\n"])
@pytest.mark.parametrize("name", ["a.xlsx", "a.parquet"])
def test_a_short_file_that_is_no_workbook_or_parquet_is_a_fault_of_the_source(
    tmp_path: Path, name: str, content: bytes
) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(EngineError) as caught:
        read(tmp_path, name)
    assert (caught.value.failure_class, caught.value.retryable) == (FailureClass.SOURCE, False)


def test_a_formula_without_a_stored_value_is_refused(tmp_path: Path) -> None:
    path = make_workbook(tmp_path, [["a", "b"], [1, 2], [3, "=A2+1"]])
    with pytest.raises(EngineError, match="row 3: a formula has no stored value"):
        read(tmp_path, path)


def test_a_damaged_workbook_and_an_entity_bomb_are_refused(tmp_path: Path) -> None:
    path = make_workbook(tmp_path, [["a"], ["x"]])
    content = (tmp_path / path).read_bytes()
    (tmp_path / path).write_bytes(content[:-200])
    with pytest.raises(EngineError, match=r"zip archive|workbook"):
        read(tmp_path, path)
    bomb = b'<!DOCTYPE x [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;&a;&a;">]><x>&b;</x>'
    buffer = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(content)) as old, zipfile.ZipFile(buffer, "w") as new:
        for info in old.infolist():
            is_sheet = info.filename == "xl/worksheets/sheet1.xml"
            new.writestr(info.filename, bomb if is_sheet else old.read(info))
    (tmp_path / path).write_bytes(buffer.getvalue())
    with pytest.raises(EngineError, match="workbook"):
        read(tmp_path, path)


def test_an_empty_file_has_the_columns_of_its_header(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_bytes(b"id,name\n")
    arrived = read(tmp_path, "a.csv")
    assert (arrived.names, arrived.rows) == (["id", "name"], [])
