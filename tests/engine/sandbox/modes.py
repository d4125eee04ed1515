"""The ways this machine can isolate code, each with layers left out on purpose.

As root: Landlock and seccomp only, a root and user of its own without Landlock, all but bubblewrap, and with
it. As an ordinary user the same without what takes privileges; when the tests run as root that mode is a
process that gave up root, `tests.engine.sandbox.ordinary`.
"""

from __future__ import annotations

from apps.engine.sandbox.layers import probe

LAYERS: dict[str, tuple[str, ...]] = {
    "landlock": ("landlock", "seccomp"),
    "chroot": ("seccomp", "root", "uid"),
    "root": ("landlock", "seccomp", "root", "uid"),
    "bubblewrap": ("landlock", "seccomp", "bwrap"),
    "bubblewrap without landlock": ("seccomp", "bwrap"),
}


def available() -> list[str]:
    """The modes of this machine and this user. At least one, or there is nothing to test."""
    machine = probe()
    offered = {
        *(["landlock"] if machine.landlock else []),
        *(["seccomp"] if machine.seccomp else []),
        *(["root", "uid"] if machine.users else []),
        *(["bwrap"] if machine.bwrap else []),
    }
    found = [name for name, layers in LAYERS.items() if offered.issuperset(layers)]
    if not found:
        raise RuntimeError(f"this machine cannot isolate code: {machine.missing}")
    return found
