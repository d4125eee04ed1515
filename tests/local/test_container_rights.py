"""The capabilities that the compose file gives web and worker, and what custom code can do with them."""

import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from apps.engine.sandbox import users
from tests.engine.sandbox import attack_targets, modes, ordinary
from tests.engine.sandbox.attacks import AttackTargets
from tests.engine.sandbox.ordinary import Installation, OrdinaryUser

pytestmark = pytest.mark.skipif(
    os.geteuid() != 0, reason="only root can start programs with the capabilities of a container"
)


def start_command(service: dict[str, Any]) -> list[str]:
    """Return the command that starts a program with exactly the capabilities of the service's container."""
    user = int(str(service.get("user", ordinary.UID)).partition(":")[0])
    setpriv_command = ordinary.setpriv_command(uid=user, capabilities=service.get("cap_add", ()))
    command = service.get("command", ["python"])
    return [*setpriv_command, *command[: command.index("python")]]


def source_code(body: str) -> str:
    """Return the code of a custom source that runs `body` for its first page."""
    lines = "\n".join(f"        {line}" for line in body.splitlines())
    return f"""
import os, sys, time
from drover import Page, Source

class Trying(Source):
    streams = ["attack"]

    def get(self, pagination=None):
{lines}
"""


def sandbox_processes() -> set[int]:
    """Return the ids of processes whose user is a user of sandboxes."""
    sandbox_users = range(users.FIRST_UID, users.FIRST_UID + users.UID_COUNT)
    pids = set()
    for process in Path("/proc").glob("[0-9]*"):
        try:
            if process.stat().st_uid in sandbox_users:
                pids.add(int(process.name))
        except FileNotFoundError:
            continue
    return pids


def wait_for(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.05)


ATTACKS = (
    "reads_keys",
    "changes_a_file_mode",
    "becomes_root",
    "changes_its_root",
    "signals_its_parent",
)


@pytest.fixture(scope="module")
def targets() -> Iterator[AttackTargets]:
    with attack_targets.create_targets() as targets:
        yield targets


@pytest.fixture(scope="module")
def installation() -> Iterator[Installation]:
    """One installation for all tests, because copying Python into it takes seconds."""
    with ordinary.install_copy() as installation:
        yield installation


@pytest.fixture
def worker(compose: dict[str, Any], installation: Installation) -> Iterator[OrdinaryUser]:
    """A process with the capabilities of the worker's container, which has no bubblewrap."""
    start = start_command(compose["services"]["worker"])
    with ordinary.start_user_process(installation, start, modes.LAYERS["root"]) as process:
        yield process


def test_custom_code_in_the_worker_has_its_own_user(
    worker: OrdinaryUser, targets: AttackTargets
) -> None:
    answer = worker.run_code(source_code("return Page([{'user': os.getuid()}])"), targets)
    assert answer["level"] == "strong"
    assert answer["uid"] == ordinary.UID
    assert answer["user"] in range(users.FIRST_UID, users.FIRST_UID + users.UID_COUNT)
    for name in ATTACKS:
        answer = worker.run_attack(name, targets)
        assert not answer["won"]
        assert "error_type" not in answer, answer["why"]


def test_the_worker_removes_inaccessible_folders_of_custom_code(
    worker: OrdinaryUser, targets: AttackTargets
) -> None:
    code = (
        "for name in ('a', 'b'):\n    os.mkdir(name)\n    open(name + '/file', 'w').close()\n"
        "    os.mkdir(name + '/closed', 0)\nreturn Page([{'made': True}])"
    )
    assert worker.run_code(source_code(code), targets)["made"]
    (base,) = worker.home.glob("*/root-*/drover-scratch")
    assert list(base.iterdir()) == []


def test_the_disk_limit_counts_deleted_open_files_of_custom_code(
    worker: OrdinaryUser, targets: AttackTargets
) -> None:
    code = (
        "held = []\nfor _ in range(12):\n    held.append(open('f', 'w+b', buffering=0))\n"
        "    os.unlink('f')\n    held[-1].write(bytes(1 << 20))\ntime.sleep(60)"
    )
    assert worker.run_code(source_code(code), targets)["error_type"] == "LimitExceeded"


def test_the_worker_ends_silent_code(worker: OrdinaryUser, targets: AttackTargets) -> None:
    before = sandbox_processes()
    answer = worker.run_code(source_code("time.sleep(60)"), targets, silence_seconds=1)
    assert answer["error_type"] == "TookTooLong"
    wait_for(lambda: sandbox_processes() <= before)


def test_custom_code_ends_when_the_worker_is_killed(
    worker: OrdinaryUser, targets: AttackTargets
) -> None:
    before = sandbox_processes()
    worker.send_code(source_code("time.sleep(60)"), targets)
    wait_for(lambda: bool(sandbox_processes() - before))
    worker.process.kill()
    wait_for(lambda: sandbox_processes() <= before)


def test_the_web_isolates_custom_code_without_capabilities(
    compose: dict[str, Any], targets: AttackTargets, installation: Installation
) -> None:
    with ordinary.start_user_process(
        installation, start_command(compose["services"]["web"])
    ) as web:
        for name in ATTACKS:
            answer = web.run_attack(name, targets)
            assert (answer["level"], answer["capabilities"]) == ("good", 0)
            assert not answer["won"]
            assert "error_type" not in answer, answer["why"]
