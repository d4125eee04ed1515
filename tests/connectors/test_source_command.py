"""`manage.py test_source`: check, list streams and fetch for an author, without an installation."""

from __future__ import annotations

import io
import os
import subprocess
import sys
from pathlib import Path

import pytest
from django.core.management import CommandError, call_command

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


def called(*arguments: str | Path) -> tuple[CommandError, str]:
    """Return exit code and output of the command in this process, for failures before a source is started."""
    out = io.StringIO()
    with pytest.raises(CommandError) as ended:
        call_command("test_source", *map(str, arguments), stdout=out)
    return ended.value, out.getvalue()


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


def test_errors_in_code_name_their_line(shop: Path) -> None:
    shop.write_text("import pandas\nclass")
    ended, told = called(shop)
    assert ended.returncode == 1
    assert f"{shop}:2:" in told


def test_output_of_code_cannot_control_the_terminal(tmp_path: Path) -> None:
    path = tmp_path / "loud.py"
    path.write_text("""
import logging
from drover import Page, Source

class Loud(Source):
    streams = ["clear\\x9b2J"]
    hosts = ["a.example"]

    def get(self, pagination=None):
        logging.getLogger().warning("said \\x1b[2J\\u202e")
        if pagination:
            raise ValueError("failed \\x1b]0;title\\x07")
        return Page([{"id": "read \\x9b2J\\u202e"}], {"page": 2} if LAST else None)
""")
    text = path.read_text()
    for last in ("False", "True"):
        path.write_text(text.replace("LAST", last))
        done = run(path)
        whole = done.stdout + done.stderr
        assert done.returncode == int(last == "True"), whole
        assert all(line.isprintable() for line in whole.splitlines()), whole
        assert "said \\u001b[2J\\u202e" in done.stdout
        found = "failed \\u001b]0;title\\u0007" if last == "True" else "read \\u009b2J\\u202e"
        assert found in whole


def test_a_folder_is_validated_file_by_file(shop: Path) -> None:
    (shop.parent / "_helper.py").write_text("x")
    (shop.parent / "other.py").write_text("import pandas\n" + code())
    ended, told = called(shop.parent)
    assert ended.returncode == 1
    assert "other.py:1:1: error: A custom source cannot import pandas." in told
    assert "helper" not in told


def test_a_name_of_two_lines_forges_no_line(tmp_path: Path) -> None:
    (tmp_path / "two.py").write_text(
        "from drover import Page, Source\n"
        "class Two(Source):\n"
        '    streams = ["a\\nok forged"]\n'
        "    def get(self, pagination=None):\n"
        "        return Page([])\n"
    )
    out = io.StringIO()
    call_command("test_source", str(tmp_path), stdout=out)
    assert "streams: a\n    ok forged" in out.getvalue()


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
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
    ended, _ = called(shop, *arguments)
    assert ended.returncode == 2
    assert says in str(ended)


def test_an_invalid_file_is_refused_in_one_sentence() -> None:
    done = run("none.py")
    assert done.returncode == 2
    assert "There is no file" in done.stderr
    assert "Traceback" not in done.stderr
