"""The isolation modes that this machine supports. Each mode is a choice of isolation layers.

If the tests run as root, the modes are all those in `LAYERS` that the machine supports. If they run as an ordinary
user, modes that need root are left out. `tests.engine.sandbox.ordinary` lets root test as an ordinary user too.

`make test` runs most cases in the modes of real installations. It spreads the cases over the modes that test single
layers, and the attacks over all modes. `make test-long` runs every case in every mode.
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
def available_modes() -> list[str]:
    """Return the modes that this machine and this user support. Raise if there are none."""
    machine = probe()
    supported_layers = {
        *(["landlock"] if machine.landlock else []),
        *(["seccomp"] if machine.seccomp else []),
        *(["root", "uid"] if machine.may_change_user else []),
        *(["bwrap"] if machine.bwrap else []),
    }
    supported_modes = [
        name for name, layers in LAYERS.items() if supported_layers.issuperset(layers)
    ]
    if not supported_modes:
        raise RuntimeError(f"this machine cannot isolate code: {machine.missing}")
    return supported_modes


USUAL_MODES = ("root" if os.geteuid() == 0 else "landlock", "bubblewrap")
# Modes that prepare a root file system.
ROOT_MODES = [name for name, layers in LAYERS.items() if "root" in layers]


def mode_params() -> list[Any]:
    """Return a parameter `mode` for each mode. All but the usual modes are marked `long`."""
    modes = available_modes()
    usual_modes = USUAL_MODES if {*USUAL_MODES} & {*modes} else modes[:1]
    return [pytest.param(mode, marks=_marks(mode in usual_modes)) for mode in modes]


def case_params(
    names: Iterable[str],
    full_modes: Collection[str] = USUAL_MODES,
    allowed_modes: Collection[str] = tuple(LAYERS),
) -> list[Any]:
    """Return parameters `name, mode` for each name in each of the `allowed_modes`.

    All `full_modes`, and one other mode for each name in turn, are not marked `long`.
    """
    modes = [mode for mode in available_modes() if mode in allowed_modes]
    other_modes = [mode for mode in modes if mode not in full_modes]
    params = []
    for number, name in enumerate(names):
        turn_mode = other_modes[number % len(other_modes)] if other_modes else None
        for mode in modes:
            marks = _marks(mode in full_modes or mode == turn_mode)
            params.append(pytest.param(name, mode, marks=marks, id=f"{name}-{mode}"))
    return params


def _marks(in_make_test: bool) -> Collection[pytest.MarkDecorator]:
    return () if in_make_test else (pytest.mark.long,)
