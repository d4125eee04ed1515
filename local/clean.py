"""`make clean`: removes build results, and data only with `DATA=yes`."""

import os
import shutil
import subprocess
from pathlib import Path

from local.database.postgres import EmbeddedPostgres
from local.errors import LocalError
from local.home import CHECKOUT, Home
from local.lock_file import HomeLock
from local.terminal import complain, say

BUILT = (".venv", ".tools", "frontend/dist", "frontend/node_modules", "static/build")


def main() -> int:
    """Remove, and print what was kept."""
    home = Home.from_environment()
    if os.environ.get("DATA") == "yes" and home.root.exists():
        try:
            _remove_data(home)
        except LocalError as failure:
            complain(str(failure))
            return 1
    for name in BUILT:
        shutil.rmtree(CHECKOUT / name, ignore_errors=True)
    if home.root.exists():
        say(f"The data in {home.root} is kept; `make clean DATA=yes` removes it.")
    return 0


def _remove_data(home: Home) -> None:
    home.make()
    with HomeLock(home.run / "lock"):
        server = EmbeddedPostgres(home.cluster)
        server.stop_orphan()
        server.delete()
    remove(home.root)


def remove(folder: Path) -> None:
    """Remove a folder with everything that custom code left: deep nesting, or folders closed to their owner.

    Only modes of folders are changed, because files may be links to others. Raises LocalError.
    """
    opened = ("-type", "d", "!", "-perm", "-u=rwx", "-execdir", "chmod", "u+rwx", "{}", ";")
    subprocess.run(["find", str(folder), *opened], stderr=subprocess.DEVNULL, check=False)
    if subprocess.run(["rm", "-rf", str(folder)], check=False).returncode != 0:
        raise LocalError(
            f"{folder} could not be removed; the lines above say why. Repeat it as its owner."
        )
