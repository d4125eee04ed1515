"""The capabilities that the compose file gives web and worker, and what custom code can do with them."""

import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from apps.engine.sandbox import users
from tests.engine.sandbox import modes, ordinary, worlds
from tests.engine.sandbox.attacks import World
from tests.engine.sandbox.ordinary import Installation, OrdinaryUser

pytestmark = pytest.mark.skipif(
    os.geteuid() != 0, reason="only root can take rights of a container"
)


def started_as(service: dict[str, Any]) -> list[str]:
    """Return the command that starts a program with the container's capabilities, and no others."""
    user = int(str(service.get("user", ordinary.USER)).partition(":")[0])
    outside = ordinary.setpriv(uid=user, capabilities=service.get("cap_add", ()))
    command = service.get("command", ["python"])
    return [*outside, *command[: command.index("python")]]


def source(body: str) -> str:
    """A custom source whose first page runs `body`."""
    lines = "\n".join(f"        {line}" for line in body.splitlines())
    return f"""
import os, sys, time
from drover import Page, Source

class Trying(Source):
    streams = ["attack"]

    def get(self, pagination=None):
{lines}
"""


def running_for_sandboxes() -> set[int]:
    """Return the processes whose user is one of the sandboxes'."""
    numbers = range(users.FIRST_UID, users.FIRST_UID + users.UID_COUNT)
    found = set()
    for process in Path("/proc").glob("[0-9]*"):
        try:
            if process.stat().st_uid in numbers:
                found.add(int(process.name))
        except FileNotFoundError:
            continue
    return found


def wait_for(happens: Callable[[], bool]) -> None:
    until = time.monotonic() + 30
    while not happens():
        assert time.monotonic() < until
        time.sleep(0.05)


WAYS = ("reads_keys", "changes_a_mode", "becomes_root", "changes_its_root", "signals_its_parent")


@pytest.fixture(scope="module")
def world() -> Iterator[World]:
    with worlds.create_world() as made:
        yield made


@pytest.fixture(scope="module")
def installation() -> Iterator[Installation]:
    """One for all containers, as they share a volume; copying Python into it takes seconds."""
    with ordinary.install_copy() as made:
        yield made


@pytest.fixture
def worker(compose: dict[str, Any], installation: Installation) -> Iterator[OrdinaryUser]:
    """A process with the capabilities of the worker's container, which has no bubblewrap."""
    start = started_as(compose["services"]["worker"])
    with ordinary.start_user_process(installation, start, modes.LAYERS["root"]) as made:
        yield made


def test_the_workers_code_has_a_user_of_its_own(worker: OrdinaryUser, world: World) -> None:
    answer = worker.run_code(source("return Page([{'user': os.getuid()}])"), world)
    assert answer["level"] == "strong"
    assert answer["uid"] == ordinary.USER
    assert answer["user"] in range(users.FIRST_UID, users.FIRST_UID + users.UID_COUNT)
    for name in WAYS:
        answer = worker.run_attack(name, world)
        assert not answer["won"]
        assert "ended" not in answer, answer["why"]


def test_the_worker_removes_what_another_user_closed(worker: OrdinaryUser, world: World) -> None:
    closed = (
        "for name in ('a', 'b'):\n    os.mkdir(name)\n    open(name + '/file', 'w').close()\n"
        "    os.mkdir(name + '/closed', 0)\nreturn Page([{'made': True}])"
    )
    assert worker.run_code(source(closed), world)["made"]
    (base,) = worker.home.glob("*/root-*/drover-scratch")
    assert list(base.iterdir()) == []


def test_the_worker_counts_what_another_user_deleted(worker: OrdinaryUser, world: World) -> None:
    deleted = (
        "held = []\nfor _ in range(12):\n    held.append(open('f', 'w+b', buffering=0))\n"
        "    os.unlink('f')\n    held[-1].write(bytes(1 << 20))\ntime.sleep(60)"
    )
    assert worker.run_code(source(deleted), world)["ended"] == "LimitExceeded"


def test_the_worker_ends_code_of_another_user(worker: OrdinaryUser, world: World) -> None:
    before = running_for_sandboxes()
    answer = worker.run_code(source("time.sleep(60)"), world, silence_seconds=1)
    assert answer["ended"] == "TookTooLong"
    wait_for(lambda: running_for_sandboxes() <= before)


def test_code_ends_with_the_worker(worker: OrdinaryUser, world: World) -> None:
    before = running_for_sandboxes()
    worker.send_code(source("time.sleep(60)"), world)
    wait_for(lambda: bool(running_for_sandboxes() - before))
    worker.process.kill()
    wait_for(lambda: running_for_sandboxes() <= before)


def test_the_web_has_no_capabilities_and_isolates_code_all_the_same(
    compose: dict[str, Any], world: World, installation: Installation
) -> None:
    with ordinary.start_user_process(installation, started_as(compose["services"]["web"])) as web:
        for name in WAYS:
            answer = web.run_attack(name, world)
            assert (answer["level"], answer["capabilities"]) == ("good", 0)
            assert not answer["won"]
            assert "ended" not in answer, answer["why"]
