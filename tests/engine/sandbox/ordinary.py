"""Run attacks as an ordinary user: in a process that gave up root, with a copy of Drover's code that it may read.

`python -m tests.engine.sandbox.ordinary` reads requests as lines of JSON with `code`, `targets` and `limits`, and
prints one line of JSON for each request.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pyseccomp

from apps.engine.sandbox import paths, roots
from apps.engine.sandbox.layers import choose_isolation
from apps.engine.sandbox.process import SandboxSite
from tests.engine.sandbox import attacks

REPOSITORY = Path(__file__).resolve().parents[3]
UID = 10_001  # the user id of the container image


def setpriv_command(*, uid: int, capabilities: Sequence[str] = ()) -> list[str]:
    """Return a command that runs another command as a container does: as `uid`, with these capabilities at most."""
    bounding_set = ",".join(["-all", *(f"+{name.lower()}" for name in capabilities)])
    user_options = [f"--reuid={uid}", f"--regid={uid}", "--clear-groups"]
    return [
        "setpriv",
        "--no-new-privs",
        f"--bounding-set={bounding_set}",
        "--inh-caps=-all",
        *user_options,
        "--",
    ]


class OrdinaryUser:
    """A process of an ordinary user, which runs code in sandboxes, one piece after another."""

    def __init__(self, process: subprocess.Popen[str], home: Path) -> None:
        self.process = process
        self.home = home

    def run_attack(self, name: str, targets: dict[str, Any]) -> dict[str, Any]:
        return self.run_code(attacks.attack_source(attacks.attacks_by_name()[name]), targets)

    def run_code(self, code: str, targets: dict[str, Any], **limits: Any) -> dict[str, Any]:
        self.send_code(code, targets, **limits)
        assert self.process.stdout is not None
        result: dict[str, Any] = json.loads(self.process.stdout.readline())
        return result

    def send_code(self, code: str, targets: dict[str, Any], **limits: Any) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(
            json.dumps({"code": code, "targets": targets, "limits": limits}) + "\n"
        )
        self.process.stdin.flush()


@dataclass(frozen=True, slots=True)
class Installation:
    """A copy of the code and the interpreter, and a home folder, that an ordinary user may use."""

    python: str
    python_path: tuple[str, ...]
    code: Path
    home: Path


@contextlib.contextmanager
def install_copy() -> Iterator[Installation]:
    """Create an installation for an ordinary user. Works as root only.

    It copies the interpreter as for a chroot, because the interpreter's folder may be readable for root only.
    """
    with tempfile.TemporaryDirectory(prefix="drover-ordinary-") as name:
        home = Path(name)
        home.chmod(0o755)
        python_files = paths.find_python_files()
        root = roots.prepare_root(home / "root", python_files)
        (home / "root").chmod(0o755)
        code = home / "code"
        for part in ("apps/egress", "apps/engine", "tests/engine/sandbox"):
            shutil.copytree(REPOSITORY / part, code / part)
        shutil.copy(REPOSITORY / "apps/json.py", code / "apps")
        for part in ("apps", "tests", "tests/engine"):
            (code / part / "__init__.py").touch()
        shutil.copy(pyseccomp.__file__, code)
        subprocess.run(["chmod", "-R", "a+rX", str(code)], check=True)
        (home / "user").mkdir()
        os.chown(home / "user", UID, UID)
        sites = [str(root / site.lstrip("/")) for site in python_files.sites]
        python = str(root / python_files.executable.lstrip("/"))
        _skip_if_library_is_unreadable(python)
        yield Installation(python, (str(code), *sites), code, home / "user")


def _skip_if_library_is_unreadable(python: str) -> None:
    """Skip the test if the copied interpreter needs a shared library that only root may read."""
    import pytest  # Not at the top, because the ordinary user has no pytest.

    result = subprocess.run(
        [*setpriv_command(uid=UID), python, "-S", "-c", ""], capture_output=True, text=True
    )
    if "error while loading shared libraries" in result.stderr:
        pytest.skip(result.stderr.strip())


@contextlib.contextmanager
def start_user_process(
    installation: Installation,
    start_command: Sequence[str] = (),
    layers: Sequence[str] = ("landlock", "seccomp"),
) -> Iterator[OrdinaryUser]:
    """Start the process of the ordinary user. `start_command` changes the user and runs the rest of its arguments."""
    process = subprocess.Popen(
        [
            *(start_command or setpriv_command(uid=UID)),
            installation.python,
            "-m",
            "tests.engine.sandbox.ordinary",
            *layers,
        ],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        cwd=installation.code,
        umask=0o077,  # as in every process of Drover
        env={
            "PYTHONPATH": os.pathsep.join(installation.python_path),
            "PATH": "/usr/bin:/bin",
            "ORDINARY_HOME": str(installation.home),
        },
    )
    try:
        yield OrdinaryUser(process, installation.home)
    finally:
        process.stdin.close()  # type: ignore[union-attr]
        process.wait(10)


def main() -> None:
    from tests.engine.sandbox import attack_targets

    site = SandboxSite(os.environ["ORDINARY_HOME"], "good", tuple(sys.argv[1:]))
    lines = Path("/proc/self/status").read_text().splitlines()
    status = dict(line.split(":\t", 1) for line in lines)
    identity = {
        "uid": os.geteuid(),
        "level": choose_isolation(site.allowed_layers).level,
        "capabilities": int(status["CapEff"], 16),
    }
    for line in sys.stdin:
        request = json.loads(line)
        limits = replace(attack_targets.SMALL_LIMITS, **request["limits"])
        result = attack_targets.run_code(request["code"], request["targets"], site, limits)
        sys.stdout.write(json.dumps({**result, **identity}) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
