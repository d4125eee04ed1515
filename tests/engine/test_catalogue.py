"""The catalogue: what is committed is what the code says, and settings are judged in words."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

import pytest
from bizon.connectors.sources.gsheets.src.source import GsheetsSourceConfig
from bizon.connectors.sources.hubspot.src.hubspot_objects import HubSpotSourceConfig
from bizon.connectors.sources.notion.src.config import NotionSourceConfig
from bizon.connectors.sources.periscope.src.source import PeriscopeSourceConfig
from bizon.source.config import SourceConfig
from bizon.source.discover import find_all_source_paths
from hypothesis import given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from apps.engine import catalogue, sources
from apps.engine.catalogue import ConnectorKind, Role
from apps.engine.validation import validate

SECRET = "s3cret-canary"
KINDS = [*catalogue.sources(), *catalogue.destinations()]


def named(kind: ConnectorKind) -> str:
    return f"{kind.role}-{kind.kind}"


def test_the_committed_catalogue_is_what_the_code_says() -> None:
    assert catalogue.FILE.read_text("utf-8") == catalogue.written(catalogue.generated()), (
        "run python -m apps.engine.catalogue --write"
    )


def test_every_source_of_bizon_is_offered() -> None:
    assert set(find_all_source_paths()) <= set(sources.SOURCES)


def test_reading_the_catalogue_imports_no_connector() -> None:
    code = (
        "import sys; from apps.engine import catalogue, validation; catalogue.sources();"
        "validation.validate('source', 'rest', {});"
        "print([name for name in ('polars', 'bizon', 'pyarrow', 'duckdb') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize("kind", KINDS, ids=named)
def test_every_schema_is_valid_and_complete(kind: ConnectorKind) -> None:
    Draft202012Validator.check_schema(kind.config_schema)
    text = json.dumps(kind.config_schema)
    references = {part.split('"')[0] for part in text.split('"$ref": "#/$defs/')[1:]}
    assert references <= kind.config_schema.get("$defs", {}).keys()
    assert kind.config_schema["additionalProperties"] is False
    assert kind.title
    assert kind.description
    assert kind.icon


@pytest.mark.parametrize("kind", KINDS, ids=named)
def test_every_field_is_described(kind: ConnectorKind) -> None:
    objects = [kind.config_schema, *kind.config_schema.get("$defs", {}).values()]
    for schema in objects:
        for name, field in schema.get("properties", {}).items():
            chooses = "const" in field
            assert chooses or "description" in field or "$ref" in field, f"{kind.kind}: {name}"


@pytest.mark.parametrize("kind", catalogue.sources(), ids=named)
def test_no_setting_of_bizons_engine_leaks_in(kind: ConnectorKind) -> None:
    engine = set(SourceConfig.model_fields) - {"authentication"}
    assert engine == catalogue.ENGINE_FIELDS
    offered = set(kind.config_schema.get("properties", {}))
    assert not offered & engine
    assert "transforms" not in offered


SECRET_WORDS = ("password", "secret", "token", "cookie", "private_key", "service_account_key")
NOT_SECRET = ("token_refresh_endpoint", "access_token_name", "cursor", "_param", "_path", "cookies")


@pytest.mark.parametrize("kind", KINDS, ids=named)
def test_every_field_that_sounds_secret_is_marked(kind: ConnectorKind) -> None:
    marked = {path.split(".")[-1] for path in kind.secret_paths}
    for schema in [kind.config_schema, *kind.config_schema.get("$defs", {}).values()]:
        for name in schema.get("properties", {}):
            sounds = any(word in name for word in SECRET_WORDS)
            if sounds and not any(word in name for word in NOT_SECRET):
                assert name in marked, f"{kind.kind}: {name}"


def test_secret_paths_reach_into_every_branch() -> None:
    rest = catalogue.source("rest")
    assert rest is not None
    assert set(rest.secret_paths) == {"auth.key", "auth.token", "auth.password"}
    sana = catalogue.source("sana_ai")
    assert sana is not None
    assert "authentication.params.client_secret" in sana.secret_paths


@pytest.mark.parametrize(
    ("kind", "upstream"),
    [
        ("hubspot", HubSpotSourceConfig),
        ("notion", NotionSourceConfig),
        ("gsheets", GsheetsSourceConfig),
        ("periscope", PeriscopeSourceConfig),
    ],
)
def test_no_setting_of_bizons_source_is_forgotten(kind: str, upstream: type[SourceConfig]) -> None:
    known = catalogue.source(kind)
    assert known is not None
    own = set(upstream.model_fields) - set(SourceConfig.model_fields)
    assert own <= set(known.config_schema["properties"])


def test_streams_say_what_they_can_do() -> None:
    notion = catalogue.source("notion")
    assert notion is not None
    modes = {stream.name: stream.sync_modes for stream in notion.streams}
    assert modes["users"] == ("full_refresh",)
    assert modes["pages"] == ("full_refresh", "incremental")
    postgres = catalogue.source("postgres")
    assert postgres is not None
    assert (postgres.streams, postgres.needs_cursor) == ((), True)


POSTGRES = {"host": "db.test", "database": "d", "user": "u"}
STREAMS = [{"name": "a"}]
REST = {"base_url": "https://api.test", "streams": STREAMS}


@pytest.mark.parametrize(
    ("role", "kind", "config", "path", "words"),
    [
        ("source", "postgres", {**POSTGRES, "port": SECRET}, "config.port", "whole number"),
        ("source", "postgres", {**POSTGRES, "port": 0}, "config.port", "1 or more"),
        ("source", "postgres", {**POSTGRES, "prot": 1}, "config.prot", "did you mean 'port'?"),
        ("source", "postgres", {"host": "h"}, "config.database", "required"),
        ("source", "postgres", {**POSTGRES, "sslmode": SECRET}, "config.sslmode", "one of disable"),
        ("source", "rest", {**REST, "base_url": SECRET}, "config.base_url", "the form"),
        ("source", "rest", {**REST, "auth": {"type": "bearer"}}, "config.auth.token", "required"),
        (
            "source",
            "rest",
            {**REST, "auth": {"type": "bearer", "token": SECRET, "tken": SECRET}},
            "config.auth.tken",
            "did you mean 'token'?",
        ),
        (
            "source",
            "rest",
            {**REST, "auth": {"type": SECRET}},
            "config.auth.type",
            "one of none, api_key, bearer, basic",
        ),
        ("source", "rest", {**REST, "auth": {"token": SECRET}}, "config.auth.type", "one of none"),
        ("source", "rest", {**REST, "auth": SECRET}, "config.auth", "an object"),
        ("source", "rest", {**REST, "streams": []}, "config.streams", "1 entries or more"),
        (
            "source",
            "rest",
            {**REST, "streams": [{"name": "a", "pagination": {"type": "page", "page_size": 0}}]},
            "config.streams.0.pagination.page_size",
            "1 or more",
        ),
        ("source", "rest", {**REST, "headers": {"A b": SECRET}}, "config.headers.A b", "unknown"),
        ("source", "files", {"path": "", "csv": {}}, "config.path", "empty"),
        ("source", "dummy", {"rows": 10**26}, "config.rows", "or less"),
        ("source", "dummy", [SECRET], "config", "an object"),
        ("source", "nope", {}, "kind", "no source of kind 'nope'"),
        ("destination", "postgres", {"x": 1}, "config.x", "unknown field"),
    ],
)
def test_wrong_settings_are_named_in_words_without_their_value(
    role: Role, kind: str, config: Any, path: str, words: str
) -> None:
    issues = validate(role, kind, config)
    found = {issue.path: issue.message for issue in issues}
    assert words in found[path]
    assert SECRET not in str(found.values())


@pytest.mark.parametrize(
    ("kind", "config"),
    [
        ("postgres", POSTGRES),
        ("rest", REST),
        ("files", {"path": "a.csv"}),
        ("dummy", {}),
        ("pokeapi", {}),
        ("hubspot", {"authentication": {"type": "api_key", "params": {"token": "x"}}}),
    ],
)
def test_good_settings_have_no_issues(kind: str, config: dict[str, Any]) -> None:
    assert validate("source", kind, config) == []


ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3)
    ),
    max_leaves=8,
)
FIELDS = ["host", "port", "auth", "type", "streams", "name", "pagination", "csv", "path", "headers"]


@settings(max_examples=60, deadline=None)
@given(
    st.sampled_from(KINDS),
    st.dictionaries(st.sampled_from(FIELDS) | st.text(max_size=5), ANYTHING, max_size=4) | ANYTHING,
)
def test_no_input_breaks_the_judge(kind: ConnectorKind, config: Any) -> None:
    for issue in validate(kind.role, kind.kind, config):
        assert issue.path.startswith("config")
        assert issue.message
