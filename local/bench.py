"""`make bench`: run `manage.py bench` with the keys of a temporary home. It starts its own servers."""

import os
import subprocess
import sys
import tempfile
from pathlib import Path

from local.home import CHECKOUT, Home
from local.keys import ensure_keys

UNUSED_URL = "postgresql://127.0.0.1:1/none"  # the settings require a URL; nothing connects to it


def main() -> int:
    """Return the exit code of `manage.py bench`: 0 if every figure reaches its target."""
    with tempfile.TemporaryDirectory(prefix="drover-bench-") as folder:
        home = Home(Path(folder))
        home.create_folders()
        ensure_keys(home.keys)
        settings = {"DROVER_HOME": folder, "DATABASE_URL": UNUSED_URL}
        result = subprocess.run(
            [sys.executable, "manage.py", "bench"],
            cwd=CHECKOUT,
            env=dict(os.environ) | settings,
            check=False,
        )
    return result.returncode
