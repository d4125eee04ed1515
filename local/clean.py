"""`make clean`: removes what was built. Data goes too only with `DATA=yes`."""

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
    """Remove, and say what was kept."""
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
    """With all that custom code may have left: folders deeper than Python can follow, or closed to their owner.

    Modes of folders alone are changed, since files may be linked to others. Raises LocalError.
    """
    opened = ("-type", "d", "!", "-perm", "-u=rwx", "-execdir", "chmod", "u+rwx", "{}", ";")
    subprocess.run(["find", str(folder), *opened], stderr=subprocess.DEVNULL, check=False)
    if subprocess.run(["rm", "-rf", str(folder)], check=False).returncode != 0:
        raise LocalError(
            f"{folder} could not be removed; the lines above say why. Repeat it as its owner."
        )
