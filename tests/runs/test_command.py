"""`manage.py run_pipeline`: its exit code is the result of the run."""

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
from tests.runs.processes import ROOT, worker
from tests.world import World, make_world


def run_pipeline(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, ROOT / "manage.py", "run_pipeline", *arguments],
        env=dict(os.environ),
        capture_output=True,
        text=True,
        timeout=60,
    )


def test_the_exit_code_is_the_result(acme: World) -> None:
    make_pipeline(acme, name="good", source={"rows": 300})
    make_pipeline(acme, name="bad", source={"rows": 9, "fail_after": 0, "failure": "configuration"})

    with worker():
        good = run_pipeline("good", "--org", acme.org.slug, "--wait")
        bad = run_pipeline("bad", "--org", acme.org.slug, "--wait")

    assert good.returncode == 0, good.stderr
    assert "good succeeded: 300 read, 300 written, 0 rejected" in good.stdout
    assert bad.returncode == 1, bad.stderr
    assert "configuration: " in bad.stdout


def test_what_cannot_start_or_does_not_end_in_time_has_codes_of_its_own(acme: World) -> None:
    make_pipeline(acme, name="patient")
    slug = acme.org.slug

    assert code_of("patient", org="nobody") == 2
    assert code_of("unknown", org=slug) == 2
    assert code_of("patient", org=slug, wait=True, timeout=0.2) == 4
    assert code_of("patient", org=slug) == 2  # that run has not ended yet


def test_the_organization_goes_by_its_slug_or_by_a_name_that_is_its_own(committed_db: None) -> None:
    world = make_world(f"Known as {uuid4().hex}")
    make_pipeline(world, name="patient")

    with pytest.raises(CommandError, match="Slugs: "):
        start("patient", org="nobody")
    assert UUID(start("patient", org=world.org.name.upper()))

    other = make_world(world.org.name)
    with pytest.raises(CommandError, match=other.org.slug):
        start("patient", org=world.org.name)


def start(name: str, *, org: str) -> str:
    out = StringIO()
    call_command("run_pipeline", name, org=org, stdout=out)
    return out.getvalue().strip()


def code_of(name: str, **options: Any) -> int:
    """Return the exit code, in this process."""
    try:
        call_command("run_pipeline", name, stdout=StringIO(), stderr=StringIO(), **options)
    except CommandError as error:
        return error.returncode
    except SystemExit as ended:
        return int(ended.code or 0)
    return 0
