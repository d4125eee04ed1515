"""Attacks run by an ordinary user: a process that gave up root, with a copy of the code it may read.

`python -m tests.engine.sandbox.ordinary` reads `{"attack", "world"}` lines and answers one line each.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyseccomp

from apps.engine.sandbox import paths, roots
from apps.engine.sandbox.process import Ground

ROOT = Path(__file__).resolve().parents[3]
NOBODY = 65_534


class OrdinaryUser:
    """The process of another user, asked one attack after the other."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process

    def attacked(self, name: str, world: dict[str, Any]) -> dict[str, Any]:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps({"attack": name, "world": world}) + "\n")
        self._process.stdin.flush()
        answer: dict[str, Any] = json.loads(self._process.stdout.readline())
        return answer


@contextlib.contextmanager
def started() -> Iterator[OrdinaryUser]:
    """As root only. The interpreter may lie where only root looks, so it is copied as for a chroot."""
    with tempfile.TemporaryDirectory(prefix="drover-ordinary-") as name:
        home = Path(name)
        home.chmod(0o755)
        found = paths.readable()
        root = roots.prepared(home / "root", found)
        (home / "root").chmod(0o755)
        code = home / "code"
        for part in ("apps/engine", "tests/engine/sandbox"):
            shutil.copytree(ROOT / part, code / part)
        for part in ("apps", "tests", "tests/engine"):
            (code / part / "__init__.py").touch()
        shutil.copy(pyseccomp.__file__, code)
        subprocess.run(["chmod", "-R", "a+rX", str(code)], check=True)
        (home / "user").mkdir()
        os.chown(home / "user", NOBODY, NOBODY)
        sites = [str(root / site.lstrip("/")) for site in found.sites]
        process = subprocess.Popen(
            [str(root / found.python.lstrip("/")), "-m", "tests.engine.sandbox.ordinary"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            user=NOBODY,
            group=NOBODY,
            extra_groups=[],
            cwd=code,
            env={
                "PYTHONPATH": os.pathsep.join([str(code), *sites]),
                "PATH": "/usr/bin:/bin",
                "ORDINARY_HOME": str(home / "user"),
            },
        )
        try:
            yield OrdinaryUser(process)
        finally:
            process.stdin.close()  # type: ignore[union-attr]
            process.wait(10)


def main() -> None:
    from tests.engine.sandbox import worlds

    ground = Ground(os.environ["ORDINARY_HOME"], "good", ("landlock", "seccomp"))
    for line in sys.stdin:
        asked = json.loads(line)
        answer = worlds.attacked(asked["attack"], asked["world"], ground)
        sys.stdout.write(json.dumps({**answer, "uid": os.geteuid()}) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
