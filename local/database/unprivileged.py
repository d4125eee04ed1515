"""Run a program as another user if we are root, because PostgreSQL refuses to run as root.

This module creates no users and changes no modes of folders it did not create. If the other user cannot access
a path (such as a checkout below a private home), our files are placed elsewhere.
"""

import os
import pwd
import shutil
import subprocess
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TypedDict

from local.errors import LocalError

CANDIDATES = ("postgres", "nobody")
SHELTERS = (Path("/var/lib"), Path("/var/tmp"))  # noqa: S108 - checked for owner before use
OWNER = "belongs-to"  # the file that names the path for which a folder is a replacement
SETTLED_SECONDS = 600.0  # creating a cluster takes seconds, and its link is created last


class Identity(TypedDict, total=False):
    """Keyword arguments of `subprocess` that determine the user of the program."""

    user: int
    group: int
    extra_groups: list[int]


@dataclass(frozen=True)
class Account:
    """The user a program runs as. Without uid and gid it is our own user."""

    uid: int | None = None
    gid: int | None = None

    def identity(self) -> Identity:
        """Return the arguments for `subprocess`; empty if the user does not change."""
        if self.uid is None or self.gid is None:
            return {}
        return {"user": self.uid, "group": self.gid, "extra_groups": []}

    def own(self, path: Path) -> None:
        """Make this account the owner of a file or folder that we created."""
        if self.uid is not None and self.gid is not None:
            os.chown(path, self.uid, self.gid)

    def reaches(self, folder: Path) -> bool:
        """Whether the account can enter `folder` (tried, not computed from modes)."""
        return self.uid is None or self.runs(["/bin/sh", "-c", 'cd "$1"', "sh", str(folder)])

    def runs(self, command: list[str]) -> bool:
        """Whether `command` can be started as this account and succeeds."""
        try:
            tried = subprocess.run(
                command,
                cwd="/",
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                check=False,
                **self.identity(),
            )
        except PermissionError:
            return False
        return tried.returncode == 0


def account_for_servers() -> Account:
    """Return our own account, or as root the first existing user of `CANDIDATES`."""
    if os.geteuid() != 0:
        return Account()
    for name in CANDIDATES:
        try:
            entry = pwd.getpwnam(name)
        except KeyError:
            continue
        return Account(uid=entry.pw_uid, gid=entry.pw_gid)
    raise LocalError(
        "PostgreSQL refuses to run as root and this machine has neither a user `postgres` nor "
        "`nobody`: run as an ordinary user, or set DATABASE_URL to a server of your own."
    )


def shelter(name: str) -> Path:
    """Return a folder of root that every user can enter, created if absent: `/var/lib/drover/<name>`.

    Raises LocalError if no place is safe or writable.
    """
    for base in SHELTERS:
        house = base / "drover"
        try:
            house.mkdir(mode=0o711, exist_ok=True)
            found = house.lstat()
            if found.st_uid != os.geteuid() or not house.is_dir() or house.is_symlink():
                continue
            folder = house / name
            folder.mkdir(mode=0o711, exist_ok=True)
            for each in (house, folder):
                each.chmod(0o711)  # whatever our umask is
        except OSError:
            continue
        return folder
    places = " or ".join(str(base / "drover") for base in SHELTERS)
    raise LocalError(
        f"PostgreSQL's user cannot enter this folder and nothing could be made under {places}: "
        "put the checkout or DROVER_HOME where other users can enter, or set DATABASE_URL."
    )


def private_shelter(label: str) -> Path:
    """Create a new, unique folder in the shelter named `label`."""
    made = Path(tempfile.mkdtemp(prefix="", dir=shelter(label)))
    made.chmod(0o711)
    return made


def shelter_for(path: Path) -> Path:
    """Create a folder as a replacement for `path`, and record that; abandoned ones are removed."""
    _sweep(shelter("clusters"))
    made = private_shelter("clusters")
    (made / OWNER).write_text(f"{path}\n")
    return made


def _sweep(clusters: Path) -> None:
    """Remove replacements of deleted temporary paths. Others are kept, because their path may have been moved."""
    temporary = (Path(tempfile.gettempdir()), Path("/tmp"))  # noqa: S108 - compared, not written to
    for note in clusters.glob(f"*/{OWNER}"):
        try:
            path = Path(note.read_text().strip())
            settled = time.time() - note.stat().st_mtime > SETTLED_SECONDS
        except OSError:  # removed by another start
            continue
        gone = not os.path.lexists(path) and any(folder in path.parents for folder in temporary)
        if gone and settled:
            shutil.rmtree(note.parent, ignore_errors=True)


def open_to_everyone(folder: Path) -> None:
    """Let every user read and enter files that we copied, whatever our umask was."""
    for path in (folder, *folder.rglob("*")):
        if not path.is_symlink():
            path.chmod(0o755 if path.is_dir() or os.access(path, os.X_OK) else 0o644)
