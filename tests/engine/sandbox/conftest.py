"""Create the targets of attacks and the process of an ordinary user, once for each test process."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator

import pytest

from apps.engine.sandbox.process import SandboxSite
from tests.engine.sandbox import attack_targets, modes, ordinary
from tests.engine.sandbox.attacks import AttackTargets


@pytest.fixture(scope="session")
def targets() -> Iterator[AttackTargets]:
    with attack_targets.create_targets() as created_targets:
        yield created_targets


@pytest.fixture(scope="session")
def home(tmp_path_factory: pytest.TempPathFactory) -> str:
    return str(tmp_path_factory.mktemp("sandboxes"))


@pytest.fixture(scope="session")
def make_site(home: str) -> Callable[[str], SandboxSite]:
    """Return a function that returns the site for sandboxes of a mode. Level "good" is required, as by default."""
    return lambda mode: SandboxSite(home, "good", modes.LAYERS[mode])


@pytest.fixture(scope="session")
def ordinary_user() -> Iterator[ordinary.OrdinaryUser]:
    if os.geteuid() != 0:
        raise RuntimeError("only root can start a process of another user")
    with ordinary.install_copy() as installation, ordinary.start_user_process(installation) as user:
        yield user
