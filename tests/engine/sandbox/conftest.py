"""One world to attack and one ordinary user for each process that tests."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator

import pytest

from apps.engine.sandbox.process import Ground
from tests.engine.sandbox import modes, ordinary, worlds
from tests.engine.sandbox.attacks import World


@pytest.fixture(scope="session")
def world() -> Iterator[World]:
    with worlds.made() as made:
        yield made


@pytest.fixture(scope="session")
def home(tmp_path_factory: pytest.TempPathFactory) -> str:
    return str(tmp_path_factory.mktemp("sandboxes"))


@pytest.fixture(scope="session")
def ground(home: str) -> Callable[[str], Ground]:
    """Where a sandbox of a mode stands; a mode that is only weak is refused as anywhere."""
    return lambda mode: Ground(home, "good", modes.LAYERS[mode])


@pytest.fixture(scope="session")
def ordinary_user() -> Iterator[ordinary.OrdinaryUser]:
    if os.geteuid() != 0:
        raise RuntimeError("the tests themselves run as an ordinary user")
    with ordinary.installed() as made, ordinary.started(made) as user:
        yield user
