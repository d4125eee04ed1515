"""The fastest possible writer for a destination, with the same reader in a thread.

`python -m bench.raw_writers parquet|postgres ROWS PAGE TARGET` prints the seconds that it took, without imports.
There are no checkpoints, no staging and no publishing.
"""

from __future__ import annotations

import io
import queue
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import polars as pl
import psycopg

from apps.engine.sync.batches import FLUSH_ROWS
from bench.flights import flights

_COLUMN_TYPES = {
    pl.Int64(): "bigint",
    pl.Float64(): "double precision",
    pl.String(): "text",
    pl.Datetime("us", "UTC"): "timestamptz",
}


def frames(rows: int, page: int) -> Iterator[pl.DataFrame]:
    """Yield batches of FLUSH_ROWS. A thread reads a few pages ahead."""
    pages: queue.Queue[pl.DataFrame | None] = queue.Queue(maxsize=8)

    def read_pages() -> None:
        for first in range(1, rows + 1, page):
            pages.put(flights(first, min(page, rows + 1 - first)))
        pages.put(None)

    threading.Thread(target=read_pages, daemon=True).start()
    waiting_frames: list[pl.DataFrame] = []
    while (frame := pages.get()) is not None:
        waiting_frames.append(frame)
        if sum(part.height for part in waiting_frames) >= FLUSH_ROWS:
            yield pl.concat(waiting_frames)
            waiting_frames = []
    if waiting_frames:
        yield pl.concat(waiting_frames)


def to_parquet(rows: int, page: int, folder: str) -> None:
    for number, frame in enumerate(frames(rows, page)):
        frame.write_parquet(Path(folder) / f"part-{number:05}.parquet")


def to_postgres(rows: int, page: int, dsn: str) -> None:
    with psycopg.connect(dsn) as connection:
        connection.execute("drop table if exists drover_bench_raw")
        columns = flights(1, 1).schema
        column_definitions = ", ".join(
            f'"{name}" {_COLUMN_TYPES[dtype]}' for name, dtype in columns.items()
        )
        connection.execute(f"create table drover_bench_raw ({column_definitions})".encode())
        with connection.cursor().copy("copy drover_bench_raw from stdin (format csv)") as copy:
            for frame in frames(rows, page):
                csv = io.BytesIO()
                frame.write_csv(csv, include_header=False)
                copy.write(csv.getbuffer())


def main(kind: str, rows: str, page: str, target: str) -> None:
    write = {"parquet": to_parquet, "postgres": to_postgres}[kind]
    started = time.perf_counter()
    write(int(rows), int(page), target)
    sys.stdout.write(f"{time.perf_counter() - started}\n")


if __name__ == "__main__":
    main(*sys.argv[1:])
