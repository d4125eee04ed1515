"""The summaries of tools count things in words."""

from __future__ import annotations

import pytest

from apps.agent.tools.counted_words import counted


@pytest.mark.parametrize(
    ("count", "text"),
    [(0, "0 streams"), (1, "1 stream"), (2, "2 streams"), (1200, "1,200 streams")],
)
def test_a_number_has_its_noun(count: int, text: str) -> None:
    assert counted(count, "stream") == text
