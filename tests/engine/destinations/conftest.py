"""Real destinations to run the contract against: a folder, S3 and GCS servers, PostgreSQL, DuckDB."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.engine.destinations.killed import Zygote
from tests.engine.destinations.servers import Servers
from tests.engine.destinations.targets import TARGETS, Target


@pytest.fixture(scope="session")
def servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Servers]:
    """Servers that are started on first use."""
    started = Servers()
    yield started
    started.close()


@pytest.fixture(scope="session")
def zygote() -> Iterator[Zygote]:
    """Forks processes that are killed, or run out of disk space, while they write."""
    made = Zygote()
    yield made
    made.stop()


@pytest.fixture(params=list(TARGETS))
def target(request: pytest.FixtureRequest, servers: Servers, tmp_path: Path) -> Iterator[Target]:
    """Each destination in turn, empty."""
    made = TARGETS[request.param](servers, tmp_path)
    yield made
    made.close()
