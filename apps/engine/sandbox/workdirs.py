"""Create and remove the work folders of sandboxed processes, and sweep the folders of processes that were killed.

A folder is renamed before it is removed, so that a slow removal does not delay sweeps and new folders.
"""

from __future__ import annotations

import os
import re
import secrets
import time
from collections.abc import Iterator
from pathlib import Path

from loguru import logger

from apps.engine.sandbox import claims, removal

OWNER_ONLY_MODE = 0o700
WORK_PREFIX = "work-"
DRAFT_PREFIX = ".draft-"  # a root folder that is not complete yet
CLAIMED_PREFIXES = (WORK_PREFIX, DRAFT_PREFIX)
REMOVED_PREFIX = ".removed-"
# The time for the owner to remove its folder. A later sweep removes the remaining files.
REMOVAL_SECONDS = 10.0
SWEEP_SECONDS = 0.5  # time of one sweep, for which a new sandbox waits
# The folder names of an earlier release: the id of the process, and a random number
OLD_NAME = re.compile(r"(\d+)-[0-9a-f]+")


def create(base: Path, uid: int | None) -> Path:
    """Sweep `base` and create an empty folder below it, which the user `uid`, if set, will own."""
    base.mkdir(parents=True, exist_ok=True)
    sweep(base)
    folder = claims.claim_new_path(base, WORK_PREFIX)
    try:
        folder.mkdir(mode=OWNER_ONLY_MODE)
        if uid is not None:
            os.chown(folder, uid, uid)
    except BaseException:
        remove(folder)
        raise
    return folder


def remove(folder: Path) -> None:
    """Remove the folder with all its contents. Never raises, because a later sweep removes the remaining files."""
    renamed_folder = _rename_for_removal(folder)
    claims.release(folder)
    if renamed_folder is not None:
        reason = _try_to_remove(renamed_folder, REMOVAL_SECONDS)
        if reason:
            logger.warning("Some files of the code could not be removed yet: {}", reason)


def sweep(base: Path) -> None:
    """Remove the folders of processes that have exited without removing them. Never raises."""
    try:
        for folder in _abandoned_folders(base):
            _rename_for_removal(folder)
            claims.release(folder)
        _remove_renamed_folders(base, time.monotonic() + SWEEP_SECONDS)
    except OSError as error:  # A sweep that fails must not prevent new sandboxes.
        logger.warning("Old work folders could not be removed: {}", error.strerror)


def _remove_renamed_folders(base: Path, deadline: float) -> None:
    for removed_folder in _entries_with_prefix(base, REMOVED_PREFIX):
        reason = _try_to_remove(removed_folder, deadline - time.monotonic())
        if reason:
            logger.debug("{} is not removed yet: {}", removed_folder.name, reason)


def is_in_use(base: Path) -> bool:
    """Sweep `base`. Returns whether it still has folders that are in use or cannot be removed yet."""
    sweep(base)
    return any(True for _ in base.iterdir())


def _abandoned_folders(base: Path) -> Iterator[Path]:
    """Take over and yield the folders whose owners have exited."""
    for path in _entries_with_prefix(base, CLAIMED_PREFIXES):
        if path.name.endswith(claims.SUFFIX):
            folder = path.with_name(path.name.removesuffix(claims.SUFFIX))
            if claims.take_over(folder):
                yield folder
        elif not claims.exists(path):
            yield path
    for path in base.iterdir():
        old_name = OLD_NAME.fullmatch(path.name)
        if old_name and not os.path.exists(f"/proc/{old_name[1]}"):
            yield path


def _rename_for_removal(folder: Path) -> Path | None:
    """Rename the folder, so that it counts as removed. Returns None if it does not exist or cannot be renamed."""
    renamed_folder = folder.with_name(f"{REMOVED_PREFIX}{secrets.token_hex(8)}")
    try:
        folder.rename(renamed_folder)
    except FileNotFoundError:
        return None
    except OSError as error:
        logger.warning("{} could not be renamed for removal: {}", folder.name, error.strerror)
        return None
    return renamed_folder


def _try_to_remove(folder: Path, seconds: float) -> str:
    """Remove the folder. Returns the reason if it could not be removed, else an empty string."""
    try:
        removal.remove(folder, seconds=seconds)
    except removal.OutOfTime:
        return "the removal takes too long"
    except OSError as error:
        return error.strerror or str(error)
    return ""


def _entries_with_prefix(base: Path, prefix: str | tuple[str, ...]) -> list[Path]:
    return [base / name for name in os.listdir(base) if name.startswith(prefix)]
