"""`make bench` and `make eval`: run a command of manage.py with the keys of a temporary home. It starts its own servers."""

import os
import subprocess
import sys
import tempfile
from pathlib import Path

from local.home import CHECKOUT, Home
from local.keys import ensure_keys

UNUSED_URL = "postgresql://127.0.0.1:1/none"  # the settings require a URL; nothing connects to it


def main(*command: str) -> int:
    """Return the exit code of `manage.py bench` or `manage.py eval_agent`: 0 if nothing has missed its target."""
    with tempfile.TemporaryDirectory(prefix="drover-bench-") as folder:
        home = Home(Path(folder))
        home.create_folders()
        ensure_keys(home.keys)
        settings = {"DROVER_HOME": folder, "DATABASE_URL": UNUSED_URL}
        result = subprocess.run(
            [sys.executable, "manage.py", *command],
            cwd=CHECKOUT,
            env=dict(os.environ) | settings,
            check=False,
        )
    return result.returncode
