"""The committed catalogue matches the code, lists every source and setting, and marks every secret."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest
from bizon.connectors.sources.gsheets.src.source import GsheetsSourceConfig
from bizon.connectors.sources.hubspot.src.hubspot_objects import HubSpotSourceConfig
from bizon.connectors.sources.notion.src.config import NotionSourceConfig
from bizon.connectors.sources.periscope.src.source import PeriscopeSourceConfig
from bizon.source.config import SourceConfig
from bizon.source.discover import find_all_source_paths
from jsonschema import Draft202012Validator

from apps.engine import catalogue, sources
from apps.engine.catalogue import ConnectorKind
from tests.guards.source import ROOT

KINDS = [*catalogue.sources(), *catalogue.destinations()]


def kind_id(kind: ConnectorKind) -> str:
    return f"{kind.role}-{kind.kind}"


def test_the_committed_catalogue_matches_the_code() -> None:
    assert catalogue.CATALOGUE_FILE.read_text("utf-8") == catalogue.catalogue_text(
        catalogue.generate_kinds()
    ), "run python -m apps.engine.catalogue --write"


def test_every_source_of_bizon_is_offered() -> None:
    assert set(find_all_source_paths()) <= set(sources.SOURCES)


def test_reading_the_catalogue_imports_no_connector() -> None:
    code = (
        "import sys; from apps.engine import catalogue; catalogue.sources();"
        "print([name for name in ('polars', 'bizon', 'pyarrow', 'duckdb') if name in sys.modules])"
    )
    result = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert result.stdout.strip() == "[]"


@pytest.mark.parametrize("kind", KINDS, ids=kind_id)
def test_every_schema_is_valid_and_complete(kind: ConnectorKind) -> None:
    Draft202012Validator.check_schema(kind.config_schema)
    text = json.dumps(kind.config_schema)
    references = {part.split('"')[0] for part in text.split('"$ref": "#/$defs/')[1:]}
    assert references <= kind.config_schema.get("$defs", {}).keys()
    assert kind.config_schema["additionalProperties"] is False
    assert kind.title
    assert kind.description
    assert kind.icon


@pytest.mark.parametrize("kind", KINDS, ids=kind_id)
def test_every_field_is_described(kind: ConnectorKind) -> None:
    objects = [kind.config_schema, *kind.config_schema.get("$defs", {}).values()]
    for schema in objects:
        for name, field in schema.get("properties", {}).items():
            is_constant = "const" in field
            assert is_constant or "description" in field or "$ref" in field, f"{kind.kind}: {name}"


@pytest.mark.parametrize("kind", catalogue.sources(), ids=kind_id)
def test_settings_of_bizons_engine_are_not_offered(kind: ConnectorKind) -> None:
    engine_settings = set(SourceConfig.model_fields) - {"authentication"}
    assert engine_settings == catalogue.ENGINE_FIELDS
    offered = set(kind.config_schema.get("properties", {}))
    assert not offered & engine_settings
    assert "transforms" not in offered


SECRET_WORDS = ("password", "secret", "token", "cookie", "private_key", "service_account_key")
NOT_SECRET_WORDS = (
    "token_refresh_endpoint",
    "access_token_url",
    "access_token_name",
    "cursor",
    "_param",
    "_path",
    "cookies",
)


@pytest.mark.parametrize("kind", KINDS, ids=kind_id)
def test_every_field_with_a_secret_word_in_its_name_is_marked_as_secret(
    kind: ConnectorKind,
) -> None:
    secret_names = {path.split(".")[-1] for path in kind.secret_paths}
    for schema in [kind.config_schema, *kind.config_schema.get("$defs", {}).values()]:
        for name in schema.get("properties", {}):
            looks_secret = any(word in name for word in SECRET_WORDS)
            if looks_secret and not any(word in name for word in NOT_SECRET_WORDS):
                assert name in secret_names, f"{kind.kind}: {name}"


def test_secret_paths_include_nested_settings() -> None:
    rest = catalogue.source("rest")
    assert rest is not None
    names = ("key", "token", "password", "client_secret", "refresh_token")
    places = ("auth", "streams.*.auth")
    assert set(rest.secret_paths) == {"headers.*", "streams.*.headers.*"} | {
        f"{place}.{name}" for place in places for name in names
    }
    sana = catalogue.source("sana_ai")
    assert sana is not None
    assert "authentication.params.client_secret" in sana.secret_paths


@pytest.mark.parametrize(
    ("kind", "config_class"),
    [
        ("hubspot", HubSpotSourceConfig),
        ("notion", NotionSourceConfig),
        ("gsheets", GsheetsSourceConfig),
        ("periscope", PeriscopeSourceConfig),
    ],
)
def test_every_setting_of_a_bizon_source_is_offered(
    kind: str, config_class: type[SourceConfig]
) -> None:
    entry = catalogue.source(kind)
    assert entry is not None
    own_settings = set(config_class.model_fields) - set(SourceConfig.model_fields)
    assert own_settings <= set(entry.config_schema["properties"])


def test_streams_list_their_sync_modes() -> None:
    notion = catalogue.source("notion")
    assert notion is not None
    modes = {stream.name: stream.sync_modes for stream in notion.streams}
    assert modes["users"] == ("full_refresh",)
    assert modes["pages"] == ("full_refresh", "incremental")
    postgres = catalogue.source("postgres")
    assert postgres is not None
    assert (postgres.streams, postgres.needs_cursor) == ((), True)


def test_the_modes_have_the_words_of_the_dashboard() -> None:
    words = (ROOT / "frontend/src/format/modes.ts").read_text()
    for mode, word in [*catalogue.SYNC_MODE_WORDS.items(), *catalogue.WRITE_MODE_WORDS.items()]:
        assert f'  {mode}: "{word}",' in words
