"""The demo's connectors and pipelines. Existing ones are not changed, except for their addresses."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from apps.connectors import services as connectors
from apps.connectors.models import Connector
from apps.orgs.models import Org
from apps.orgs.principals import Principal
from apps.pipelines import services as pipelines
from apps.pipelines.models import Pipeline
from apps.runs.demo.locations import Locations, connection_settings
from apps.runs.outputs import storage

AIRPORTS_FILE = "airports.csv"


@dataclass(frozen=True)
class Side:
    """A saved connector."""

    role: str
    kind: str
    name: str
    config: Mapping[str, Any]


@dataclass(frozen=True)
class Demo:
    """One pipeline: source, destination and options."""

    name: str
    description: str
    source: Side
    destination: Side
    stream: str
    table: str
    tags: tuple[str, ...]
    how: Mapping[str, Any] = field(default_factory=dict)


def demos(locations: Locations) -> tuple[Demo, Demo, Demo]:
    """The three pipelines."""
    return (_flights(locations), _weather(locations), _airports())


def ensure_pipelines(org: Org, by: Principal, locations: Locations) -> dict[str, Pipeline]:
    """Create missing pipelines. Call it inside the org's scope. Returns the pipelines by their demo's stream."""
    storage.write(
        f"{storage.files_root(org.pk).prefix}/{AIRPORTS_FILE}", locations.airports.read_bytes()
    )
    return {demo.stream: _ensure_pipeline(org, by, demo) for demo in demos(locations)}


def _flights(locations: Locations) -> Demo:
    return Demo(
        name="Flights to Parquet",
        description="Every flight that left New York City in 2013, from PostgreSQL to Parquet files.",
        source=Side(
            "source", "postgres", "Flights database", connection_settings(locations.source_url)
        ),
        destination=Side("destination", "parquet", "Parquet files", {}),
        stream="flights",
        table="flights",
        tags=("nyc", "flights"),
    )


def _weather(locations: Locations) -> Demo:
    stream = {
        "name": "weather",
        "path": "/v1/weather",
        "records_path": "data",
        "primary_key": ["origin", "time_hour"],
        "cursor_field": "time_hour",
        "cursor_param": "since",
    }
    api = {
        "base_url": locations.api_url,
        "auth": {"type": "api_key", "name": "X-API-Key", "key": locations.api_key},
        "pagination": {
            "type": "cursor",
            "cursor_path": "next_cursor",
            "cursor_param": "cursor",
            "size_param": "limit",
            "page_size": 1000,
        },
        "streams": [stream],
    }
    return Demo(
        name="Weather to the warehouse",
        description="Hourly weather at three airports, from an HTTP API to PostgreSQL: each run "
        "reads only new records.",
        source=Side("source", "rest", "Weather API", api),
        destination=Side(
            "destination", "postgres", "Warehouse", connection_settings(locations.warehouse_url)
        ),
        stream="weather",
        table="weather",
        tags=("nyc", "weather"),
        how={
            "sync_mode": "incremental",
            "cursor_field": "time_hour",
            "primary_key": ["origin", "time_hour"],
            "write_mode": "merge",
        },
    )


def _airports() -> Demo:
    csv = {"path": AIRPORTS_FILE, "stream_name": "airports", "csv": {"null_values": ["NA"]}}
    return Demo(
        name="Airports to DuckDB",
        description="The destination airports, from an uploaded CSV file to a DuckDB database.",
        source=Side("source", "files", "Airports file", csv),
        destination=Side("destination", "duckdb", "DuckDB database", {}),
        stream="airports",
        table="airports",
        tags=("nyc", "reference"),
    )


def _ensure_pipeline(org: Org, by: Principal, demo: Demo) -> Pipeline:
    source = _ensure_connector(org, by, demo.source)
    destination = _ensure_connector(org, by, demo.destination)
    found = Pipeline.objects.for_org(org).filter(name__iexact=demo.name).first()
    if found is not None:
        return found
    return pipelines.create(
        org=org,
        by=by,
        name=demo.name,
        description=demo.description,
        tags=demo.tags,
        config={
            "source": {"connector_id": str(source.pk)},
            "streams": [{"stream": demo.stream, "table": demo.table, **demo.how}],
            "destination": {"connector_id": str(destination.pk)},
        },
    )


def _ensure_connector(org: Org, by: Principal, side: Side) -> Connector:
    """Create or update the connector of this name; a port may have changed since it was created."""
    known = Connector.objects.for_org(org).filter(role=side.role, name__iexact=side.name)
    found: Connector | None = known.select_for_update().first()
    if found is None:
        return connectors.create(
            org=org,
            by=by,
            role=side.role,
            kind=side.kind,
            name=side.name,
            config=side.config,
        )
    if found.kind != side.kind:
        return found
    return connectors.update(org=org, by=by, connector_id=found.pk, changes={"config": side.config})
