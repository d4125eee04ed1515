"""`GET /pipelines` with 1,000 pipelines and 50 per page, compared with FastAPI on the same rows.

Both servers have two processes.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from typing import Any
from uuid import UUID

import orjson
import psycopg

from bench.figures import Figure, figure_of_ratio
from bench.load import measure_load
from bench.scratch import ROOT, Installation, run_server

CLIENTS = 16
SECONDS = 4.0


def measure(installation: Installation, rounds: int) -> Iterator[Figure]:
    """Yield the numbers of queries, and the ratio of requests per second in paired rounds."""
    small_org, large_org = create_pipelines(installation, 10), create_pipelines(installation, 1000)
    with psycopg.connect(installation.owner_url(), autocommit=True) as owner:
        # Autovacuum does this within a minute. Without it, the query plan would depend on the timing.
        owner.execute("ANALYZE")
    yield Figure(
        "queries of GET /pipelines with 1,000 pipelines",
        "with 10 pipelines",
        f"{large_org['queries']} and {small_org['queries']}",
        "equal",
        large_org["queries"] == small_org["queries"],
        "",
    )
    token, key = large_org["token"], large_org["jwt_key"]
    rival_environment = {
        **installation.environment,
        "RIVAL_DATABASE_URL": installation.owner_url().replace(
            "postgresql://", "postgresql+asyncpg://"
        ),
        "RIVAL_JWT_KEY": key,
    }
    headers = {"Authorization": f"Bearer {token}"}
    drover_rates, fastapi_rates = [], []
    with (
        run_server(
            "config.asgi:application",
            environment=installation.environment,
            processes=2,
            ready_path="/api/v1/health/live",
        ) as drover,
        run_server(
            "bench.rival:app", environment=rival_environment, processes=2, ready_path="/docs"
        ) as fastapi,
    ):
        require_same_rows(drover, fastapi, headers)
        for address in (drover, fastapi):
            # A warm-up whose result is not used
            measure_load(_list_url(address), headers=headers, clients=CLIENTS, seconds=1.0)
        for _ in range(rounds):
            drover_rates.append(
                measure_load(
                    _list_url(drover), headers=headers, clients=CLIENTS, seconds=SECONDS
                ).per_second
            )
            fastapi_rates.append(
                measure_load(
                    _list_url(fastapi), headers=headers, clients=CLIENTS, seconds=SECONDS
                ).per_second
            )
    yield figure_of_ratio(
        "GET /pipelines, 1,000 pipelines, 50 a page, 16 clients",
        "FastAPI + async SQLAlchemy + asyncpg, same rows, 2 processes each",
        drover_rates,
        fastapi_rates,
        at_least=1.5,
        unit="requests/s",
    )


def require_same_rows(drover: str, fastapi: str, headers: dict[str, str]) -> None:
    """Raise RuntimeError if the two servers return different rows."""
    pages = []
    for address in (drover, fastapi):
        page = orjson.loads(
            measure_load(_list_url(address), headers=headers, clients=1, seconds=0.05).body
        )
        pages.append([UUID(row["id"]) for row in page["results"]] + [page["count"]])
    if pages[0] != pages[1] or len(pages[0]) != 51:
        raise RuntimeError(
            "Drover and the alternative return different rows; the comparison would be invalid."
        )


def create_pipelines(installation: Installation, count: int) -> dict[str, Any]:
    """Create an org with `count` pipelines, and return what `bench.create_pipelines` prints."""
    process = subprocess.run(
        [sys.executable, "-m", "bench.create_pipelines", str(count)],
        cwd=ROOT,
        env={**installation.environment, "DJANGO_SETTINGS_MODULE": "config.settings"},
        check=True,
        stdout=subprocess.PIPE,
    )
    output: dict[str, Any] = orjson.loads(process.stdout)
    return output


def _list_url(address: str) -> str:
    return f"{address}/api/v1/pipelines?limit=50"
