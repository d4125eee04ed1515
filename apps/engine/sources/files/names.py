"""Names of columns as files have them: blank, repeated, with control characters, or too long."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence

MAX_LENGTH = 250  # characters


def column_names(cells: Sequence[str]) -> list[str]:
    """Return a name for each column that databases can store.

    Control characters and lone surrogates become spaces. A blank name becomes `column_N`. A repeated name gets its
    position as a suffix, or the next number that is free. No name that is made here differs from another one only by case.
    """
    cleaned = [_clean(cell) for cell in cells]
    taken = {name.lower() for name in cleaned if name}
    used: set[str] = set()
    names: list[str] = []
    for position, name in enumerate(cleaned, start=1):
        wanted = name or f"column_{position}"
        is_taken = wanted in used if name else wanted in taken
        names.append(_free_name(wanted, position, taken) if is_taken else wanted)
        taken.add(names[-1].lower())
        used.add(names[-1])
    return names


def _clean(cell: str) -> str:
    text = "".join(" " if unicodedata.category(c) in ("Cc", "Cs") else c for c in cell)
    return text.strip()[:MAX_LENGTH]


def _free_name(name: str, position: int, taken: set[str]) -> str:
    while f"{name}_{position}".lower() in taken:
        position += 1
    return f"{name}_{position}"
