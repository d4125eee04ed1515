"""Real destinations for the tests: a folder, S3 and GCS servers, PostgreSQL, DuckDB."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.engine.destinations.fork_server import ForkServer
from tests.engine.destinations.servers import Servers
from tests.engine.destinations.targets import TARGETS, Target


@pytest.fixture(scope="session")
def servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Servers]:
    """Return servers that start on first use."""
    test_servers = Servers()
    yield test_servers
    test_servers.close()


@pytest.fixture(scope="session")
def fork_server() -> Iterator[ForkServer]:
    """Return a server that forks writing processes. It can kill them, or limit the size of their files."""
    server = ForkServer()
    yield server
    server.stop()


@pytest.fixture(params=list(TARGETS))
def target(request: pytest.FixtureRequest, servers: Servers, tmp_path: Path) -> Iterator[Target]:
    """Return each destination in turn, without any data."""
    empty_target = TARGETS[request.param](servers, tmp_path)
    yield empty_target
    empty_target.close()
