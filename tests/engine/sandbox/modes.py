"""The isolation modes of this machine, each with some layers left out.

As root: Landlock and seccomp only, a root and user of its own without Landlock, all but bubblewrap, and with
it. As an ordinary user the same without layers that need privileges; when the tests run as root, that mode is a
process that dropped root, `tests.engine.sandbox.ordinary`.

`make test` runs everything in the modes of real installations, and each case in one of the others, which test single
layers; `make test-long` runs every case in every mode.
"""

from __future__ import annotations

import os
from collections.abc import Collection, Iterable
from functools import lru_cache
from typing import Any

import pytest

from apps.engine.sandbox.layers import probe

LAYERS: dict[str, tuple[str, ...]] = {
    "landlock": ("landlock", "seccomp"),
    "chroot": ("seccomp", "root", "uid"),
    "root": ("landlock", "seccomp", "root", "uid"),
    "bubblewrap": ("landlock", "seccomp", "bwrap"),
    "bubblewrap without landlock": ("seccomp", "bwrap"),
}


@lru_cache(maxsize=1)
def available() -> list[str]:
    """The modes of this machine and this user; fails if there are none."""
    machine = probe()
    offered = {
        *(["landlock"] if machine.landlock else []),
        *(["seccomp"] if machine.seccomp else []),
        *(["root", "uid"] if machine.may_change_user else []),
        *(["bwrap"] if machine.bwrap else []),
    }
    found = [name for name, layers in LAYERS.items() if offered.issuperset(layers)]
    if not found:
        raise RuntimeError(f"this machine cannot isolate code: {machine.missing}")
    return found


USUAL = ("root" if os.geteuid() == 0 else "landlock", "bubblewrap")
ROOTS = [name for name, layers in LAYERS.items() if "root" in layers]  # a prepared file system


def each() -> list[Any]:
    """Parameters `mode`: the usual ones, and with `long` the others."""
    found = available()
    first = USUAL if {*USUAL} & {*found} else found[:1]
    return [pytest.param(mode, marks=_long_unless(mode in first)) for mode in found]


def spread(
    names: Iterable[str], whole: Collection[str] = USUAL, among: Collection[str] = tuple(LAYERS)
) -> list[Any]:
    """Parameters `name, mode`: each in every mode of `whole` and in one of the others in turn; with `long` in all.

    Only modes `among` these are used.
    """
    modes = [mode for mode in available() if mode in among]
    others = [mode for mode in modes if mode not in whole]
    found = []
    for number, name in enumerate(names):
        turn = others[number % len(others)] if others else None
        for mode in modes:
            marks = _long_unless(mode in whole or mode == turn)
            found.append(pytest.param(name, mode, marks=marks, id=f"{name}-{mode}"))
    return found


def _long_unless(usual: bool) -> Collection[pytest.MarkDecorator]:
    return () if usual else (pytest.mark.long,)
