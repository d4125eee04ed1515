"""Read random PostgreSQL tables with the source and with psycopg, and compare every value.

    python -m bench.fuzz.postgres --seconds 60 --seed 1

The expected texts follow docs/reference/what-arrives.md, and are computed from PostgreSQL's own texts. Tables are read
in one snapshot and page by page, through one connection and through two.
"""

from __future__ import annotations

import argparse
import json
import random
import re
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import polars as pl
import psycopg
from loguru import logger
from psycopg import sql

from apps.engine.contract import SourceSpec, StorageRoot
from apps.engine.frames.columns import as_text
from apps.engine.frames.decoding import StreamSchema
from apps.engine.sources.connector import ConnectorSource
from apps.engine.sources.postgres import source as source_module
from apps.engine.sync.build import build_source
from local.database.postgres import EmbeddedPostgres, temporary_postgres

TIMES = [
    "2024-01-01 10:00:00", "2024-02-29 23:59:59.999999", "0001-01-01 00:00:00", "9999-12-31 23:59:59.5",
    "10000-01-01 00:00:00", "0044-03-15 01:02:03 BC", "infinity", "-infinity", "1970-01-01 00:00:00.1",
]  # fmt: skip
NUMBERS = [
    "0", "1", "-1", "1.5", "1.50", "0.1", "100", "12345678901234567890.123456789", "1e30", "-0.001", "NaN", "7e60",
]  # fmt: skip
TEXTS = [
    "", " ", "a", "NULL", r"\N", r"\.", '"', "a,b", "a\nb", "a\r\nb", "tab\t", "é😀", "'", "007", "1e5", "{}",
    "\\", r"C:\new\table", r"\\N", "\b\f\v", "\ufeffa", "\\\n",
]  # fmt: skip
POOLS: Mapping[str, Sequence[str]] = {
    "smallint": ["0", "-32768", "32767"],
    "bigint": ["0", "9223372036854775807", "-9223372036854775808", "9007199254740993"],
    "oid": ["0", "4294967295"],
    "float8": ["0", "1", "-0", "0.1", "5e-324", "1e308", "NaN", "Infinity", "-Infinity", "9007199254740993"],
    "numeric": NUMBERS,
    "numeric(10,2)": ["0", "1.5", "-0.01", "99999999.99", "NaN"],
    "numeric(50,20)": ["0", "1.5", "123456789012345678901234567890"],
    "numeric(5,-2)": ["0", "12345", "-149"],
    "boolean": ["true", "false"],
    "date": ["2024-01-01", "2024-02-29", "0001-01-01", "9999-12-31", "10000-01-01", "0044-03-15 BC", "infinity"],
    "timestamp": TIMES,
    "timestamptz": TIMES,
    "time": ["00:00:00", "10:00:00", "23:59:59.999999", "24:00:00", "12:30:00.5"],
    "text": TEXTS,
    "varchar(20)": TEXTS,
    "char(8)": ["", "a", "a b", "12345678"],
    "uuid": ["a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11"],
    "inet": ["10.0.0.1", "10.0.0.1/8", "::1", "fe80::/10"],
    "cidr": ["10.0.0.0/24"],
    "interval": ["1 day", "-1 mon 2 days 03:04:05.6", "0"],
    "bit varying": ["", "1", "0101"],
    "timetz": ["10:00:00+02", "00:00:00-12"],
    "int4range": ["[1,5)", "empty", "(,3]"],
    "json": ['{"a":1,"a":1.10}', "null", '"x"', "[1, 2]"],
    "jsonb": ['{"b":1.10,"a":12345678901234567890123}', "null"],
}  # fmt: skip
TIMESTAMP = re.compile(r"(\d+-\d\d-\d\d) (\d\d:\d\d:\d\d)(?:\.(\d+))?(?:\+00)?( BC)?")
SETTINGS = "SET TimeZone = 'UTC'; SET DateStyle = 'ISO, YMD'; SET IntervalStyle = 'iso_8601'"


@dataclass(frozen=True)
class Case:
    """A random table: the types of its columns, and how it is read."""

    types: list[str]
    rows: list[list[str | None]]
    has_key: bool
    settings: dict[str, Any]
    is_bulk: bool  # whether the rows are read through a second connection, as those of large tables

    @property
    def names(self) -> list[str]:
        return [f"c{position}" for position in range(len(self.types))]


def random_case(rng: random.Random, pools: Mapping[str, Sequence[str]] = POOLS) -> Case:
    types = rng.choices(list(pools), k=rng.randint(1, 6))
    odd_share = rng.choice([0.0, 0.1, 1.0])
    rows = [
        [_random_value(rng, pools[name], odd_share) for name in types]
        for _ in range(rng.choice([0, 1, 7, 60]))
    ]
    has_key = rng.random() < 0.6
    choices = ["auto", "whole", "paged"] if has_key else ["auto", "whole"]
    settings = {"snapshot": rng.choice(choices), "page_size": rng.choice([1, 3, 10, 1000])}
    return Case(types, rows, has_key, settings, is_bulk=rng.random() < 0.6)


def build_case_source(case: Case, config: Mapping[str, Any]) -> ConnectorSource[Any]:
    """Return the source of the table, which reads it in the way of the case."""
    source_module.BULK_BYTES = 0 if case.is_bulk else sys.maxsize
    source_module.BULK_PAGE_ROWS = 1
    return build_source(
        SourceSpec("postgres", {**config, **case.settings}, "subject"),
        files=StorageRoot("file:///nonexistent", "none"),
        allow_private_networks=True,
    )


def _random_value(rng: random.Random, pool: Sequence[str], odd_share: float) -> str | None:
    """Return null or a value. The values at the beginning of the pool are the usual ones."""
    if rng.random() < 0.1:
        return None
    return rng.choice(pool if rng.random() < odd_share else pool[: max(1, len(pool) // 2)])


def create_table(connection: psycopg.Connection[Any], case: Case) -> None:
    columns = ", ".join(f"{name} {kind}" for name, kind in zip(case.names, case.types, strict=True))
    key = "PRIMARY KEY" if case.has_key else ""
    connection.execute(
        f"DROP TABLE IF EXISTS subject; CREATE TABLE subject (id int {key}, {columns})"
    )
    insert = sql.SQL("INSERT INTO subject VALUES ({}, {})")
    for number, row in enumerate(case.rows):
        values = [
            sql.SQL("{}::{}").format(value, sql.SQL(kind))
            for value, kind in zip(row, case.types, strict=True)
        ]
        connection.execute(insert.format(number, sql.SQL(", ").join(values)))


def expected_texts(connection: psycopg.Connection[Any], case: Case) -> list[list[str | None]]:
    """Return the rows as texts, as the documentation says. Uses the output functions, as COPY does."""
    with connection.cursor() as cursor, cursor.copy("COPY subject TO STDOUT") as copy:
        rows = [_parse_copy_line(bytes(line).decode()) for line in copy]
    rows.sort(key=lambda row: int(row[0] or 0))
    return [
        [_expected_text(kind, text) for kind, text in zip(case.types, row[1:], strict=True)]
        for row in rows
    ]


def _parse_copy_line(line: str) -> list[str | None]:
    """Parse PostgreSQL's text format."""
    escapes = {"n": "\n", "r": "\r", "t": "\t", "b": "\b", "f": "\f", "v": "\v"}
    fields = line.rstrip("\n").split("\t")
    return [
        None
        if field == r"\N"
        else re.sub(r"\\(.)", lambda match: escapes.get(match[1], match[1]), field)
        for field in fields
    ]


def _expected_text(kind: str, text: str | None) -> str | None:
    if text is None:
        return None
    if kind == "boolean":
        return {"t": "true", "f": "false"}[text]
    match = TIMESTAMP.fullmatch(text) if kind.startswith("timestamp") else None
    if match:
        day, clock, fraction, era = match.groups()
        zone = "+00:00" if kind == "timestamptz" else ""
        return f"{day}T{clock}.{(fraction or '').ljust(6, '0')}{zone}{era or ''}"
    return text


def read_texts(case: Case, config: Mapping[str, Any]) -> tuple[list[list[str | None]], pl.Schema]:
    """Read the table with the source. All pages get the same types, as in a run."""
    source = build_case_source(case, config)
    schema, frames = StreamSchema(), []
    token: dict[str, Any] = {}
    while True:
        page: Any = source.get(token)
        frames.append(schema.conform(page.frame))
        token = json.loads(json.dumps(page.next_pagination))
        if not token:
            break
    source.close()
    frame = pl.concat([schema.conform(part) for part in frames]).sort("id")
    texts = [as_text(frame[name]).to_list() for name in case.names]
    return [list(row) for row in zip(*texts, strict=True)], frame.schema


def find_differences(
    case: Case, expected: list[list[str | None]], arrived: list[list[str | None]], schema: pl.Schema
) -> Iterator[str]:
    if len(expected) != len(arrived):
        yield f"{len(arrived)} of {len(expected)} rows"
        return
    for position, (name, kind) in enumerate(zip(case.names, case.types, strict=True)):
        for right, found in zip(expected, arrived, strict=True):
            if not _is_same(kind, right[position], found[position], schema[name]):
                yield f"{kind}: {found[position]!r} instead of {right[position]!r} ({schema[name]})"


def _is_same(kind: str, right: str | None, found: str | None, dtype: pl.DataType) -> bool:
    if right is None or found is None:
        return right is found
    if dtype.is_decimal():
        return Decimal(right) == Decimal(found)
    if dtype.is_float():
        return float(right) == float(found) or right == found == "NaN"
    if kind == "time":  # Fractions of a second have 3, 6 or 9 digits.
        return right.rstrip("0") == found.rstrip("0") or right == found
    return right == found


def run(server: EmbeddedPostgres, seed: int, seconds: float) -> int:
    """Try random cases for some seconds, print each difference, and return the number of cases with one."""
    rng = random.Random(seed)  # noqa: S311 - not for security
    config = {"host": "127.0.0.1", "port": server.port, "database": "postgres"}
    cases = faults = 0
    deadline = time.monotonic() + seconds
    with psycopg.connect(server.url(), autocommit=True) as connection:
        connection.execute(SETTINGS)
        config |= {"user": connection.info.user, "password": connection.info.password}
        while time.monotonic() < deadline:
            case_seed = rng.randrange(10**9)
            case = random_case(random.Random(case_seed))  # noqa: S311 - not for security
            create_table(connection, case)
            expected = expected_texts(connection, case)
            differences = list(find_differences(case, expected, *read_texts(case, config)))
            cases, faults = cases + 1, faults + bool(differences)
            for difference in differences[:3]:
                _write(
                    f"case {case_seed} {case.settings} key={case.has_key} bulk={case.is_bulk}: {difference}"
                )
    _write(f"seed {seed}: {cases} cases, {faults} with differences")
    return faults


def _write(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(10**6))
    arguments = parser.parse_args()
    logger.remove()
    with temporary_postgres() as server:
        return 1 if run(server, arguments.seed, arguments.seconds) else 0


if __name__ == "__main__":
    raise SystemExit(main())
