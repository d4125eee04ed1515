"""Fixtures of this folder: the compose file, a cluster to copy, and a running server."""

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
    """Return a function that copies a cluster to a server's data folder. Copying is faster than creating a cluster."""
    with tempfile.TemporaryDirectory(prefix="drover-cluster-") as folder:
        # If the tests run as root, the server runs as another user, who must be able to enter the folder.
        Path(folder).chmod(0o711)
        original = EmbeddedPostgres(Path(folder) / "pg", durable=False)
        original.init()

        def copy(server: EmbeddedPostgres) -> None:
            for source, target in (
                (original.data_dir.resolve(), server.data_dir),
                (original.password_file, server.password_file),
            ):
                subprocess.run(["cp", "-a", source, target], check=True)

        yield copy
        original.delete()


@pytest.fixture(scope="module")
def shared_server() -> Iterator[EmbeddedPostgres]:
    with temporary_postgres() as server:
        yield server
