"""The folder a sandboxed process may write to: made, removed, and swept up after its owner was killed.

What is to go is renamed aside first, so that no sweep and no new folder meets it, however long its removal takes.
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
DRAFT = ".draft-"  # of a prepared root
CLAIMED = (WORK, DRAFT)
ASIDE = ".removed-"
REMOVAL_SECONDS = 10.0  # of who made the folder; what is left then goes with the sweeps
SWEEP_SECONDS = 0.5  # a new sandbox waits for it
UNCLAIMED = re.compile(r"(\d+)-[0-9a-f]+")  # as an earlier release named them, after their process


def create(base: Path, uid: int | None) -> Path:
    """A new empty folder below `base`, of the user `uid` if given. Sweeps what dead processes left."""
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
    """With everything in it. Never raises for what is in it: what cannot go now stays aside for the sweeps."""
    aside = _set_aside(folder)
    claims.release(folder)
    if aside is not None:
        why = _removed(aside, REMOVAL_SECONDS)
        if why:
            logger.warning("Not everything that the code left is removed yet: {}", why)


def sweep(base: Path) -> None:
    """Remove what dead processes left: one that was killed cannot do it itself. Never raises for what it finds."""
    try:
        for folder in _abandoned(base):
            _set_aside(folder)
            claims.release(folder)
        _remove_set_aside(base, time.monotonic() + SWEEP_SECONDS)
    except OSError as error:  # what is left over must not keep anything new from starting
        logger.warning("What ended code left could not be looked through: {}", error.strerror)


def _remove_set_aside(base: Path, until: float) -> None:
    for left in _named(base, ASIDE):
        why = _removed(left, until - time.monotonic())
        if why:
            logger.debug("{} is not removed yet: {}", left.name, why)


def in_use(base: Path) -> bool:
    """Whether anything is left below `base` after a sweep: folders of the living, or what cannot be removed yet."""
    sweep(base)
    return any(True for _ in base.iterdir())


def _abandoned(base: Path) -> Iterator[Path]:
    """Those that nobody alive owns, their claims being ours now."""
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
    """The same folder under a name that means it is to be removed; None when it is gone, or cannot be renamed."""
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
    """Why it is not gone; empty when it is."""
    try:
        removal.remove(aside, seconds=seconds)
    except removal.OutOfTime:
        return "it takes longer"
    except OSError as error:
        return error.strerror or str(error)
    return ""


def _named(base: Path, prefix: str | tuple[str, ...]) -> list[Path]:
    return [base / name for name in os.listdir(base) if name.startswith(prefix)]
