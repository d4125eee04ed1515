"""Write generated flights to Parquet files or a PostgreSQL table as fast as possible, for a comparison.

`python -m bench.raw_writers parquet|postgres ROW_COUNT PAGE_SIZE TARGET` prints the seconds of reading and writing,
without imports. A thread reads pages ahead. There are no checkpoints, no staging and no publishing.
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


def read_frames(row_count: int, page_size: int) -> Iterator[pl.DataFrame]:
    """Yield frames of at least FLUSH_ROWS rows; the last frame may be smaller. A thread reads a few pages ahead."""
    pages: queue.Queue[pl.DataFrame | None] = queue.Queue(maxsize=8)

    def read_pages() -> None:
        for first in range(1, row_count + 1, page_size):
            pages.put(flights(first, min(page_size, row_count + 1 - first)))
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


def write_parquet(row_count: int, page_size: int, folder: str) -> None:
    for number, frame in enumerate(read_frames(row_count, page_size)):
        frame.write_parquet(Path(folder) / f"part-{number:05}.parquet")


def write_postgres(row_count: int, page_size: int, dsn: str) -> None:
    with psycopg.connect(dsn) as connection:
        connection.execute("drop table if exists drover_bench_raw")
        columns = flights(1, 1).schema
        column_definitions = ", ".join(
            f'"{name}" {_COLUMN_TYPES[dtype]}' for name, dtype in columns.items()
        )
        connection.execute(f"create table drover_bench_raw ({column_definitions})".encode())
        with connection.cursor().copy("copy drover_bench_raw from stdin (format csv)") as copy:
            for frame in read_frames(row_count, page_size):
                csv = io.BytesIO()
                frame.write_csv(csv, include_header=False)
                copy.write(csv.getbuffer())


def main(kind: str, row_count: str, page_size: str, target: str) -> None:
    write = {"parquet": write_parquet, "postgres": write_postgres}[kind]
    started = time.perf_counter()
    write(int(row_count), int(page_size), target)
    sys.stdout.write(f"{time.perf_counter() - started}\n")


if __name__ == "__main__":
    main(*sys.argv[1:])
