"""Run a program as another user if this process is root, because PostgreSQL refuses to run as root.

This module creates no users, and changes no modes of folders that it did not create. If the other user cannot access
a path, such as a checkout in a private home, the files are placed in a shelter: a folder that every user can enter.
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

CANDIDATE_USERS = ("postgres", "nobody")
SHELTER_PARENTS = (Path("/var/lib"), Path("/var/tmp"))  # noqa: S108 - checked for owner before use
# Name of the file in a shelter that contains the path that the shelter replaces.
REPLACED_PATH_FILE = "belongs-to"
# A younger shelter is not removed, because another process may be creating its cluster. The link is created last.
MIN_ABANDONED_SECONDS = 600.0


class UserArguments(TypedDict, total=False):
    """Keyword arguments of `subprocess` that determine the user of the program."""

    user: int
    group: int
    extra_groups: list[int]


@dataclass(frozen=True)
class Account:
    """The user that runs a program. Without uid and gid it is the user of this process."""

    uid: int | None = None
    gid: int | None = None

    def subprocess_arguments(self) -> UserArguments:
        """Return the arguments for `subprocess`. They are empty if the user does not change."""
        if self.uid is None or self.gid is None:
            return {}
        return {"user": self.uid, "group": self.gid, "extra_groups": []}

    def take_ownership(self, path: Path) -> None:
        """Make this account the owner of a file or folder."""
        if self.uid is not None and self.gid is not None:
            os.chown(path, self.uid, self.gid)

    def can_enter(self, folder: Path) -> bool:
        """Whether the account can enter `folder`."""
        return self.uid is None or self.can_run(["/bin/sh", "-c", 'cd "$1"', "sh", str(folder)])

    def can_run(self, command: list[str]) -> bool:
        """Run `command` as this account. Returns whether it succeeded."""
        try:
            result = subprocess.run(
                command,
                cwd="/",
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                check=False,
                **self.subprocess_arguments(),
            )
        except PermissionError:
            return False
        return result.returncode == 0


def account_for_servers() -> Account:
    """Return this process's own account. If it is root, return the first user of `CANDIDATE_USERS` that exists."""
    if os.geteuid() != 0:
        return Account()
    for name in CANDIDATE_USERS:
        try:
            entry = pwd.getpwnam(name)
        except KeyError:
            continue
        return Account(uid=entry.pw_uid, gid=entry.pw_gid)
    raise LocalError(
        "PostgreSQL refuses to run as root, and this machine has neither the user `postgres` nor "
        "`nobody`: start Drover as an ordinary user, or set DATABASE_URL to your own server."
    )


def shelters_folder(name: str) -> Path:
    """Return the folder `/var/lib/drover/<name>`, or one below `/var/tmp`. It is created if absent.

    Root owns the folder, and every user can enter it. Raises LocalError if no safe, writable folder is possible.
    """
    for base in SHELTER_PARENTS:
        parent = base / "drover"
        try:
            parent.mkdir(mode=0o711, exist_ok=True)
            status = parent.lstat()
            if status.st_uid != os.geteuid() or not parent.is_dir() or parent.is_symlink():
                continue
            folder = parent / name
            folder.mkdir(mode=0o711, exist_ok=True)
            for path in (parent, folder):
                path.chmod(0o711)  # independent of the umask
        except OSError:
            continue
        return folder
    places = " or ".join(str(base / "drover") for base in SHELTER_PARENTS)
    raise LocalError(
        f"PostgreSQL's user cannot enter a folder that Drover needs, and no other folder could be created in {places}: "
        "move the checkout or DROVER_HOME to a folder that other users can enter, or set DATABASE_URL."
    )


def create_shelter(name: str) -> Path:
    """Create a shelter below `shelters_folder(name)`."""
    folder = Path(tempfile.mkdtemp(prefix="", dir=shelters_folder(name)))
    folder.chmod(0o711)
    return folder


def create_cluster_shelter(path: Path) -> Path:
    """Create a shelter that replaces `path`, and record the path in it. Abandoned shelters are removed first."""
    _remove_abandoned(shelters_folder("clusters"))
    folder = create_shelter("clusters")
    (folder / REPLACED_PATH_FILE).write_text(f"{path}\n")
    return folder


def _remove_abandoned(clusters: Path) -> None:
    """Remove shelters of deleted temporary paths. Other shelters stay, because their path may have been moved."""
    temporary = (Path(tempfile.gettempdir()), Path("/tmp"))  # noqa: S108 - compared, not written to
    for path_file in clusters.glob(f"*/{REPLACED_PATH_FILE}"):
        try:
            path = Path(path_file.read_text().strip())
            is_old_enough = time.time() - path_file.stat().st_mtime > MIN_ABANDONED_SECONDS
        except OSError:  # Another process has removed the shelter.
            continue
        is_temporary = any(folder in path.parents for folder in temporary)
        if is_temporary and is_old_enough and not os.path.lexists(path):
            shutil.rmtree(path_file.parent, ignore_errors=True)


def open_to_everyone(folder: Path) -> None:
    """Let every user read the copied files and enter the copied folders, independent of the umask."""
    for path in (folder, *folder.rglob("*")):
        if not path.is_symlink():
            path.chmod(0o755 if path.is_dir() or os.access(path, os.X_OK) else 0o644)
