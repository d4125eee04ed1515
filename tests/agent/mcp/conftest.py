"""Two real web processes, and a world whose rows they can see."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.web_server import web_server
from tests.world import World, make_world


@pytest.fixture(scope="package")
def server(django_db_setup: None) -> Iterator[str]:
    with web_server() as address:
        yield address


@pytest.fixture
def world(committed_db: None) -> World:
    return make_world()


@pytest.fixture
def stranger(committed_db: None) -> World:
    return make_world("Strangers")
