"""Copy tables with other tools: `pg_dump | psql`, dlt, and ADBC with pyarrow. Each runs in a new process.

`python -m bench.data.rivals NAME SOURCE_URL TARGET` prints the seconds of the copying by the rival of this name in RIVALS,
without imports. They have no checkpoints. Decimals stay decimals.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from bench.data.lineitem import DECIMALS
from bench.scratch import ROOT
from local.database.binaries import wheel_binaries

DLT_ENVIRONMENT = {
    "RUNTIME__DLTHUB_TELEMETRY": "false",
    "RUNTIME__LOG_LEVEL": "CRITICAL",
    # By default it compresses its own files, which takes most of the time.
    "NORMALIZE__DATA_WRITER__DISABLE_COMPRESSION": "true",
    "DATA_WRITER__DISABLE_COMPRESSION": "true",
}


def run_pg_dump(source: str, target: str) -> float:
    """Create the tables without indexes, copy their rows by `pg_dump --data-only | psql`, and return the seconds."""
    _pipe(["--schema-only", "--section=pre-data"], source, target)
    started = time.perf_counter()
    _pipe(["--data-only"], source, target)
    return time.perf_counter() - started


def _pipe(options: list[str], source: str, target: str) -> None:
    programs = wheel_binaries()
    dump_command = [str(programs / "pg_dump"), *options, "--table=public.*", source]
    load_command = [str(programs / "psql"), "--quiet", "--set=ON_ERROR_STOP=1", target]
    with subprocess.Popen(dump_command, stdout=subprocess.PIPE) as dump:
        subprocess.run(load_command, stdin=dump.stdout, stdout=subprocess.DEVNULL, check=True)
    if dump.returncode:
        raise RuntimeError(f"pg_dump ended with exit code {dump.returncode}")


def run_rival(name: str, source: str, target: str) -> float:
    """Run a rival in a new process and return its seconds."""
    with tempfile.TemporaryDirectory(prefix="drover-rival-") as folder:
        environment = {**os.environ, **DLT_ENVIRONMENT, "DLT_DATA_DIR": folder}
        process = subprocess.run(
            [sys.executable, "-m", "bench.data.rivals", name, source, target],
            cwd=ROOT,
            env={**environment, "PYTHONPATH": str(ROOT)},
            capture_output=True,
            text=True,
        )
    if process.returncode:
        raise RuntimeError(f"{name} failed: {process.stderr}")
    return float(process.stdout.split()[-1])


def copy_with_dlt(source: str, destination: Any, file_format: str) -> float:
    import dlt
    from dlt.sources.sql_database import sql_table

    table = sql_table(credentials=source, table="lineitem", schema="public", backend="connectorx")
    pipeline = dlt.pipeline("bench", destination=destination, dataset_name="bench_dlt")
    started = time.perf_counter()
    load = pipeline.run(table, write_disposition="replace", loader_file_format=file_format)
    seconds = time.perf_counter() - started
    load.raise_on_failed_jobs()
    return seconds


def dlt_to_postgres(source: str, target: str) -> float:
    import dlt

    return copy_with_dlt(source, dlt.destinations.postgres(credentials=target), "csv")


def dlt_to_parquet(source: str, target: str) -> float:
    import dlt

    destination = dlt.destinations.filesystem(bucket_url=Path(target).as_uri())
    return copy_with_dlt(source, destination, "parquet")


def dlt_tables_by_default(source: str, target: str) -> float:
    """Copy all tables of the schema public with the backend and the format of files that dlt chooses."""
    return _copy_tables_with_dlt(source, target, {}, None)


def dlt_tables_tuned(source: str, target: str) -> float:
    """Copy all tables of the schema public with the backend and the format that need the least time."""
    return _copy_tables_with_dlt(source, target, {"backend": "connectorx"}, "csv")


def _copy_tables_with_dlt(
    source: str, target: str, options: dict[str, Any], file_format: Any
) -> float:
    import dlt
    from dlt.sources.sql_database import sql_database

    tables = sql_database(credentials=source, schema="public", **options)
    destination = dlt.destinations.postgres(credentials=target)
    pipeline = dlt.pipeline("bench", destination=destination, dataset_name="bench_dlt")
    started = time.perf_counter()
    load = pipeline.run(tables, write_disposition="replace", loader_file_format=file_format)
    seconds = time.perf_counter() - started
    load.raise_on_failed_jobs()
    return seconds


def adbc_to_parquet(source: str, target: str) -> float:
    import pyarrow as pa
    import pyarrow.parquet as pq
    from adbc_driver_postgresql import dbapi

    started = time.perf_counter()
    with dbapi.connect(source) as connection, connection.cursor() as cursor:
        cursor.execute("SELECT * FROM lineitem")
        reader = cursor.fetch_record_batch()
        fields = [
            pa.field(field.name, pa.decimal128(15, 2) if field.name in DECIMALS else field.type)
            for field in reader.schema
        ]
        schema = pa.schema(fields)
        with pq.ParquetWriter(Path(target) / "lineitem.parquet", schema, compression="zstd") as out:
            for batch in reader:
                columns = [
                    _storage(column).cast(field.type)
                    for column, field in zip(batch.columns, schema, strict=True)
                ]
                out.write_batch(pa.record_batch(columns, schema=schema))
    return time.perf_counter() - started


def _storage(column: Any) -> Any:
    """Return the texts of a numeric column, which ADBC marks as a type of its own."""
    return getattr(column, "storage", column)


RIVALS: dict[str, Callable[[str, str], float]] = {
    "dlt-postgres": dlt_to_postgres,
    "dlt-parquet": dlt_to_parquet,
    "dlt-tables-default": dlt_tables_by_default,
    "dlt-tables-tuned": dlt_tables_tuned,
    "adbc-parquet": adbc_to_parquet,
}


if __name__ == "__main__":
    sys.stdout.write(f"{RIVALS[sys.argv[1]](sys.argv[2], sys.argv[3])}\n")
