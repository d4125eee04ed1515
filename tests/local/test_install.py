"""The installers: what they install, and their errors. The test of `make up` runs a whole installation."""

import subprocess
from pathlib import Path

import pytest

from local import frontend, install, toolbox
from local.errors import LocalError
from local.home import CHECKOUT


def test_a_fingerprint_depends_on_names_contents_and_words(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(toolbox, "CHECKOUT", tmp_path)
    first, second = tmp_path / "a", tmp_path / "b"
    first.write_text("x")
    second.write_text("x")
    fingerprints = {
        toolbox.fingerprint([first]),
        toolbox.fingerprint([second]),
        toolbox.fingerprint([first, second]),
        toolbox.fingerprint([first], "word"),
    }
    first.write_text("y")
    fingerprints.add(toolbox.fingerprint([first]))
    assert len(fingerprints) == 5


def test_make_up_does_not_remove_development_packages() -> None:
    before = install.STAMP.read_text() if install.STAMP.exists() else None
    installed = {path.name for path in (install.VENV / "lib").glob("python*/site-packages/pytest")}
    assert installed, "The tests must run in a development environment."
    assert install.select_kind("runtime") == "dev"
    assert (install.STAMP.read_text() if install.STAMP.exists() else None) == before


def test_ctrl_c_during_installation_shows_no_traceback(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    def raise_interrupt(*_words: str) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(install, "install", raise_interrupt)
    monkeypatch.setattr(frontend, "build", raise_interrupt)
    assert (install.main(["runtime"]), frontend.main([])) == (130, 130)
    assert capfd.readouterr().err.count("Stopped") == 2


def test_a_failed_tool_prints_its_output_and_the_next_step(
    capfd: pytest.CaptureFixture[str],
) -> None:
    with pytest.raises(LocalError, match=r"Trying failed, see the lines above; be patient\."):
        toolbox.run(["sh", "-c", "echo why; exit 3"], step="Trying", remedy="be patient")
    assert "why" in capfd.readouterr().err


def test_a_tool_that_fails_on_a_full_disk_reports_the_full_disk() -> None:
    command = ["sh", "-c", "echo 'write: No space left on device'; exit 1"]
    with pytest.raises(LocalError, match="the disk is full"):
        toolbox.run(command, step="Trying")


def test_tools_without_a_usable_home_get_a_home_in_the_checkout(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(toolbox, "TOOLS", tmp_path)
    for unusable in ("", str(tmp_path / "missing")):
        monkeypatch.setenv("HOME", unusable)
        assert toolbox.environment()["HOME"] == str(tmp_path / "home")


def test_find_python_prints_a_supported_python() -> None:
    found = subprocess.run(
        [CHECKOUT / "local" / "find-python"], capture_output=True, text=True, check=True
    )
    check = "import sys; assert (3, 11) <= sys.version_info[:2] < (3, 14)"
    subprocess.run([found.stdout.strip(), "-c", check], check=True)


def test_find_python_prints_one_sentence_without_a_supported_python(tmp_path: Path) -> None:
    result = subprocess.run(
        [CHECKOUT / "local" / "find-python"],
        env={"PATH": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 1
    assert result.stderr.startswith("Drover needs Python 3.11, 3.12 or 3.13")
