"""The engine against stock `bizon` and raw writers; what each pair does is written in apps.engine.bench."""

from __future__ import annotations

from collections.abc import Iterator

import psycopg

from apps.engine import bench as engine
from apps.engine.state import install
from bench.figures import Figure
from bench.scratch import Scratch
from config.env import database_parts

AGAINST = {
    "engine start-up": "`bizon run` of the same config as a fresh process",
    "frames to Parquet": "polars write_parquet, same reader on a thread",
    "frames to PostgreSQL": "raw COPY, same reader on a thread",
    "records to JSONL": "stock bizon with its file destination",
    "peak memory": "stock bizon, same input",
}


def measure(place: Scratch, rounds: int) -> Iterator[Figure]:
    """Paired rounds of a million rows each."""
    install(place.owner_url(), role="app_engine")
    with psycopg.connect(place.database_url, autocommit=True) as admin:
        admin.execute("CREATE SCHEMA bench")
    parts = database_parts(place.database_url)
    target = {
        "host": parts["HOST"],
        "port": int(parts["PORT"]),
        "database": parts["NAME"],
        "user": parts["USER"],
        "password": parts["PASSWORD"],
        "schema": "bench",
    }
    with engine.bench(place.engine_url()) as taking:
        yield shown(taking.start_up(rounds=rounds))
        yield shown(taking.frames_to_postgres(target, place.database_url, rounds=rounds))
        yield shown(taking.frames_to_parquet(rounds=rounds))
        speed, peak = taking.records_to_jsonl(rounds=rounds)
        yield shown(speed)
        yield shown(peak)


def shown(taken: engine.Figure) -> Figure:
    pairs = ", ".join(f"{ours:,.4g}/{rival:,.4g}" for ours, rival in taken.rounds)
    return Figure(
        name=taken.name,
        against=AGAINST[taken.name],
        value=f"{taken.ratio:.3f} x",
        bar=taken.bar,
        reached=taken.reached,
        runs=f"{pairs} {taken.unit}",
    )
