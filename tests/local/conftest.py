"""What tests of this folder share: the compose file, and one server where none of their own is needed."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from local.postgres import EmbeddedPostgres, temporary_postgres


@pytest.fixture(scope="module")
def compose() -> dict[str, Any]:
    file = Path(__file__).resolve().parents[2] / "docker-compose.yml"
    document: dict[str, Any] = yaml.safe_load(file.read_text())
    return document


@pytest.fixture(scope="module")
def shared_server() -> Iterator[EmbeddedPostgres]:
    with temporary_postgres() as server:
        yield server
