"""Hostile code in every isolation mode; without the sandbox each attack succeeds, so the sandbox stops it."""

from __future__ import annotations

import base64
import os
import platform
from collections.abc import Callable

import pytest

from apps.engine.sandbox import process, syscalls
from apps.engine.sandbox.process import SandboxSite
from tests.engine.sandbox import attacks, modes, worlds
from tests.engine.sandbox.attacks import World
from tests.engine.sandbox.ordinary import OrdinaryUser

# Some kernels lack the features that these use, so that they cannot be tested without a sandbox.
NO_CONTROL = {"calls_as_x32"}
# Attacks that only root can make prove nothing if the tests do not run as root.
ROOTS_OWN = {"mounts", "changes_its_root", "becomes_root", "loads_a_kernel_program"}
X86 = {"calls_as_i386", "calls_as_x32", "loads_a_kernel_program", "uses_kernel_keys"}
NAMES = sorted(attacks.named().keys() - (set() if platform.machine() == "x86_64" else X86))
CONTROLLED = sorted(set(NAMES) - NO_CONTROL - (set() if os.geteuid() == 0 else ROOTS_OWN))


@pytest.mark.parametrize("name", CONTROLLED)
def test_without_a_sandbox_it_wins(name: str, world: World) -> None:
    assert worlds.unsandboxed(name, world)


@pytest.mark.parametrize(("name", "mode"), modes.spread(NAMES))
def test_the_sandbox_holds(
    name: str, mode: str, world: World, ground: Callable[[str], SandboxSite]
) -> None:
    answer = worlds.attacked(name, world, ground(mode))
    assert not answer["won"]
    assert answer.get("ended") != "ConfigurationError", answer["why"]  # it was attempted


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can start another user's process")
@pytest.mark.parametrize("name", NAMES)
def test_the_sandbox_holds_for_an_ordinary_user(
    name: str, world: World, ordinary_user: OrdinaryUser
) -> None:
    answer = ordinary_user.attacked(name, world)
    assert answer["uid"] != 0
    assert not answer["won"]
    assert answer.get("ended") != "ConfigurationError", answer["why"]


@pytest.mark.parametrize("name", ["truncates_a_file", "truncates_while_opening"])
def test_where_landlock_does_not_govern_truncation_the_filter_does(
    name: str, world: World, home: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As in kernels before 6.2: in others Landlock refuses what the filter then allows. Alone it is weak."""
    alone = SandboxSite(home, "weak", ("seccomp",))
    answer = worlds.attacked(name, world, alone)
    assert not answer["won"]
    assert answer.get("ended") != "ConfigurationError", answer["why"]
    governed = base64.b64encode(syscalls.compile_filter(truncate=True)).decode()
    monkeypatch.setattr(process, "_encoded_filter", lambda chosen: governed)
    assert worlds.attacked(name, world, alone)["won"]
