"""Functions of the installers of Python packages and the front end: detect changed files, and run a tool."""

import hashlib
import os
import subprocess
import sys
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from local.errors import LocalError
from local.home import CHECKOUT

TOOLS = CHECKOUT / ".tools"
INTERRUPTED = 130  # the exit code of a shell after Ctrl-C


def fingerprint(paths: Iterable[Path], *words: str) -> str:
    """Return a hash of the names and contents of the files, and of the words."""
    digest = hashlib.sha256("\0".join(words).encode())
    for path in sorted(paths):
        digest.update(str(path.relative_to(CHECKOUT)).encode() + b"\0")
        digest.update(hashlib.sha256(path.read_bytes()).digest())
    return digest.hexdigest()


def has_content(stamp: Path, content: str) -> bool:
    """Whether a stamp file exists with this content."""
    try:
        return stamp.read_text() == content
    except OSError:
        return False


def run(
    command: Sequence[str | Path],
    *,
    step: str,
    env: Mapping[str, str] | None = None,
    folder: Path = CHECKOUT,
    remedy: str = "check the network to the package registries, then try again",
) -> None:
    """Run a tool in `folder`. If it fails, print its output and raise LocalError with `step` and `remedy`."""
    result = subprocess.run(
        command,
        cwd=folder,
        env=environment() | dict(env or {}),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    if result.returncode == 0:
        return
    sys.stderr.write(result.stdout)
    if "No space left" in result.stdout:
        remedy = "the disk is full: free some space, then try again"
    raise LocalError(f"{step} failed, see the lines above; {remedy}.")


def environment() -> dict[str, str]:
    """Return the environment for tools. If HOME is not usable, it is set to a folder in `.tools`."""
    env = dict(os.environ)
    env.pop("VIRTUAL_ENV", None)
    home = env.get("HOME")
    if not home or not os.access(home, os.W_OK):
        env["HOME"] = str(TOOLS / "home")
        Path(env["HOME"]).mkdir(parents=True, exist_ok=True)
    return env
