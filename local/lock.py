"""`make lock`: write the lock files again from pyproject.toml. Needs uv and the package index."""

import sys

from local.errors import LocalError
from local.install import find_uv
from local.terminal import complain
from local.toolbox import run

FLAGS = (
    *("--quiet", "--universal", "--generate-hashes", "--no-header", "--no-emit-index-url"),
    *("--python-version", "3.11"),
)
# {lock file: arguments of `uv pip compile`}. A file comes after the file that it uses as constraints.
LOCKS: dict[str, tuple[str, ...]] = {
    "requirements.lock": ("--extra", "local", "pyproject.toml"),
    "requirements-image.lock": ("pyproject.toml", "--constraints", "requirements.lock"),
    "requirements-dev.lock": (
        *("--extra", "local", "--group", "dev", "pyproject.toml"),
        *("--constraints", "requirements.lock"),
    ),
    "requirements-postgres.lock": ("--group", "postgres", "--no-deps"),
    "requirements-node.lock": ("--group", "node"),
    "requirements-demo.lock": ("--group", "demo", "--no-deps"),
    "requirements-sdist.lock": ("--group", "sdist"),
    "requirements-uv.lock": ("--group", "uv"),
}


def main() -> int:
    """Write every lock file. Returns the exit code."""
    try:
        uv = find_uv()
        if uv is None:
            raise LocalError("uv is needed to write the lock files: run `make install` first.")
        for name, arguments in LOCKS.items():
            run([uv, "pip", "compile", *FLAGS, *arguments, "-o", name], step=f"Locking {name}")
    except LocalError as failure:
        complain(str(failure))
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
