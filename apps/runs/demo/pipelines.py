"""Create the demo's connectors and pipelines. Existing pipelines are not changed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from apps.connectors import services as connectors
from apps.connectors.files import uploads
from apps.connectors.models import Connector
from apps.orgs.models import Org
from apps.orgs.principals import Principal
from apps.pipelines import services as pipelines
from apps.pipelines.models import Pipeline
from apps.runs.demo.locations import Locations, connection_settings

AIRPORTS_FILE = "airports.csv"


@dataclass(frozen=True)
class DemoConnector:
    """The definition of one connector."""

    role: str
    kind: str
    name: str
    config: Mapping[str, Any]


@dataclass(frozen=True)
class DemoPipeline:
    """The definition of one pipeline. `stream_options` are options of its stream, such as the sync mode."""

    name: str
    description: str
    source: DemoConnector
    destination: DemoConnector
    stream: str
    table: str
    tags: tuple[str, ...]
    stream_options: Mapping[str, Any] = field(default_factory=dict)
    cron: str = ""  # without one, the pipeline has no schedule, and the overview does not measure its freshness


def demo_pipelines(locations: Locations) -> tuple[DemoPipeline, DemoPipeline, DemoPipeline]:
    """Return the definitions of the three pipelines."""
    return (_flights(locations), _weather(locations), _airports())


def ensure_pipelines(org: Org, by: Principal, locations: Locations) -> dict[str, Pipeline]:
    """Store the airports file, and create missing pipelines. Returns all demo pipelines by stream name. Call it inside the org's scope."""
    uploads.put(org=org, by=by, name=AIRPORTS_FILE, data=locations.airports.read_bytes())
    return {demo.stream: _ensure_pipeline(org, by, demo) for demo in demo_pipelines(locations)}


def _flights(locations: Locations) -> DemoPipeline:
    return DemoPipeline(
        name="Flights to Parquet",
        description="Every flight that left New York City in 2013, from PostgreSQL to Parquet files.",
        source=DemoConnector(
            "source", "postgres", "Flights database", connection_settings(locations.source_url)
        ),
        destination=DemoConnector("destination", "parquet", "Parquet files", {}),
        stream="flights",
        table="flights",
        tags=("nyc", "flights"),
        cron="0 6 * * *",
    )


def _weather(locations: Locations) -> DemoPipeline:
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
    return DemoPipeline(
        name="Weather to the warehouse",
        description="Hourly weather at three airports, from an HTTP API to PostgreSQL: each run "
        "reads only new records.",
        source=DemoConnector("source", "rest", "Weather API", api),
        destination=DemoConnector(
            "destination", "postgres", "Warehouse", connection_settings(locations.warehouse_url)
        ),
        stream="weather",
        table="weather",
        tags=("nyc", "weather"),
        cron="15 6 * * *",
        stream_options={
            "sync_mode": "incremental",
            "cursor_field": "time_hour",
            "primary_key": ["origin", "time_hour"],
            "write_mode": "merge",
        },
    )


def _airports() -> DemoPipeline:
    csv = {"path": AIRPORTS_FILE, "stream_name": "airports", "csv": {"null_values": ["NA"]}}
    return DemoPipeline(
        name="Airports to DuckDB",
        description="The destination airports, from an uploaded CSV file to a DuckDB database.",
        source=DemoConnector("source", "files", "Airports file", csv),
        destination=DemoConnector("destination", "duckdb", "DuckDB database", {}),
        stream="airports",
        table="airports",
        tags=("nyc", "reference"),
    )


def _ensure_pipeline(org: Org, by: Principal, demo: DemoPipeline) -> Pipeline:
    source = _ensure_connector(org, by, demo.source)
    destination = _ensure_connector(org, by, demo.destination)
    pipeline = Pipeline.objects.for_org(org).filter(name__iexact=demo.name).first()
    if pipeline is not None:
        return pipeline
    return pipelines.create(
        org=org,
        by=by,
        name=demo.name,
        description=demo.description,
        tags=demo.tags,
        schedule={"cron": demo.cron, "timezone": "UTC"} if demo.cron else None,
        config={
            "source": {"connector_id": str(source.pk)},
            "streams": [{"stream": demo.stream, "table": demo.table, **demo.stream_options}],
            "destination": {"connector_id": str(destination.pk)},
        },
    )


def _ensure_connector(org: Org, by: Principal, demo: DemoConnector) -> Connector:
    """Create the connector, or update it, because a port may have changed since it was created."""
    same_name = Connector.objects.for_org(org).filter(role=demo.role, name__iexact=demo.name)
    connector: Connector | None = same_name.select_for_update().first()
    if connector is None:
        return connectors.create(
            org=org,
            by=by,
            role=demo.role,
            kind=demo.kind,
            name=demo.name,
            config=demo.config,
        )
    if connector.kind != demo.kind:
        return connector
    return connectors.update(
        org=org, by=by, connector_id=connector.pk, changes={"config": demo.config}
    )
