"""Storms are rounds of random faults.

DROVER_STORM_SEED repeats a storm. DROVER_STORM_ROUNDS sets the number of rounds.
"""

from __future__ import annotations

import os
import random
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from django.conf import settings
from pytest_django.plugin import DjangoDbBlocker

from tests.runs.own_server import OwnServer, migrated_server, using_database
from tests.storms.api import paged_api
from tests.storms.stage import Stage


@pytest.fixture(scope="session")
def storm_server(django_db_setup: None) -> Iterator[OwnServer]:
    """Start a PostgreSQL for all storms of this process."""
    with (
        TemporaryDirectory(prefix="drover-storms-") as folder,
        migrated_server(Path(folder)) as server,
    ):
        yield server


@pytest.fixture
def rng(request: pytest.FixtureRequest) -> random.Random:
    """Return the random generator for all choices of a storm. Its seed is printed after the tests."""
    seed = os.environ.get("DROVER_STORM_SEED") or str(random.SystemRandom().randrange(10**9))
    print(f"DROVER_STORM_SEED={seed}")
    request.node.user_properties.append(("DROVER_STORM_SEED", seed))
    return random.Random(f"{request.node.name} {seed}")


@pytest.fixture
def rounds() -> range:
    return range(int(os.environ.get("DROVER_STORM_ROUNDS", "3")))


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """Create the folder of the workers' files."""
    folder = tmp_path / "home"
    folder.mkdir()
    return folder


@pytest.fixture
def stage(
    storm_server: OwnServer,
    rng: random.Random,
    home: Path,
    monkeypatch: pytest.MonkeyPatch,
    django_db_blocker: DjangoDbBlocker,
) -> Iterator[Stage]:
    """Prepare two workers, an API and an org. At the end, check that no process is left."""
    monkeypatch.setenv("DROVER_HOME", str(home))
    monkeypatch.setattr(settings, "DROVER_HOME", home)
    with (
        django_db_blocker.unblock(),
        using_database(storm_server.admin_url(), monkeypatch),
        paged_api() as api,
    ):
        new_stage = Stage(storm_server, api, rng, home)
        try:
            yield new_stage
        finally:
            new_stage.stop()
