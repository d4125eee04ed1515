"""The table lineitem of TPC-H, in a database of its own, and an empty database to copy it to."""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import psycopg

from config.env import database_settings

ROWS_OF_SCALE = 6_000_000  # about the rows of scale factor 1
DECIMALS = ("l_quantity", "l_extendedprice", "l_discount", "l_tax")
CREATE_LINEITEM = """
CREATE TABLE lineitem (
  l_orderkey bigint NOT NULL, l_partkey bigint NOT NULL, l_suppkey bigint NOT NULL, l_linenumber integer NOT NULL,
  l_quantity numeric(15,2) NOT NULL, l_extendedprice numeric(15,2) NOT NULL, l_discount numeric(15,2) NOT NULL,
  l_tax numeric(15,2) NOT NULL, l_returnflag text NOT NULL, l_linestatus text NOT NULL, l_shipdate date NOT NULL,
  l_commitdate date NOT NULL, l_receiptdate date NOT NULL, l_shipinstruct text NOT NULL, l_shipmode text NOT NULL,
  l_comment text NOT NULL
)"""


@dataclass(frozen=True, slots=True)
class Databases:
    """The database with the table, and the database to copy it to, by URL."""

    source: str
    target: str
    rows: int

    def settings(self, url: str) -> dict[str, Any]:
        """Return the settings of a connector."""
        parts = database_settings(url)
        return {
            "host": parts["HOST"],
            "port": int(parts["PORT"]),
            "database": parts["NAME"],
            "user": parts["USER"],
            "password": parts["PASSWORD"],
        }

    def empty_target(self) -> None:
        """Remove all tables of the database to copy to, and write what is dirty, so that each run begins alike."""
        with psycopg.connect(self.target, autocommit=True) as connection:
            connection.execute("DROP SCHEMA public CASCADE")
            connection.execute("CREATE SCHEMA public")
            connection.execute("CHECKPOINT")


def create_empty_databases(server_url: str, rows: int) -> Databases:
    """Create both databases on the server of the URL. The first is going to have `rows` rows."""
    base = server_url.rpartition("/")[0]
    with psycopg.connect(server_url, autocommit=True) as admin:
        for name in ("bench_source", "bench_target"):
            admin.execute(f"CREATE DATABASE {name}".encode())
    return Databases(f"{base}/bench_source", f"{base}/bench_target", rows)


def create_databases(server_url: str, rows: int) -> Databases:
    """Create both databases, and fill the table with the first rows that TPC-H makes."""
    databases = create_empty_databases(server_url, rows)
    with psycopg.connect(databases.source, autocommit=True) as connection:
        connection.execute(CREATE_LINEITEM.encode())
        with connection.cursor().copy("COPY lineitem FROM STDIN (FORMAT csv)") as copy:
            for lines in _generate_lines(rows):
                copy.write(lines)
        connection.execute("ALTER TABLE lineitem ADD PRIMARY KEY (l_orderkey, l_linenumber)")
        connection.execute("VACUUM ANALYZE lineitem")
    return databases


def _generate_lines(rows: int) -> Iterator[bytes]:
    program = Path(sys.executable).with_name("tpchgen-cli")
    with tempfile.TemporaryDirectory(prefix="drover-tpch-") as folder:
        scale = 1.05 * rows / ROWS_OF_SCALE + 0.001
        command = [str(program if program.exists() else shutil.which("tpchgen-cli"))]
        command += ["csv", "-s", f"{scale:.4f}", "--tables=lineitem", f"--output-dir={folder}"]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        with (Path(folder) / "lineitem.csv").open("rb") as file:
            next(file)
            lines = islice(file, rows)
            while part := list(islice(lines, 10_000)):
                yield b"".join(part)
