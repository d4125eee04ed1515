"""Run attacks as another user: a process that dropped root, with a copy of the code that it may read.

`python -m tests.engine.sandbox.ordinary` reads lines with `{"code", "world", "limits"}` and prints one line each.
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

ROOT = Path(__file__).resolve().parents[3]
USER = 10_001  # the image's user


def setpriv(*, uid: int, capabilities: Sequence[str] = ()) -> list[str]:
    """Run what follows as in a container: as `uid`, limited to these capabilities permanently."""
    kept = ",".join(["-all", *(f"+{name.lower()}" for name in capabilities)])
    who = [f"--reuid={uid}", f"--regid={uid}", "--clear-groups"]
    return ["setpriv", "--no-new-privs", f"--bounding-set={kept}", "--inh-caps=-all", *who, "--"]


class OrdinaryUser:
    """The process of another user, which runs several pieces of code."""

    def __init__(self, process: subprocess.Popen[str], home: Path) -> None:
        self.process = process
        self.home = home

    def attacked(self, name: str, world: dict[str, Any]) -> dict[str, Any]:
        return self.tried(attacks.code(attacks.named()[name]), world)

    def tried(self, code: str, world: dict[str, Any], **limits: Any) -> dict[str, Any]:
        self.ask(code, world, **limits)
        assert self.process.stdout is not None
        answer: dict[str, Any] = json.loads(self.process.stdout.readline())
        return answer

    def ask(self, code: str, world: dict[str, Any], **limits: Any) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(
            json.dumps({"code": code, "world": world, "limits": limits}) + "\n"
        )
        self.process.stdin.flush()


@dataclass(frozen=True, slots=True)
class Installation:
    """Code, its interpreter and a home that another user may use."""

    python: str
    path: tuple[str, ...]
    code: Path
    home: Path


@contextlib.contextmanager
def installed() -> Iterator[Installation]:
    """As root only. Only root may have access to the interpreter's folder, so it is copied as for a chroot."""
    with tempfile.TemporaryDirectory(prefix="drover-ordinary-") as name:
        home = Path(name)
        home.chmod(0o755)
        found = paths.find_python_files()
        root = roots.prepare_root(home / "root", found)
        (home / "root").chmod(0o755)
        code = home / "code"
        for part in ("apps/egress", "apps/engine", "tests/engine/sandbox"):
            shutil.copytree(ROOT / part, code / part)
        shutil.copy(ROOT / "apps/json.py", code / "apps")
        for part in ("apps", "tests", "tests/engine"):
            (code / part / "__init__.py").touch()
        shutil.copy(pyseccomp.__file__, code)
        subprocess.run(["chmod", "-R", "a+rX", str(code)], check=True)
        (home / "user").mkdir()
        os.chown(home / "user", USER, USER)
        sites = [str(root / site.lstrip("/")) for site in found.sites]
        python = str(root / found.executable.lstrip("/"))
        _require_its_library(python)
        yield Installation(python, (str(code), *sites), code, home / "user")


def _require_its_library(python: str) -> None:
    """Skip if the copied interpreter needs a shared library that was installed where only root may read."""
    import pytest  # The process of the other user, which imports this module too, does not need it.

    tried = subprocess.run(
        [*setpriv(uid=USER), python, "-S", "-c", ""], capture_output=True, text=True
    )
    if "error while loading shared libraries" in tried.stderr:
        pytest.skip(tried.stderr.strip())


@contextlib.contextmanager
def started(
    of: Installation, start: Sequence[str] = (), layers: Sequence[str] = ("landlock", "seccomp")
) -> Iterator[OrdinaryUser]:
    """`start` is the command that changes the user, and may keep capabilities."""
    process = subprocess.Popen(
        [*(start or setpriv(uid=USER)), of.python, "-m", "tests.engine.sandbox.ordinary", *layers],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        cwd=of.code,
        umask=0o077,  # as in every process of Drover
        env={
            "PYTHONPATH": os.pathsep.join(of.path),
            "PATH": "/usr/bin:/bin",
            "ORDINARY_HOME": str(of.home),
        },
    )
    try:
        yield OrdinaryUser(process, of.home)
    finally:
        process.stdin.close()  # type: ignore[union-attr]
        process.wait(10)


def main() -> None:
    from tests.engine.sandbox import worlds

    ground = SandboxSite(os.environ["ORDINARY_HOME"], "good", tuple(sys.argv[1:]))
    lines = Path("/proc/self/status").read_text().splitlines()
    status = dict(line.split(":\t", 1) for line in lines)
    who = {
        "uid": os.geteuid(),
        "level": choose_isolation(ground.only).level,
        "capabilities": int(status["CapEff"], 16),
    }
    for line in sys.stdin:
        asked = json.loads(line)
        limits = replace(worlds.SMALL, **asked["limits"])
        answer = worlds.tried(asked["code"], asked["world"], ground, limits)
        sys.stdout.write(json.dumps({**answer, **who}) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
