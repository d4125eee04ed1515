"""During an upgrade, processes of the last release and of this code use the same migrated database.

The code of the last release is read from the history of this repository. Its processes run with the packages of this
environment.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from uuid import UUID

import pytest

from apps.orgs.operators.upgrades.migrations import read_last_release
from tests.runs.conftest import make_pipeline
from tests.runs.processes import (
    SHORT_LEASES,
    has_ended,
    running_worker,
    start_run,
    wait_for_run,
)
from tests.world import World, make_world

ROOT = Path(__file__).resolve().parents[2]
ROWS = 5000
START_RUN = """
from uuid import UUID
from apps.orgs.models import Org
from apps.orgs.principals import SYSTEM
from apps.orgs.walls.scope import org_scope
from apps.runs import services
org_id, pipeline_id = UUID({org_id!r}), UUID({pipeline_id!r})
with org_scope(org_id):
    print(services.start(org=Org.objects.get(pk=org_id), by=SYSTEM, pipeline_id=pipeline_id).pk)
"""
CHECK_MIGRATIONS = """
from apps.background.health import check_migrations
print(check_migrations().ok)
"""

pytestmark = pytest.mark.long


@pytest.fixture(scope="module")
def last_release(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with the code of the last release."""
    commit = read_last_release().commit
    folder = tmp_path_factory.mktemp("last-release")
    archive = subprocess.run(["git", "archive", commit], cwd=ROOT, capture_output=True, check=False)
    if archive.returncode:
        pytest.fail(
            f"The commit {commit} of the last release is not in this clone: run `git fetch --unshallow`. "
            f"git says: {archive.stderr.decode().strip()}"
        )
    subprocess.run(["tar", "--extract", "--directory", folder], input=archive.stdout, check=True)
    return folder


@pytest.fixture
def acme(committed_db: None) -> World:
    return make_world()


def run_old_code(folder: Path, code: str) -> str:
    """Run code in the shell of the last release, and return the last line that it prints."""
    result = subprocess.run(
        [sys.executable, folder / "manage.py", "shell", "--verbosity", "0", "-c", code],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 0, result.stderr
    return result.stdout.strip().splitlines()[-1]


@contextmanager
def old_worker(folder: Path) -> Iterator[None]:
    """Run the worker of the last release until the block ends."""
    worker = subprocess.Popen(
        [sys.executable, folder / "manage.py", "worker"],
        cwd=folder,
        env={**os.environ, **SHORT_LEASES},
    )
    try:
        yield
    finally:
        worker.terminate()
        worker.wait(20)


def assert_succeeded(acme: World, run_id: UUID) -> None:
    run = wait_for_run(acme, run_id, has_ended, seconds=90)
    assert run["status"] == "succeeded", run
    assert run["progress"]["written"] == ROWS
    assert [attempt["status"] for attempt in run["attempts"]] == ["succeeded"]


def test_the_file_of_the_last_release_lists_its_last_migrations(last_release: Path) -> None:
    labels = {
        path.parents[1]: path.parents[1].name
        for path in last_release.glob("apps/*/migrations/__init__.py")
    }
    found = {
        {"auth": "identity"}.get(label, label): sorted(
            path.stem for path in folder.glob("migrations/[0-9]*.py")
        )[-1]
        for folder, label in labels.items()
    }
    listed = read_last_release().migrations
    assert found == {app: listed[app] for app in found}


def test_a_worker_of_the_last_release_executes_a_run_that_this_code_has_started(
    acme: World, last_release: Path
) -> None:
    run_id = start_run(acme, make_pipeline(acme, source={"rows": ROWS, "page_size": 1000}))
    with old_worker(last_release):
        assert_succeeded(acme, run_id)


def test_a_worker_of_this_code_executes_a_run_that_the_last_release_has_started(
    acme: World, last_release: Path
) -> None:
    pipeline = make_pipeline(acme, source={"rows": ROWS, "page_size": 1000})
    code = START_RUN.format(org_id=str(acme.org.pk), pipeline_id=str(pipeline.pk))
    run_id = UUID(run_old_code(last_release, code))
    with running_worker():
        assert_succeeded(acme, run_id)


def test_the_last_release_accepts_the_newer_tables(acme: World, last_release: Path) -> None:
    assert run_old_code(last_release, CHECK_MIGRATIONS) == "True"
