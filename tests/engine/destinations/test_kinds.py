"""Every kind of destination describes its settings. The logger logs records and stores none."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from loguru import logger
from pydantic import SecretStr

from apps.engine import destinations
from apps.engine.contract import DestinationSpec, StorageRoot
from apps.engine.destinations.base import Batch, Destination, Publication
from apps.engine.failures import ConfigurationError
from apps.engine.sync.build import build_destination


@pytest.mark.parametrize("kind", destinations.DESTINATIONS)
def test_every_kind_has_a_description_of_itself_and_of_each_setting(kind: str) -> None:
    module = destinations.load(kind)
    assert kind == module.KIND
    assert module.TITLE
    assert module.DESCRIPTION.endswith(".")
    assert issubclass(module.Destination, Destination)
    schema = module.Config.model_json_schema()
    assert schema["additionalProperties"] is False
    for name, setting in schema["properties"].items():
        assert setting.get("title"), name
        assert setting.get("description"), name


@pytest.mark.parametrize("kind", destinations.DESTINATIONS)
def test_secrets_are_marked_and_never_printed(kind: str) -> None:
    model = destinations.load(kind).Config
    schema = model.model_json_schema()
    marked_names = [name for name in schema["properties"] if is_secret(schema["properties"][name])]
    secret_names = [
        name
        for name in schema["properties"]
        if any(w in name for w in ("password", "secret", "token", "account"))
    ]
    assert marked_names == secret_names
    config = model.model_construct(**dict.fromkeys(marked_names, SecretStr("hunter2")))
    assert "hunter2" not in repr(config)


def is_secret(setting: dict[str, Any]) -> bool:
    branches = setting.get("anyOf", [setting])
    return any(b.get("writeOnly") and b.get("format") == "password" for b in branches)


def test_listing_the_kinds_does_not_import_their_libraries() -> None:
    code = (
        "import sys, apps.engine.destinations;"
        "names = ('duckdb', 'polars', 'boto3', 'botocore', 'google.cloud.storage', 'psycopg');"
        "print([name for name in names if name in sys.modules])"
    )
    root = Path(__file__).resolve().parents[3]
    process = subprocess.run(
        [sys.executable, "-c", code], cwd=root, capture_output=True, text=True, check=True
    )
    assert process.stdout.strip() == "[]"


def test_loading_every_kind_imports_no_bucket_client_and_no_duckdb() -> None:
    code = (
        "import sys; from apps.engine import destinations;"
        "[destinations.load(kind) for kind in destinations.DESTINATIONS];"
        "print([m for m in ('duckdb', 'boto3', 'botocore', 'google.cloud.storage') if m in sys.modules])"
    )
    root = Path(__file__).resolve().parents[3]
    process = subprocess.run(
        [sys.executable, "-c", code], cwd=root, capture_output=True, text=True, check=True
    )
    assert process.stdout.strip() == "[]"


def test_the_logger_logs_sample_rows_and_stores_none(tmp_path: Path) -> None:
    lines: list[str] = []
    sink = logger.add(lines.append, format="{message}")
    destination = build_destination(
        DestinationSpec("logger", {"sample_rows": 2}, "flights"),
        job_id="a",
        data=StorageRoot(f"file://{tmp_path}", "x"),
    )
    batch = Batch("1", 0, 3, 4)
    try:
        assert all(step.ok for step in destination.check())
        destination.open(())
        destination.stage(pl.DataFrame({"id": [1, 2, 3, 4], "t": ["x" * 5000] * 4}), batch)
        assert destination.publish([batch]) == Publication(4)
        assert destination.publish([batch]) == Publication(4)
    finally:
        logger.remove(sink)
    sample_lines = [line for line in lines if line.startswith("Sample row")]
    assert len(sample_lines) == 2
    assert all(len(line) < 400 for line in sample_lines)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("kind", destinations.DESTINATIONS)
def test_unknown_settings_are_refused_by_name(kind: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError) as raised:
        build_destination(
            DestinationSpec(kind, {"no_such_setting": "hunter2"}, "flights"),
            job_id="a",
            data=StorageRoot(f"file://{tmp_path}", "x"),
        )
    evidence = " ".join(raised.value.evidence)
    assert "config.no_such_setting" in evidence
    assert "hunter2" not in evidence
