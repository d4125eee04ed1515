"""Read the source and the destination of each demo pipeline directly, without the engine, and compare them."""

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

PAGE = 5000


def differences(stream: str, *, org: Org, run: Run, locations: Locations) -> tuple[int, list[str]]:
    """Return (number of rows, differences) for one demo pipeline after its run."""
    read_source, read_destination = _READERS[stream]
    arrived = read_destination(org, run, locations)
    return arrived.rows, read_source(locations).differences(arrived)


def where(stream: str, *, org: Org, run: Run, locations: Locations) -> str:
    """Describe where to find the results."""
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


def _flights_in_source(locations: Locations) -> Facts:
    return facts.of_table(locations.source_url, "flights")


def _flights_in_parquet(org: Org, run: Run, locations: Locations) -> Facts:
    import polars as pl

    parts = [pl.read_parquet(io.BytesIO(content)) for content in _outputs(org, run, ".parquet")]
    return facts.of_frame(pl.concat(parts) if parts else pl.DataFrame())


def _weather_in_source(locations: Locations) -> Facts:
    import polars as pl

    return facts.of_frame(pl.DataFrame(list(_weather(locations)), infer_schema_length=None))


def _weather(locations: Locations) -> Iterator[dict[str, Any]]:
    cursor: str | None = ""
    while cursor is not None:
        address = f"{locations.api_url}/v1/weather?limit={PAGE}" + (cursor and f"&cursor={cursor}")
        request = urllib.request.Request(address, headers={"X-API-Key": locations.api_key})  # noqa: S310
        with urllib.request.urlopen(request, timeout=30) as answer:  # noqa: S310
            page = json.load(answer)
        yield from page["data"]
        cursor = page["next_cursor"]


def _weather_in_warehouse(org: Org, run: Run, locations: Locations) -> Facts:
    return facts.of_table(locations.warehouse_url, "weather")


def _airports_in_source(locations: Locations) -> Facts:
    import polars as pl

    return facts.of_frame(
        pl.read_csv(locations.airports, null_values="NA", infer_schema_length=None)
    )


def _airports_in_duckdb(org: Org, run: Run, locations: Locations) -> Facts:
    import duckdb
    import polars as pl

    with tempfile.TemporaryDirectory() as folder:
        for content in _outputs(org, run, ".duckdb"):
            database = Path(folder) / "copy.duckdb"
            database.write_bytes(content)
            with duckdb.connect(str(database), read_only=True) as connection:
                connection.execute("SELECT * FROM airports")
                names = [column[0] for column in connection.description or ()]
                rows = connection.fetchall()
                frame = pl.DataFrame(rows, schema=names, orient="row", infer_schema_length=None)
                return facts.of_frame(frame)
    return Facts(0, {})


def _outputs(org: Org, run: Run, ending: str) -> Iterator[bytes]:
    published = Output.objects.for_org(org).filter(run=run, key__endswith=ending)
    for key in published.order_by("name").values_list("key", flat=True):
        yield storage.read(key)


_Source = Callable[[Locations], Facts]
_Destination = Callable[[Org, Run, Locations], Facts]
_READERS: dict[str, tuple[_Source, _Destination]] = {
    "flights": (_flights_in_source, _flights_in_parquet),
    "weather": (_weather_in_source, _weather_in_warehouse),
    "airports": (_airports_in_source, _airports_in_duckdb),
}
