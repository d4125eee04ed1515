"""The exit code of `manage.py run_pipeline` is the result of the run."""

from __future__ import annotations

import os
import subprocess
import sys
from io import StringIO
from typing import Any
from uuid import UUID, uuid4

import pytest
from django.core.management import CommandError, call_command

from tests.runs.conftest import make_pipeline
from tests.runs.processes import ROOT, running_worker
from tests.world import World, make_world


def run_pipeline(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, ROOT / "manage.py", "run_pipeline", *arguments],
        env=dict(os.environ),
        capture_output=True,
        text=True,
        timeout=60,
    )


def test_the_exit_code_is_0_for_a_succeeded_run_and_1_for_a_failed_run(acme: World) -> None:
    make_pipeline(acme, name="valid", source={"rows": 300})
    make_pipeline(
        acme, name="broken", source={"rows": 9, "fail_after": 0, "failure": "configuration"}
    )

    with running_worker():
        succeeded_command = run_pipeline("valid", "--org", acme.org.slug, "--wait")
        failed_command = run_pipeline("broken", "--org", acme.org.slug, "--wait")

    assert succeeded_command.returncode == 0, succeeded_command.stderr
    assert "valid succeeded: 300 read, 300 written, 0 rejected" in succeeded_command.stdout
    assert failed_command.returncode == 1, failed_command.stderr
    assert "configuration: " in failed_command.stdout


def test_the_exit_code_is_2_if_no_run_starts_and_4_after_a_timeout(acme: World) -> None:
    make_pipeline(acme, name="flights")
    slug = acme.org.slug

    assert exit_code("flights", org="nobody") == 2
    assert exit_code("unknown", org=slug) == 2
    assert exit_code("flights", org=slug, wait=True, timeout=0.2) == 4
    assert exit_code("flights", org=slug) == 2  # the run from the previous line has not ended


def test_an_org_can_be_given_by_its_slug_or_by_a_unique_name(committed_db: None) -> None:
    world = make_world(f"Known as {uuid4().hex}")
    make_pipeline(world, name="flights")

    with pytest.raises(CommandError, match="Slugs: "):
        call_run_pipeline("flights", org="nobody")
    assert UUID(call_run_pipeline("flights", org=world.org.name.upper()))

    other_world = make_world(world.org.name)
    with pytest.raises(CommandError, match=other_world.org.slug):
        call_run_pipeline("flights", org=world.org.name)


def call_run_pipeline(name: str, *, org: str) -> str:
    out = StringIO()
    call_command("run_pipeline", name, org=org, stdout=out)
    return out.getvalue().strip()


def exit_code(name: str, **options: Any) -> int:
    """Run the command in this process, and return its exit code."""
    try:
        call_command("run_pipeline", name, stdout=StringIO(), stderr=StringIO(), **options)
    except CommandError as error:
        return error.returncode
    except SystemExit as exited:
        return int(exited.code or 0)
    return 0
