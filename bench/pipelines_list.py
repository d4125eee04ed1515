"""`GET /pipelines`, 1,000 pipelines, 50 per page, compared with FastAPI over the same rows; both with two
processes.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from typing import Any
from uuid import UUID

import orjson
import psycopg

from bench.figures import Figure, ratio
from bench.load import drive
from bench.scratch import ROOT, Scratch, server

CLIENTS = 16
SECONDS = 4.0


def measure(place: Scratch, rounds: int) -> Iterator[Figure]:
    """Yield the ratio of requests per second, in paired rounds."""
    few, many = plant(place, 10), plant(place, 1000)
    with psycopg.connect(place.owner_url(), autocommit=True) as owner:
        owner.execute(
            "ANALYZE"
        )  # As autovacuum does within a minute; otherwise the query plan would depend on its timing.
    yield Figure(
        "queries of GET /pipelines with 1,000 pipelines",
        "with 10 pipelines",
        f"{many['queries']} and {few['queries']}",
        "equal",
        many["queries"] == few["queries"],
        "",
    )
    token, key = many["token"], many["jwt_key"]
    rival = {
        **place.environment,
        "RIVAL_DATABASE_URL": place.owner_url().replace("postgresql://", "postgresql+asyncpg://"),
        "RIVAL_JWT_KEY": key,
    }
    headers = {"Authorization": f"Bearer {token}"}
    ours, theirs = [], []
    with (
        server(
            "config.asgi:application",
            environment=place.environment,
            processes=2,
            ready="/api/v1/health/live",
        ) as drover,
        server("bench.rival:app", environment=rival, processes=2, ready="/docs") as fastapi,
    ):
        same_rows(drover, fastapi, headers)
        for address in (drover, fastapi):
            drive(_list(address), headers=headers, clients=CLIENTS, seconds=1.0)  # warm-up
        for _ in range(rounds):
            ours.append(
                drive(_list(drover), headers=headers, clients=CLIENTS, seconds=SECONDS).per_second
            )
            theirs.append(
                drive(_list(fastapi), headers=headers, clients=CLIENTS, seconds=SECONDS).per_second
            )
    yield ratio(
        "GET /pipelines, 1,000 pipelines, 50 a page, 16 clients",
        "FastAPI + async SQLAlchemy + asyncpg, same rows, 2 processes each",
        ours,
        theirs,
        at_least=1.5,
        unit="requests/s",
    )


def same_rows(drover: str, fastapi: str, headers: dict[str, str]) -> None:
    """Raise if the responses differ, because the comparison would be invalid."""
    pages = []
    for address in (drover, fastapi):
        page = orjson.loads(drive(_list(address), headers=headers, clients=1, seconds=0.05).body)
        pages.append([UUID(row["id"]) for row in page["results"]] + [page["count"]])
    if pages[0] != pages[1] or len(pages[0]) != 51:
        raise RuntimeError(
            "Drover and the alternative return different rows; the comparison would be invalid."
        )


def plant(place: Scratch, count: int) -> dict[str, Any]:
    """Create an org with `count` pipelines; see bench.plant."""
    done = subprocess.run(
        [sys.executable, "-m", "bench.plant", str(count)],
        cwd=ROOT,
        env={**place.environment, "DJANGO_SETTINGS_MODULE": "config.settings"},
        check=True,
        stdout=subprocess.PIPE,
    )
    answer: dict[str, Any] = orjson.loads(done.stdout)
    return answer


def _list(address: str) -> str:
    return f"{address}/api/v1/pipelines?limit=50"
