"""Every kind of destination and its module. Importing this package does not import those modules."""

from __future__ import annotations

import importlib
from types import ModuleType

DESTINATIONS: dict[str, str] = {
    "postgres": "apps.engine.destinations.postgres",
    "duckdb": "apps.engine.destinations.duckdb",
    "parquet": "apps.engine.destinations.parquet",
    "jsonl": "apps.engine.destinations.jsonl",
    "csv": "apps.engine.destinations.csv",
    "logger": "apps.engine.destinations.logger",
}


def load(kind: str) -> ModuleType:
    """Import the module of a destination kind: `Destination`, `Config`, `KIND`, `TITLE`, ... Raises KeyError."""
    return importlib.import_module(DESTINATIONS[kind])
