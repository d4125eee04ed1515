"""Every kind of source and its module. Importing this package does not import those modules."""

from __future__ import annotations

import importlib
from types import ModuleType

SOURCES: dict[str, str] = {
    "postgres": "apps.engine.sources.postgres",
    "rest": "apps.engine.sources.rest",
    "files": "apps.engine.sources.files",
    "samples": "apps.engine.sources.samples",
    "dummy": "apps.engine.sources.dummy",
    "hubspot": "apps.engine.sources.hubspot",
    "notion": "apps.engine.sources.notion",
    "gsheets": "apps.engine.sources.gsheets",
    "kafka": "apps.engine.sources.kafka",
    "cycle": "apps.engine.sources.cycle",
    "periscope": "apps.engine.sources.periscope",
    "sana_ai": "apps.engine.sources.sana_ai",
    "pokeapi": "apps.engine.sources.pokeapi",
    "gbif": "apps.engine.sources.gbif",
}


def load(kind: str) -> ModuleType:
    """Import the module of a source kind: `Source`, `Config`, `KIND`, `TITLE`, ... Raises KeyError."""
    return importlib.import_module(SOURCES[kind])
