"""The catalogue of connectors: every kind of source and destination, its settings and capabilities.

The web process reads the committed `catalogue.json` and imports no connector. `python -m apps.engine.catalogue
--write` generates that file from the code; without `--write` the command checks that it is up to date.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from functools import lru_cache
from pathlib import Path
from types import ModuleType
from typing import Any, Literal

from apps.engine.contract import SyncMode, WriteMode

Role = Literal["source", "destination"]
Schema = Mapping[str, Any]

CATALOGUE_FILE = Path(__file__).with_name("catalogue.json")
SCHEMA_DIALECT = "https://json-schema.org/draft/2020-12/schema"
WRITE_MODES: tuple[WriteMode, ...] = ("replace", "append", "merge")
# Settings that bizon's engine reads from a source's configuration; users may not set them.
ENGINE_FIELDS = frozenset(
    {
        "api_config",
        "cursor_field",
        "force_ignore_checkpoint",
        "http",
        "init_pipeline",
        "max_iterations",
        "name",
        "reset",
        "source_file_path",
        "stream",
        "sync_mode",
    }
)


# The words of the dashboard for the modes, as in frontend/src/format/modes.ts.
SYNC_MODE_WORDS: dict[SyncMode, str] = {
    "full_refresh": "Full refresh",
    "incremental": "Incremental",
}
WRITE_MODE_WORDS: dict[WriteMode, str] = {
    "replace": "Overwrite table",
    "append": "Append",
    "merge": "Merge on primary key",
}


@dataclass(frozen=True, slots=True)
class KnownStream:
    """A stream that is known without connecting to the source."""

    name: str
    sync_modes: tuple[SyncMode, ...]


@dataclass(frozen=True, slots=True)
class ConnectorKind:
    """A kind of connector.

    `config_schema` is JSON Schema 2020-12 whose secret fields are `writeOnly`. `secret_paths` are the paths of
    these fields: names joined by dots, with `*` for any name or index. They lack the values of maps that are
    secret only if their names match a pattern, which the schema has as `patternProperties`. `streams` lists the
    streams known without connecting; it is empty if they have to be discovered. With `needs_cursor`, an
    incremental sync must name its cursor field. With `shares_snapshots`, the streams of a run can be read in one
    snapshot.
    """

    role: Role
    kind: str
    title: str
    icon: str
    description: str
    docs_url: str
    config_schema: dict[str, Any]
    secret_paths: tuple[str, ...]
    streams: tuple[KnownStream, ...] = ()
    sync_modes: tuple[SyncMode, ...] = ()
    write_modes: tuple[WriteMode, ...] = ()
    supports_incremental: bool = False
    needs_cursor: bool = False
    shares_snapshots: bool = False

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> ConnectorKind:
        streams = tuple(
            KnownStream(stream["name"], tuple(stream["sync_modes"])) for stream in value["streams"]
        )
        tuples = {
            name: tuple(value[name]) for name in ("secret_paths", "sync_modes", "write_modes")
        }
        return cls(**{**value, **tuples, "streams": streams})


def sources() -> list[ConnectorKind]:
    """Return every kind of source, in the order of the catalogue."""
    return list(_committed_kinds()["source"].values())


def destinations() -> list[ConnectorKind]:
    """Return every kind of destination, in the order of the catalogue."""
    return list(_committed_kinds()["destination"].values())


def source(kind: str) -> ConnectorKind | None:
    return _committed_kinds()["source"].get(kind)


def destination(kind: str) -> ConnectorKind | None:
    return _committed_kinds()["destination"].get(kind)


def generate_kinds() -> list[ConnectorKind]:
    """Build the catalogue from the code. Imports every connector."""
    from apps.engine import destinations as destination_modules
    from apps.engine import sources as source_modules

    return [
        *(_source_kind(source_modules.load(kind)) for kind in source_modules.SOURCES),
        *(_destination_kind(destination_modules.load(k)) for k in destination_modules.DESTINATIONS),
    ]


def catalogue_text(kinds: list[ConnectorKind]) -> str:
    """Return the text of the committed file."""
    return json.dumps([kind.to_json() for kind in kinds], indent=1, ensure_ascii=False) + "\n"


def secret_paths(schema: Schema) -> tuple[str, ...]:
    """Return the paths of all secret fields, in every branch of every union."""
    return tuple(dict.fromkeys(".".join(path) for path in _find_secrets(schema, schema, ())))


@lru_cache(maxsize=1)
def _committed_kinds() -> dict[str, dict[str, ConnectorKind]]:
    kinds: dict[str, dict[str, ConnectorKind]] = {"source": {}, "destination": {}}
    for value in json.loads(CATALOGUE_FILE.read_text("utf-8")):
        kinds[value["role"]][value["kind"]] = ConnectorKind.from_json(value)
    return kinds


def _source_kind(module: ModuleType) -> ConnectorKind:
    source_class = module.Source
    modes: tuple[SyncMode, ...] = source_class.sync_modes(None)
    return _build_kind(
        "source",
        module,
        streams=tuple(
            KnownStream(name, source_class.sync_modes(name)) for name in source_class.streams()
        ),
        sync_modes=modes,
        supports_incremental="incremental" in modes,
        needs_cursor=source_class.needs_cursor,
        shares_snapshots=source_class.shares_snapshots,
    )


def _destination_kind(module: ModuleType) -> ConnectorKind:
    modes: tuple[WriteMode, ...] = getattr(module.Destination, "write_modes", WRITE_MODES)
    return _build_kind("destination", module, write_modes=tuple(modes))


def _build_kind(role: Role, module: ModuleType, **capabilities: Any) -> ConnectorKind:
    schema = {"$schema": SCHEMA_DIALECT, **module.Config.model_json_schema()}
    return ConnectorKind(
        role=role,
        kind=module.KIND,
        title=module.TITLE,
        icon=module.ICON,
        description=module.DESCRIPTION,
        docs_url=module.DOCS_URL,
        config_schema=schema,
        secret_paths=secret_paths(schema),
        **capabilities,
    )


def _find_secrets(root: Schema, node: Schema, path: tuple[str, ...]) -> Iterator[tuple[str, ...]]:
    node = _resolve_reference(root, node)
    if node.get("writeOnly"):
        yield path
        return
    for keyword in ("anyOf", "oneOf", "allOf"):
        for branch in node.get(keyword, ()):
            yield from _find_secrets(root, branch, path)
    for name, inner in node.get("properties", {}).items():
        yield from _find_secrets(root, inner, (*path, name))
    for keyword in ("items", "additionalProperties"):
        if isinstance(inner := node.get(keyword), Mapping):
            yield from _find_secrets(root, inner, (*path, "*"))
    if node.get("additionalProperties") is False:  # The patterns say which names are allowed.
        for inner in node.get("patternProperties", {}).values():
            yield from _find_secrets(root, inner, (*path, "*"))


def _resolve_reference(root: Schema, node: Schema) -> Schema:
    reference = node.get("$ref")
    if not isinstance(reference, str):
        return node
    definition: Schema = root["$defs"][reference.removeprefix("#/$defs/")]
    return definition


def main(arguments: list[str]) -> int:
    """Write the file, or check that it is up to date. Returns the exit code: 1 if it is out of date."""
    text = catalogue_text(generate_kinds())
    if "--write" in arguments:
        CATALOGUE_FILE.write_text(text, "utf-8")
        return 0
    if CATALOGUE_FILE.exists() and CATALOGUE_FILE.read_text("utf-8") == text:
        return 0
    sys.stderr.write(
        f"{CATALOGUE_FILE.name} is out of date: run python -m apps.engine.catalogue --write\n"
    )
    return 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
