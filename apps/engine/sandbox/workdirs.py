"""Work folders of sandboxed processes: create them, remove them, and sweep those of killed owners.

A folder is renamed before it is removed, so that it is not in the way of sweeps and new folders, however long its
removal takes.
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

MODE = 0o700
WORK = "work-"
DRAFT = ".draft-"  # name within a prepared root
CLAIMED = (WORK, DRAFT)
ASIDE = ".removed-"
REMOVAL_SECONDS = 10.0  # seconds that the folder's owner spends removing it; sweeps remove the rest
SWEEP_SECONDS = 0.5  # seconds; a new sandbox waits for this
UNCLAIMED = re.compile(
    r"(\d+)-[0-9a-f]+"
)  # names used by an earlier release, with the id of their process


def create(base: Path, uid: int | None) -> Path:
    """Create an empty folder below `base`, owned by the user `uid` if given. Sweeps leftovers of dead processes."""
    base.mkdir(parents=True, exist_ok=True)
    sweep(base)
    made = claims.claim(base, WORK)
    try:
        made.mkdir(mode=MODE)
        if uid is not None:
            os.chown(made, uid, uid)
    except BaseException:
        remove(made)
        raise
    return made


def remove(folder: Path) -> None:
    """Remove the folder with all its contents. Never raises: what cannot be removed now is left to the sweeps."""
    aside = _set_aside(folder)
    claims.release(folder)
    if aside is not None:
        why = _removed(aside, REMOVAL_SECONDS)
        if why:
            logger.warning("Some files of the code could not be removed yet: {}", why)


def sweep(base: Path) -> None:
    """Remove leftovers of dead processes, which cannot do it themselves. Never raises."""
    try:
        for folder in _abandoned(base):
            _set_aside(folder)
            claims.release(folder)
        _remove_set_aside(base, time.monotonic() + SWEEP_SECONDS)
    except OSError as error:  # Leftovers must not prevent new sandboxes.
        logger.warning("Leftover work folders could not be examined: {}", error.strerror)


def _remove_set_aside(base: Path, until: float) -> None:
    for left in _named(base, ASIDE):
        why = _removed(left, until - time.monotonic())
        if why:
            logger.debug("{} is not removed yet: {}", left.name, why)


def in_use(base: Path) -> bool:
    """Whether anything is left below `base` after a sweep: folders in use, or folders that cannot be removed yet."""
    sweep(base)
    return any(True for _ in base.iterdir())


def _abandoned(base: Path) -> Iterator[Path]:
    """Take over and return the folders whose owners are dead."""
    for path in _named(base, CLAIMED):
        if path.name.endswith(claims.SUFFIX):
            folder = path.with_name(path.name.removesuffix(claims.SUFFIX))
            if claims.take_over(folder):
                yield folder
        elif not claims.exists(path):
            yield path
    for path in base.iterdir():
        old = UNCLAIMED.fullmatch(path.name)
        if old and not os.path.exists(f"/proc/{old[1]}"):
            yield path


def _set_aside(folder: Path) -> Path | None:
    """Rename the folder so that it counts as removed; None if it is gone or cannot be renamed."""
    aside = folder.with_name(f"{ASIDE}{secrets.token_hex(8)}")
    try:
        folder.rename(aside)
    except FileNotFoundError:
        return None
    except OSError as error:
        logger.warning("{} could not be set aside: {}", folder.name, error.strerror)
        return None
    return aside


def _removed(aside: Path, seconds: float) -> str:
    """Remove it. Returns the reason if it could not be removed, else an empty string."""
    try:
        removal.remove(aside, seconds=seconds)
    except removal.OutOfTime:
        return "it takes longer"
    except OSError as error:
        return error.strerror or str(error)
    return ""


def _named(base: Path, prefix: str | tuple[str, ...]) -> list[Path]:
    return [base / name for name in os.listdir(base) if name.startswith(prefix)]
