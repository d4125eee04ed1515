"""Compare the source and the destination of each demo pipeline. Both are read directly, without the engine."""

from __future__ import annotations

import io
import json
import tempfile
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from django.conf import settings

from apps.orgs.models import Org
from apps.runs.demo import facts
from apps.runs.demo.facts import Facts
from apps.runs.demo.locations import Locations
from apps.runs.models import Output, Run
from apps.runs.outputs import storage

PAGE_SIZE = 5000


def find_differences(
    stream: str, *, org: Org, run: Run, locations: Locations
) -> tuple[int, list[str]]:
    """Compare source and destination of one demo pipeline after its run. Returns (number of rows, differences)."""
    read_source, read_destination = _READERS[stream]
    destination = read_destination(org, run, locations)
    return destination.rows, read_source(locations).differences(destination)


def describe_location(stream: str, *, org: Org, run: Run, locations: Locations) -> str:
    """Describe where the user finds the data of the run."""
    if stream == "weather":
        parts = urlsplit(locations.warehouse_url)
        place = f"{parts.hostname}:{parts.port or 5432}"
        return f"table weather of database {parts.path.lstrip('/')} at {place}"
    keys = sorted(Output.objects.for_org(org).filter(run=run).values_list("key", flat=True))
    if not keys:
        return "nowhere"
    folder, _, name = keys[0].rpartition("/")
    if settings.STORAGE_KIND == "local":
        folder = str(Path(settings.STORAGE_OPTIONS["local"]["location"]) / folder)
    return f"{len(keys)} files in {folder}" if len(keys) > 1 else f"{folder}/{name}"


def _read_flights_source(locations: Locations) -> Facts:
    return facts.read_table_facts(locations.source_url, "flights")


def _read_flights_parquet(org: Org, run: Run, locations: Locations) -> Facts:
    import polars as pl

    parts = [
        pl.read_parquet(io.BytesIO(content)) for content in _read_outputs(org, run, ".parquet")
    ]
    return facts.compute_frame_facts(pl.concat(parts) if parts else pl.DataFrame())


def _read_weather_source(locations: Locations) -> Facts:
    import polars as pl

    return facts.compute_frame_facts(
        pl.DataFrame(list(_fetch_weather(locations)), infer_schema_length=None)
    )


def _fetch_weather(locations: Locations) -> Iterator[dict[str, Any]]:
    cursor: str | None = ""
    while cursor is not None:
        address = f"{locations.api_url}/v1/weather?limit={PAGE_SIZE}" + (
            cursor and f"&cursor={cursor}"
        )
        request = urllib.request.Request(address, headers={"X-API-Key": locations.api_key})  # noqa: S310
        with urllib.request.urlopen(request, timeout=30) as response:  # noqa: S310
            page = json.load(response)
        yield from page["data"]
        cursor = page["next_cursor"]


def _read_weather_warehouse(org: Org, run: Run, locations: Locations) -> Facts:
    return facts.read_table_facts(locations.warehouse_url, "weather")


def _read_airports_source(locations: Locations) -> Facts:
    """Read all values as texts: some coordinates have more digits than a float."""
    import polars as pl

    return facts.compute_frame_facts(
        pl.read_csv(locations.airports, null_values="NA", infer_schema=False)
    )


def _read_airports_duckdb(org: Org, run: Run, locations: Locations) -> Facts:
    import duckdb
    import polars as pl

    with tempfile.TemporaryDirectory() as folder:
        for content in _read_outputs(org, run, ".duckdb"):
            database = Path(folder) / "copy.duckdb"
            database.write_bytes(content)
            with duckdb.connect(str(database), read_only=True) as connection:
                connection.execute("SELECT * FROM airports")
                names = [column[0] for column in connection.description or ()]
                rows = connection.fetchall()
                frame = pl.DataFrame(rows, schema=names, orient="row", infer_schema_length=None)
                return facts.compute_frame_facts(frame.select(pl.all().cast(pl.String)))
    return Facts(0, {})


def _read_outputs(org: Org, run: Run, suffix: str) -> Iterator[bytes]:
    published = Output.objects.for_org(org).filter(run=run, key__endswith=suffix)
    for key in published.order_by("name").values_list("key", flat=True):
        yield storage.read(key)


_SourceReader = Callable[[Locations], Facts]
_DestinationReader = Callable[[Org, Run, Locations], Facts]
_READERS: dict[str, tuple[_SourceReader, _DestinationReader]] = {
    "flights": (_read_flights_source, _read_flights_parquet),
    "weather": (_read_weather_source, _read_weather_warehouse),
    "airports": (_read_airports_source, _read_airports_duckdb),
}
