"""Shared by the tests of this folder: the compose file, one cluster to copy, and one server."""

import subprocess
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from local.database.postgres import EmbeddedPostgres, temporary_postgres


@pytest.fixture(scope="module")
def compose() -> dict[str, Any]:
    file = Path(__file__).resolve().parents[2] / "docker-compose.yml"
    document: dict[str, Any] = yaml.safe_load(file.read_text())
    return document


@pytest.fixture(scope="session")
def copy_cluster() -> Iterator[Callable[[EmbeddedPostgres], None]]:
    """Gives a server a copied cluster: creating one takes a second, copying much less."""
    with tempfile.TemporaryDirectory(prefix="drover-cluster-") as folder:
        Path(folder).chmod(
            0o711
        )  # as root the server runs as another user, who must be able to enter
        made = EmbeddedPostgres(Path(folder) / "pg", durable=False)
        made.init()

        def copy(server: EmbeddedPostgres) -> None:
            for source, target in (
                (made.data_dir.resolve(), server.data_dir),
                (made.password_file, server.password_file),
            ):
                subprocess.run(["cp", "-a", source, target], check=True)

        yield copy
        made.delete()


@pytest.fixture(scope="module")
def shared_server() -> Iterator[EmbeddedPostgres]:
    with temporary_postgres() as server:
        yield server
