"""Install the locked Python packages into `.venv`: `python -m local.install runtime|dev`.

It runs on the system's Python with only the standard library. It uses uv from PATH, or downloads uv into `.tools`. If
neither works, it uses pip, which is slower.
"""

import re
import shutil
import subprocess
import sys
from pathlib import Path

from local.errors import LocalError
from local.home import CHECKOUT
from local.toolbox import INTERRUPTED, TOOLS, environment, fingerprint, has_content, run

VENV = CHECKOUT / ".venv"
PYTHON = VENV / "bin" / "python"
STAMP = VENV / "installed"
LOCKS = {"runtime": "requirements.lock", "dev": "requirements-dev.lock"}
DATA_LOCK = "requirements-demo.lock"  # the demo's data; installed without dependencies, because it is never imported
SDIST_LOCK = "requirements-sdist.lock"  # packages for building source distributions
OLDEST_UV = (0, 5)


def install(kind: str) -> None:
    """Install the packages of the lock `kind` into `.venv`. Development tools that are installed are not removed."""
    kind = select_kind(kind)
    stamp = _stamp_content(kind)
    if PYTHON.exists() and has_content(STAMP, stamp):
        return
    _print(f"Installing Python packages ({LOCKS[kind]}) ...")
    STAMP.unlink(missing_ok=True)
    uv = find_uv() or _fetch_uv()
    if not uv or not _install_with_uv(uv, kind):
        _print("uv cannot be used here; pip takes a minute or two longer ...")
        _install_with_pip(kind)
    STAMP.write_text(stamp)


def select_kind(kind: str) -> str:
    """Return `dev` if `.venv` already has the development tools, else `kind`."""
    has_tools = any((VENV / "lib").glob("python*/site-packages/pytest"))
    return "dev" if has_tools else kind


def _stamp_content(kind: str) -> str:
    locks = [CHECKOUT / name for name in (LOCKS[kind], DATA_LOCK)]
    return f"{kind} {fingerprint(locks)}\n"


def _install_with_uv(uv: Path, kind: str) -> bool:
    """Install with uv's own certificates. If that fails, try the system's, which a company's proxy may need.

    Returns whether the installation succeeded.
    """
    if not _is_venv_usable():
        run(
            [str(uv), "venv", "--clear", "--python", sys.executable, "--no-python-downloads", VENV],
            step="Creating .venv",
        )
    sync_command: list[str | Path] = [
        *(uv, "pip", "sync", "--quiet", "--python", PYTHON, "--require-hashes"),
        *("--build-constraints", SDIST_LOCK, LOCKS[kind], DATA_LOCK),
    ]
    system_certificates = {"UV_SYSTEM_CERTS": "1", "UV_NATIVE_TLS": "1"}
    return any(
        subprocess.run(
            sync_command,
            cwd=CHECKOUT,
            env=environment() | certificates,
            stderr=subprocess.DEVNULL,
            check=False,
        ).returncode
        == 0
        for certificates in ({}, system_certificates)
    )


def _install_with_pip(kind: str) -> None:
    if not _is_venv_usable():
        shutil.rmtree(VENV, ignore_errors=True)
        run([sys.executable, "-m", "venv", "--without-pip", VENV], step="Creating .venv")
    run(
        [
            *(python_with_pip(), "-m", "pip", "--python", PYTHON, "install", "--quiet"),
            *("--require-hashes", "--no-deps", "-r", LOCKS[kind], "-r", DATA_LOCK),
        ],
        step="Installing the Python packages",
    )


def _is_venv_usable() -> bool:
    """Whether `.venv` has a working Python of a supported version."""
    version_check = "import sys; sys.exit(not (3, 11) <= sys.version_info[:2] < (3, 14))"
    try:
        return subprocess.run([PYTHON, "-c", version_check], check=False).returncode == 0
    except OSError:
        return False


def find_uv() -> Path | None:
    """Return the uv in `.tools` or on PATH, if it is new enough."""
    for path in (TOOLS / "uv" / "bin" / "uv", shutil.which("uv")):
        if path and _uv_version(Path(path)) >= OLDEST_UV:
            return Path(path)
    return None


def _uv_version(uv: Path) -> tuple[int, ...]:
    try:
        result = subprocess.run([uv, "--version"], capture_output=True, text=True, check=False)
    except OSError:
        return ()
    numbers = re.search(r"(\d+)\.(\d+)", result.stdout)
    return tuple(int(number) for number in numbers.groups()) if numbers else ()


def _fetch_uv() -> Path | None:
    """Download uv from the package index into `.tools`. Returns None if that fails."""
    _print("Fetching uv ...")
    target = TOOLS / "uv"
    result = subprocess.run(
        [
            *(python_with_pip(), "-m", "pip", "install", "--quiet", "--require-hashes"),
            *("--no-deps", "--upgrade", "--target", target, "-r", "requirements-uv.lock"),
        ],
        cwd=CHECKOUT,
        env=environment(),
        capture_output=True,
        check=False,
    )
    if result.returncode:
        return None
    return find_uv()


def python_with_pip() -> str:
    """Return a Python with a working pip: the running Python, or else a Python of the system."""
    for python in (sys.executable, "python3", "/usr/bin/python3"):
        try:
            result = subprocess.run(
                [python, "-m", "pip", "--version"], capture_output=True, check=False
            )
        except OSError:
            continue
        if result.returncode == 0:
            return python
    raise LocalError(
        "This machine has neither uv nor pip: install python3-pip (or uv) and try again."
    )


def _print(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def main(arguments: list[str]) -> int:
    """Install the packages. Returns 0 on success; after a failure it prints one sentence to stderr."""
    kind = arguments[0] if arguments else "runtime"
    try:
        install(kind)
    except LocalError as failure:
        sys.stderr.write(f"{failure}\n")
        return 1
    except OSError as failure:
        sys.stderr.write(
            f"The installation failed ({failure}): check that the disk has free space and {CHECKOUT} is writable.\n"
        )
        return 1
    except KeyboardInterrupt:
        sys.stderr.write("\nStopped. Run the command again to continue.\n")
        return INTERRUPTED
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
