"""One world to attack and one ordinary user per test process."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator

import pytest

from apps.engine.sandbox.process import SandboxSite
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
def ground(home: str) -> Callable[[str], SandboxSite]:
    """Where a sandbox of a mode is created; a mode that is too weak is refused as usual."""
    return lambda mode: SandboxSite(home, "good", modes.LAYERS[mode])


@pytest.fixture(scope="session")
def ordinary_user() -> Iterator[ordinary.OrdinaryUser]:
    if os.geteuid() != 0:
        raise RuntimeError("the tests themselves run as an ordinary user")
    with ordinary.installed() as made, ordinary.started(made) as user:
        yield user
