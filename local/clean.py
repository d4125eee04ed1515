"""`make clean`: remove the build results, and with `DATA=yes` the data too."""

import os
import shutil
import subprocess
from pathlib import Path

from local.database.postgres import EmbeddedPostgres
from local.errors import LocalError
from local.home import CHECKOUT, Home
from local.lock_file import HomeLock
from local.terminal import complain, say

BUILD_RESULTS = (".venv", ".tools", "frontend/dist", "frontend/node_modules", "static/build")


def main() -> int:
    """Remove the files. If the data is kept, print where it is. Returns the exit code."""
    home = Home.from_environment()
    if os.environ.get("DATA") == "yes" and home.root.exists():
        try:
            _remove_data(home)
        except LocalError as failure:
            complain(str(failure))
            return 1
    for name in BUILD_RESULTS:
        shutil.rmtree(CHECKOUT / name, ignore_errors=True)
    if home.root.exists():
        say(f"The data in {home.root} is kept; `make clean DATA=yes` removes it.")
    return 0


def _remove_data(home: Home) -> None:
    home.create_folders()
    with HomeLock(home.runtime_folder / "lock"):
        server = EmbeddedPostgres(home.cluster)
        server.stop_orphan()
        server.delete()
    remove_folder(home.root)


def remove_folder(folder: Path) -> None:
    """Remove a folder, even if custom code left deeply nested folders or folders that their owner cannot enter.

    Modes are changed for folders only: a file may be a hard link to a file elsewhere. Raises LocalError.
    """
    chmod_arguments = (
        "-type",
        "d",
        "!",
        "-perm",
        "-u=rwx",
        "-execdir",
        "chmod",
        "u+rwx",
        "{}",
        ";",
    )
    subprocess.run(["find", str(folder), *chmod_arguments], stderr=subprocess.DEVNULL, check=False)
    if subprocess.run(["rm", "-rf", str(folder)], check=False).returncode != 0:
        raise LocalError(
            f"{folder} could not be removed; the lines above have the reason. Run the command again as the owner of the folder."
        )
