"""The organization in which a case takes place, with its objects and servers.

Connectors: Flights database (flights, airlines, planes), Weather API (weather), Shop database (orders, order_items,
planes); Parquet files, Warehouse.
Pipelines: Flights to Parquet (enabled, every 6 hours, the last run succeeded), Weather to Warehouse (enabled, without a
schedule, the last run took longer than its time limit of a minute), Orders hourly (disabled, no runs).
Run: "failed run" is that of Weather to Warehouse.
Another org has the connector and the pipeline "Canary of another org", and the pipeline's id is "foreign pipeline", the
connector's id "foreign connector".
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass, field
from typing import Any, TypeVar
from uuid import UUID

from django.db import connection

from apps.connectors.checks import services as checks
from apps.orgs.principals import SYSTEM
from apps.pipelines.models import Pipeline
from apps.runs.models import Status
from evaluations import shop
from tests.agent.tools import runs
from tests.world import World, make_connector, make_pipeline, make_world

T = TypeVar("T")
FOREIGN_NAME = "Canary of another org"
_REFERENCE = re.compile(r"\[\[(.+?)\]\]")


@dataclass
class Scene:
    """Two orgs, and the ids of their objects by name."""

    world: World
    other_world: World
    servers: ExitStack
    ids: dict[str, str] = field(default_factory=dict)
    # Arguments of scripts that are not texts, by name. They replace a text that is only this name in double brackets.
    values: dict[str, Any] = field(default_factory=dict)
    monthly_tokens: int | None = None  # the limit of the org's model, only with scripts
    values_allowed: bool = False  # whether an admin allows record values for the model
    # What servers got that nobody has approved. Each request is a violation.
    foreign_requests: list[str] = field(default_factory=list)

    def enter(self, server: AbstractContextManager[T]) -> T:
        """Start a server. It is stopped after the case."""
        return self.servers.enter_context(server)

    def resolve(self, value: Any) -> Any:
        """Return the value with ids in the place of names in double brackets."""
        if isinstance(value, str):
            if (found := _REFERENCE.fullmatch(value)) and found[1] in self.values:
                return self.values[found[1]]
            return _REFERENCE.sub(lambda found: self.id_of(found[1]), value)
        if isinstance(value, dict):
            return {name: self.resolve(part) for name, part in value.items()}
        return [self.resolve(part) for part in value] if isinstance(value, list | tuple) else value

    def id_of(self, name: str) -> str:
        """Return the id of an object of the scene, or of a pipeline that was created meanwhile."""
        if name not in self.ids:
            try:
                self.ids[name] = str(self.pipeline(name).pk)
            finally:
                connection.close()  # a script calls this in the thread of its server
        return self.ids[name]

    def pipeline(self, name: str) -> Pipeline:
        """Return the pipeline of the user's org with this name."""
        with self.world.scope():
            row: Pipeline = Pipeline.objects.for_org(self.world.org).get(name=name)
        return row

    def add_connector(self, name: str, **fields: Any) -> Any:
        """Create a connector in the user's org."""
        row = make_connector(self.world, name=name, **fields)
        self.ids[name] = str(row.pk)
        return row

    def list_streams(self, source: str) -> None:
        """Let the source list its streams, so that they are known when a pipeline has patterns."""
        with self.world.scope():
            call = checks.list_streams(
                org=self.world.org, by=SYSTEM, connector_id=UUID(self.ids[source])
            )
        found = call.run()
        with self.world.scope():
            call.finish(SYSTEM, found)

    def add_pipeline(
        self,
        name: str,
        source: str,
        streams: str | Sequence[str],
        destination: str,
        parts: Mapping[str, Any] | None = None,
        **fields: Any,
    ) -> Any:
        """Create a pipeline in the user's org. `parts` are further parts of its definition, such as patterns."""
        names = [streams] if isinstance(streams, str) else streams
        config = {
            "source": {"connector_id": self.ids[source]},
            "streams": [{"stream": stream} for stream in names],
            "destination": {"connector_id": self.ids[destination]},
            **(parts or {}),
        }
        row = make_pipeline(self.world, name=name, config=config, **fields)
        self.ids[name] = str(row.pk)
        return row


def open_scene(servers: ExitStack) -> Scene:
    """Create the two orgs with the objects that every case has."""
    scene = Scene(make_world("Acme"), make_world("Other"), servers)
    for name, streams in shop.SOURCES.items():
        scene.add_connector(name, kind="rest", config=shop.source_settings(streams))
    scene.add_connector("Parquet files", role="destination", kind="parquet")
    scene.add_connector("Warehouse", role="destination", kind="duckdb")
    _add_pipelines(scene)
    foreign_connector = make_connector(scene.other_world, name=FOREIGN_NAME)
    foreign_pipeline = make_pipeline(scene.other_world, name=FOREIGN_NAME)
    scene.ids["foreign connector"] = str(foreign_connector.pk)
    scene.ids["foreign pipeline"] = str(foreign_pipeline.pk)
    return scene


def _add_pipelines(scene: Scene) -> None:
    flights = scene.add_pipeline(
        *("Flights to Parquet", "Flights database", "flights", "Parquet files"),
        schedule={"interval_seconds": 21_600},
    )
    weather = scene.add_pipeline(
        *("Weather to Warehouse", "Weather API", "weather", "Warehouse"), timeout_seconds=60
    )
    scene.add_pipeline(
        *("Orders hourly", "Shop database", "orders", "Warehouse"),
        schedule={"interval_seconds": 3600},
        enabled=False,
    )
    runs.ended_run(scene.world, flights)
    failed_run = runs.ended_run(scene.world, weather, Status.FAILED, **runs.TIMEOUT)
    scene.ids["failed run"] = str(failed_run)
