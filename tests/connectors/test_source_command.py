"""`manage.py test_source`: an author's check, streams and fetch, without an installation."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.connectors.test_custom_sources import TOKEN, code
from tests.connectors.test_custom_sources import port as port
from tests.runs.processes import ROOT


def run(*arguments: str | Path, stdin: str = "") -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, ROOT / "manage.py", "test_source", *map(str, arguments)],
        env={"PATH": os.environ["PATH"], "HOME": "/nonexistent", "DROVER_HOME": "/nonexistent"},
        input=stdin,
        capture_output=True,
        text=True,
        timeout=60,
    )


@pytest.fixture
def shop(tmp_path: Path, port: int) -> Path:
    path = tmp_path / "shop.py"
    path.write_text(code(port))
    return path


def test_it_checks_lists_and_reads_with_settings_from_standard_input(shop: Path) -> None:
    done = run(shop, "--config", "-", stdin=f'{{"token": "{TOKEN}"}}')
    assert done.returncode == 0, done.stderr
    for line in ("ok valid", "ok isolate", "ok connect", "ok stream   orders", "200 in"):
        assert line in done.stdout
    assert '{"id": 1, "total": 9.5}' in done.stdout
    assert TOKEN not in done.stdout


def test_what_fails_ends_with_one_and_its_step(shop: Path) -> None:
    done = run(shop, "--set", "token=wrong")
    assert done.returncode == 1
    assert "connect: The source refused the credentials (401)." in done.stderr
    shop.write_text("import pandas\nclass")
    done = run(shop)
    assert done.returncode == 1
    assert f"{shop}:2:" in done.stdout


def test_a_folder_is_validated_file_by_file(shop: Path) -> None:
    (shop.parent / "_helper.py").write_text("x")
    (shop.parent / "other.py").write_text("import pandas\n" + code())
    done = run(shop.parent)
    assert done.returncode == 1
    assert "other.py:1:1: error: A custom source cannot import pandas." in done.stdout
    assert "helper" not in done.stdout


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["none.py"], "There is no file"),
        (["--set", "token=x", "--stream", "x"], "it has orders"),
        (["--set", "tokn=x"], "did you mean token?"),
        ([], "token: This field is required."),
        (["--config", "none.json"], "cannot be read"),
        (["--set", "token"], "NAME=VALUE"),
    ],
)
def test_what_cannot_be_read_ends_with_two_and_one_sentence(
    arguments: list[str], says: str, shop: Path
) -> None:
    done = run(*([shop] if arguments != ["none.py"] else []), *arguments)
    assert done.returncode == 2
    assert says in done.stderr
    assert "Traceback" not in done.stderr
