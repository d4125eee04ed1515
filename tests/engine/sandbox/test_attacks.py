"""Each attack fails in every isolation mode and succeeds without a sandbox, so the sandbox is what stops it."""

from __future__ import annotations

import base64
import os
import platform
from collections.abc import Callable

import pytest

from apps.engine.sandbox import process, syscalls
from apps.engine.sandbox.process import SandboxSite
from tests.engine.sandbox import attack_targets, attacks, modes
from tests.engine.sandbox.attacks import AttackTargets
from tests.engine.sandbox.ordinary import OrdinaryUser

# Some kernels lack the feature that these attacks use, so these attacks may fail without a sandbox too.
MAY_FAIL_WITHOUT_SANDBOX = {"calls_as_x32"}
# These attacks need root, so they fail without a sandbox too if the tests do not run as root.
NEED_ROOT = {"mounts_a_file_system", "changes_its_root", "becomes_root", "loads_a_kernel_program"}
NEED_X86 = {"calls_as_i386", "calls_as_x32", "loads_a_kernel_program", "uses_kernel_keys"}
ATTACK_NAMES = sorted(
    attacks.attacks_by_name().keys() - (set() if platform.machine() == "x86_64" else NEED_X86)
)
SUCCEED_WITHOUT_SANDBOX = sorted(
    set(ATTACK_NAMES) - MAY_FAIL_WITHOUT_SANDBOX - (set() if os.geteuid() == 0 else NEED_ROOT)
)


@pytest.mark.sample(3)
@pytest.mark.parametrize("name", SUCCEED_WITHOUT_SANDBOX)
def test_an_attack_succeeds_without_a_sandbox(name: str, targets: AttackTargets) -> None:
    assert attack_targets.run_without_sandbox(name, targets)


@pytest.mark.parametrize(("name", "mode"), modes.case_params(ATTACK_NAMES, full_modes=()))
def test_an_attack_fails_in_a_sandbox(
    name: str, mode: str, targets: AttackTargets, make_site: Callable[[str], SandboxSite]
) -> None:
    result = attack_targets.run_attack(name, targets, make_site(mode))
    assert not result["won"]
    assert result.get("error_type") != "ConfigurationError", result["why"]  # the attack ran


@pytest.mark.sample(4)
@pytest.mark.skipif(os.geteuid() != 0, reason="only root can start another user's process")
@pytest.mark.parametrize("name", ATTACK_NAMES)
def test_an_attack_fails_in_a_sandbox_of_an_ordinary_user(
    name: str, targets: AttackTargets, ordinary_user: OrdinaryUser
) -> None:
    result = ordinary_user.run_attack(name, targets)
    assert result["uid"] != 0
    assert not result["won"]
    assert result.get("error_type") != "ConfigurationError", result["why"]


@pytest.mark.parametrize("name", ["truncates_a_file", "truncates_while_opening"])
def test_the_seccomp_filter_refuses_truncation_if_landlock_does_not(
    name: str, targets: AttackTargets, home: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Kernels before 6.2 have no Landlock rule for truncation, so the seccomp filter must refuse it.

    In newer kernels Landlock refuses truncation, and the filter allows it.
    """
    seccomp_site = SandboxSite(home, "weak", ("seccomp",))
    result = attack_targets.run_attack(name, targets, seccomp_site)
    assert not result["won"]
    assert result.get("error_type") != "ConfigurationError", result["why"]
    filter_for_new_kernels = base64.b64encode(syscalls.compile_filter(truncate=True)).decode()
    monkeypatch.setattr(process, "_encoded_filter", lambda chosen: filter_for_new_kernels)
    assert attack_targets.run_attack(name, targets, seccomp_site)["won"]
