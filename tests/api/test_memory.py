"""The memory available to a process is the machine's memory, or the limit of its container."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from apps.background import memory

MACHINE_BYTES = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")


@pytest.mark.parametrize(
    ("container_limit", "expected_bytes"),
    [
        ("max\n", MACHINE_BYTES),
        ("3221225472\n", 3 << 30),
        ("9223372036854771712\n", MACHINE_BYTES),
        (None, MACHINE_BYTES),
    ],
)
def test_the_limit_of_the_container_is_used_if_it_is_below_the_machines_memory(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    container_limit: str | None,
    expected_bytes: int,
) -> None:
    limit_file = tmp_path / "memory.max"
    if container_limit is not None:
        limit_file.write_text(container_limit)
    monkeypatch.setattr(memory, "LIMIT_FILES", (str(limit_file),))
    assert memory.available_memory() == expected_bytes


def test_the_number_of_runs_of_an_org_is_computed_from_the_memory(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(memory, "available_memory", lambda: 10 << 30)
    assert memory.max_runs_per_org(2 << 30, 1 << 30) == 3
    assert memory.max_runs_per_org(20 << 30, 1 << 30) == 1
