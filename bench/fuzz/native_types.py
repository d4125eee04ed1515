"""Copy random PostgreSQL tables to PostgreSQL and DuckDB, and compare types and values with the source.

    python -m bench.fuzz.native_types --seconds 60 --seed 1

Rows pass to PostgreSQL decoded and undecoded. PostgreSQL is compared by its own texts. DuckDB is compared by the texts that its values have as JSON.
"""

from __future__ import annotations

import argparse
import json
import random
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any
from uuid import uuid4

import duckdb
import psycopg
from loguru import logger

from apps.engine.contract import DestinationSpec, StorageRoot
from apps.engine.destinations.base import Batch, Destination
from apps.engine.frames.decoding import StreamSchema
from apps.engine.sync.build import build_destination
from bench.fuzz import postgres
from bench.fuzz.postgres import Case, build_case_source, create_table
from local.database.postgres import EmbeddedPostgres, temporary_postgres

ARRAYS = {
    "int[]": ["{1,NULL,3}", "{}", "{{1,2},{3,4}}", "[0:1]={1,2}"],
    "bigint[]": ["{9223372036854775807,-1}", "{NULL}"],
    "boolean[]": ["{t,f,NULL}"],
    "float8[]": ["{0.1,5e-324,-0,1e308,1}", "{9007199254740993}", "{NaN,1}", "{Infinity}"],
    "real[]": ["{0.1,3.4028235e38}", "{NaN}"],
    "numeric[]": ["{1.10,12345678901234567890.123456789}", "{NaN}"],
    "text[]": ['{"a,b",NULL,"NULL","q\\"x","\\\\",""}', '{é,"\u007f\t\u0001"}', '{"[x"}', "{{a},{b}}"],
    "uuid[]": ["{a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11,NULL}"],
    "date[]": ["{2024-01-01,infinity}"],
    "timestamptz[]": ["{2024-01-01 10:00+02,infinity}"],
    "interval[]": ['{"1 day 2 hours",NULL}'],
    "bytea": ["\\x00ff", "\\x"],
    "bytea[]": ['{"\\\\x00ff"}'],
    "real": ["0.1", "16777217", "1e-45", "3.4028235e38", "-0", "NaN", "Infinity"],
    "integer": ["0", "2147483647", "-2147483648"],
    "tstzrange": ["[2024-01-01 10:00+02,infinity)", "empty"],
    "int4multirange": ["{[1,3),[5,7)}", "{}"],
}  # fmt: skip
POOLS = {**postgres.POOLS, **ARRAYS}
SELECT_TYPES = """
SELECT string_agg(format_type(atttypid, atttypmod), ', ' ORDER BY attnum)
FROM pg_attribute WHERE attrelid = %s::regclass AND attnum > 0 AND NOT attisdropped
"""


def copy_table(
    case: Case, config: Mapping[str, Any], spec: DestinationSpec, folder: Path
) -> list[str]:
    """Copy the table `subject` to a destination, reading it again if a column turns to text. Returns its files."""
    schema = StreamSchema()
    while True:
        destination = build_destination(
            spec,
            job_id=uuid4().hex,
            data=StorageRoot(folder.as_uri(), ""),
            allow_private_networks=True,
        )
        destination.open(())
        batches = _stage_pages(case, config, destination, schema)
        if not schema.respelled:
            publication = destination.publish(batches)
            destination.close()
            return [str(folder / output.key) for output in publication.outputs]
        destination.abandon()
        destination.close()
        schema = schema.complete()


def _stage_pages(
    case: Case, config: Mapping[str, Any], destination: Destination, schema: StreamSchema
) -> list[Batch]:
    source = build_case_source(case, config)
    source.copy_version = destination.copy_version
    source.type_system = destination.type_system
    source.kept_types = schema.declared_types if schema.is_complete else destination.kept_types()
    batches: list[Batch] = []
    token: dict[str, Any] = {}
    while True:
        page: Any = source.get(token)
        frame = schema.decode_frame(page.frame, page.native).frame
        if not schema.respelled:
            row_count = page.copied.row_count if page.copied else frame.height
            batch = Batch(uuid4().hex, len(batches), len(batches), row_count)
            if page.copied:
                destination.stage_copied(page.copied, frame, batch, schema.native)
            else:
                destination.stage(frame, batch, schema.native)
            batches.append(batch)
        token = json.loads(json.dumps(page.next_pagination))
        if not token:
            source.close()
            return batches


def differences_in_postgres(connection: psycopg.Connection[Any], case: Case) -> Iterator[str]:
    types = [
        connection.execute(SELECT_TYPES, (table,)).fetchone()
        for table in ("subject", "copies.subject")
    ]
    if types[0] != types[1]:
        yield f"{types[1]} instead of {types[0]}"
    texts = ", ".join(f"{name}::text" for name in case.names)
    rows, copies = (
        connection.execute(f"SELECT {texts} FROM {table} ORDER BY id").fetchall()  # noqa: S608 - own names
        for table in ("subject", "copies.subject")
    )
    yield from (
        f"{own} instead of {row}" for row, own in zip(rows, copies, strict=True) if own != row
    )


def differences_in_duckdb(
    connection: psycopg.Connection[Any], case: Case, file: str
) -> Iterator[str]:
    """Compare lists, bytes and UUIDs as JSON. The other types are compared by `bench.fuzz.postgres`."""
    with duckdb.connect(file, read_only=True) as database:
        types = {row[0]: row[1] for row in database.execute("DESCRIBE main.subject").fetchall()}
        for name, kind in zip(case.names, case.types, strict=True):
            if not (types[name].endswith("[]") or types[name] in {"BLOB", "UUID", "FLOAT", "JSON"}):
                continue
            value = {"BLOB": f"lower(hex({name}))", "FLOAT": f"{name}::VARCHAR"}.get(
                types[name], name
            )
            arrived = database.execute(
                f"SELECT CAST(to_json({value}) AS VARCHAR) FROM main.subject ORDER BY id"  # noqa: S608 - own names
            ).fetchall()
            value = {"BLOB": f"encode({name}, 'hex')", "FLOAT": f"{name}::text"}.get(
                types[name], name
            )
            expected = connection.execute(
                f"SELECT to_json({value})::text FROM subject ORDER BY id"  # noqa: S608 - own names
            ).fetchall()
            for (own,), (right,) in zip(arrived, expected, strict=True):
                if _parse(own, types[name]) != _parse(right, types[name]):
                    yield f"{kind} as {types[name]}: {own} instead of {right}"


def _parse(text: str | None, type_name: str) -> Any:
    value = None if text is None else json.loads(text)
    if type_name == "FLOAT" and value is not None:
        return str(float(value.lower()))
    return value


def run(server: EmbeddedPostgres, seed: int, seconds: float) -> int:
    """Try random cases for some seconds, print each difference, and return the number of cases with one."""
    rng = random.Random(seed)  # noqa: S311 - not for security
    config = {"host": "127.0.0.1", "port": server.port, "database": "postgres"}
    cases = faults = 0
    deadline = time.monotonic() + seconds
    with (
        psycopg.connect(server.url(), autocommit=True) as connection,
        tempfile.TemporaryDirectory() as folder,
    ):
        connection.execute(postgres.SETTINGS)
        config |= {"user": connection.info.user, "password": connection.info.password}
        targets = [
            DestinationSpec("postgres", {**config, "schema": "copies"}, "subject"),
            DestinationSpec("duckdb", {}, "subject"),
        ]
        while time.monotonic() < deadline:
            case_seed = rng.randrange(10**9)
            case = postgres.random_case(random.Random(case_seed), POOLS)  # noqa: S311 - not for security
            create_table(connection, case)
            copy_table(case, config, targets[0], Path(folder))
            (file,) = copy_table(case, config, targets[1], Path(folder))
            differences = [
                *differences_in_postgres(connection, case),
                *differences_in_duckdb(connection, case, file),
            ]
            cases, faults = cases + 1, faults + bool(differences)
            for difference in differences[:3]:
                sys.stdout.write(
                    f"case {case_seed} {case.settings} bulk={case.is_bulk}: {difference}\n"
                )
    sys.stdout.write(f"seed {seed}: {cases} cases, {faults} with differences\n")
    return faults


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
