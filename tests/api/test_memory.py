"""The memory available to a process is the machine's, or its container's."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from apps.background import memory

MACHINE = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")


@pytest.mark.parametrize(
    ("said", "bytes_"),
    [
        ("max\n", MACHINE),
        ("3221225472\n", 3 << 30),
        ("9223372036854771712\n", MACHINE),
        (None, MACHINE),
    ],
)
def test_the_container_counts_where_it_has_less(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, said: str | None, bytes_: int
) -> None:
    limit = tmp_path / "memory.max"
    if said is not None:
        limit.write_text(said)
    monkeypatch.setattr(memory, "LIMITS", (str(limit),))
    assert memory.available() == bytes_


def test_runs_of_an_org_follow_from_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory, "available", lambda: 10 << 30)
    assert memory.runs_of_an_org(2 << 30, 1 << 30) == 3
    assert memory.runs_of_an_org(20 << 30, 1 << 30) == 1
