"""The decisions of the installers, tested with real files; the installation itself is tested by `make up`."""

import subprocess
from pathlib import Path

import pytest

from local import frontend, install, toolbox
from local.errors import LocalError
from local.home import CHECKOUT


def test_a_fingerprint_changes_with_a_name_a_content_or_a_word(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(toolbox, "CHECKOUT", tmp_path)
    first, second = tmp_path / "a", tmp_path / "b"
    first.write_text("x")
    second.write_text("x")
    prints = {
        toolbox.fingerprint([first]),
        toolbox.fingerprint([second]),
        toolbox.fingerprint([first, second]),
        toolbox.fingerprint([first], "word"),
    }
    first.write_text("y")
    prints.add(toolbox.fingerprint([first]))
    assert len(prints) == 5


def test_an_environment_for_development_is_not_reduced_by_make_up() -> None:
    before = install.STAMP.read_text() if install.STAMP.exists() else None
    installed = {path.name for path in (install.VENV / "lib").glob("python*/site-packages/pytest")}
    assert installed, "the tests run in an environment for development"
    assert install.kind_to_install("runtime") == "dev"
    assert (install.STAMP.read_text() if install.STAMP.exists() else None) == before


def test_ctrl_c_during_installation_shows_no_traceback(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    def interrupted(*_words: str) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(install, "install", interrupted)
    monkeypatch.setattr(frontend, "build", interrupted)
    assert (install.main(["runtime"]), frontend.main([])) == (130, 130)
    assert capfd.readouterr().err.count("Stopped") == 2


def test_a_failed_tool_shows_its_output_and_the_next_step(
    capfd: pytest.CaptureFixture[str],
) -> None:
    with pytest.raises(LocalError, match=r"Trying failed, see the lines above; be patient\."):
        toolbox.run(["sh", "-c", "echo why; exit 3"], doing="Trying", remedy="be patient")
    assert "why" in capfd.readouterr().err


def test_a_full_disk_is_reported_by_a_tool() -> None:
    failing = ["sh", "-c", "echo 'write: No space left on device'; exit 1"]
    with pytest.raises(LocalError, match="the disk is full"):
        toolbox.run(failing, doing="Trying")


def test_without_a_home_the_tools_get_one_below_the_checkout(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(toolbox, "TOOLS", tmp_path)
    for empty in ("", str(tmp_path / "missing")):
        monkeypatch.setenv("HOME", empty)
        assert toolbox.environment()["HOME"] == str(tmp_path / "home")


def test_a_supported_python_is_found() -> None:
    found = subprocess.run(
        [CHECKOUT / "local" / "find-python"], capture_output=True, text=True, check=True
    )
    check = "import sys; assert (3, 11) <= sys.version_info[:2] < (3, 14)"
    subprocess.run([found.stdout.strip(), "-c", check], check=True)


def test_no_supported_python_is_one_sentence(tmp_path: Path) -> None:
    done = subprocess.run(
        [CHECKOUT / "local" / "find-python"],
        env={"PATH": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert done.stderr.startswith("Drover needs Python 3.11, 3.12 or 3.13")
