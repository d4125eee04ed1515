"""`manage.py test_source` checks a source, lists its streams and reads records, without an installation."""

from __future__ import annotations

import io
import os
import subprocess
import sys
from pathlib import Path

import pytest
from django.core.management import CommandError, call_command

from tests.connectors.test_custom_sources import TOKEN, source_code
from tests.connectors.test_custom_sources import port as port
from tests.runs.processes import ROOT


def run_command(*arguments: str | Path, stdin: str = "") -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, ROOT / "manage.py", "test_source", *map(str, arguments)],
        env={"PATH": os.environ["PATH"], "HOME": "/nonexistent", "DROVER_HOME": "/nonexistent"},
        input=stdin,
        capture_output=True,
        text=True,
        timeout=60,
    )


def call_and_return_error(*arguments: str | Path) -> tuple[CommandError, str]:
    """Call the command, which must fail before it starts the source. Return its error and its output."""
    out = io.StringIO()
    with pytest.raises(CommandError) as raised:
        call_command("test_source", *map(str, arguments), stdout=out)
    return raised.value, out.getvalue()


@pytest.fixture
def shop_path(tmp_path: Path, port: int) -> Path:
    path = tmp_path / "shop.py"
    path.write_text(source_code(port))
    return path


def test_the_command_reads_its_settings_from_standard_input(shop_path: Path) -> None:
    finished = run_command(shop_path, "--config", "-", stdin=f'{{"token": "{TOKEN}"}}')
    assert finished.returncode == 0, finished.stderr
    for line in ("ok valid", "ok isolate", "ok connect", "ok stream   orders", "200 in"):
        assert line in finished.stdout
    assert '{"id": 1, "total": 9.5}' in finished.stdout
    assert TOKEN not in finished.stdout


def test_a_failed_step_is_named_and_the_exit_code_is_1(shop_path: Path) -> None:
    finished = run_command(shop_path, "--set", "token=wrong")
    assert finished.returncode == 1
    assert "connect: The source refused the credentials (401)." in finished.stderr


def test_an_error_in_the_code_names_its_line(shop_path: Path) -> None:
    shop_path.write_text("import pandas\nclass")
    error, output = call_and_return_error(shop_path)
    assert error.returncode == 1
    assert f"{shop_path}:2:" in output


@pytest.mark.long
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
        return Page([{"id": "read \\x9b2J\\u202e"}], {"page": 2} if HAS_NEXT_PAGE else None)
""")
    code_template = path.read_text()
    for has_next_page in ("False", "True"):
        path.write_text(code_template.replace("HAS_NEXT_PAGE", has_next_page))
        finished = run_command(path)
        output = finished.stdout + finished.stderr
        assert finished.returncode == int(has_next_page == "True"), output
        assert all(line.isprintable() for line in output.splitlines()), output
        assert "said \\u001b[2J\\u202e" in finished.stdout
        expected = (
            "failed \\u001b]0;title\\u0007" if has_next_page == "True" else "read \\u009b2J\\u202e"
        )
        assert expected in output


@pytest.mark.long
def test_each_source_file_of_a_folder_is_validated(shop_path: Path) -> None:
    (shop_path.parent / "_helper.py").write_text("x")
    (shop_path.parent / "other.py").write_text("import pandas\n" + source_code())
    error, output = call_and_return_error(shop_path.parent)
    assert error.returncode == 1
    assert "other.py:1:1: error: A custom source cannot import pandas." in output
    assert "helper" not in output


def test_a_stream_name_with_a_line_break_cannot_forge_an_output_line(tmp_path: Path) -> None:
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
    ("arguments", "message"),
    [
        (["--set", "token=x", "--stream", "x"], "The streams of the source: orders"),
        (["--set", "tokn=x"], "did you mean token?"),
        ([], "token: This field is required."),
        (["--config", "none.json"], "cannot be read"),
        (["--set", "token"], "NAME=VALUE"),
    ],
)
def test_invalid_arguments_are_explained_and_the_exit_code_is_2(
    arguments: list[str], message: str, shop_path: Path
) -> None:
    error, _ = call_and_return_error(shop_path, *arguments)
    assert error.returncode == 2
    assert message in str(error)


def test_a_missing_file_is_reported_without_a_traceback() -> None:
    finished = run_command("none.py")
    assert finished.returncode == 2
    assert "There is no file" in finished.stderr
    assert "Traceback" not in finished.stderr
