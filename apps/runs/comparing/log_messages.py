"""Which messages occur in the log of one run and not in the log of another."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

MAX_MESSAGES = 20  # of each run
MAX_LENGTH = 500  # characters of a message
# Parts of a message that differ between runs: ids, times, numbers, and hexadecimal digests.
_VARYING = re.compile(
    r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}"
    r"|\d{4}-\d\d-\d\d(?:[T ]\d\d:\d\d(?::\d\d(?:\.\d+)?)?(?:Z|[+-]\d\d:?\d\d)?)?"
    r"|\b(?=[0-9a-f]*\d)[0-9a-f]{8,}\b"
    r"|\d[\d,.]*",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class OwnMessage:
    """A message that only one of two runs has, with the number of its first line, from 0."""

    line: int
    level: str
    message: str


def find_own_messages(
    lines: Iterable[Mapping[str, Any]], other_lines: Iterable[Mapping[str, Any]]
) -> list[OwnMessage]:
    """Return the first messages of `lines` that `other_lines` do not have, without regard to times, ids and numbers."""
    seen = {_shape(line) for line in other_lines}
    found: list[OwnMessage] = []
    for line in lines:
        shape = _shape(line)
        if shape in seen:
            continue
        seen.add(shape)
        found.append(OwnMessage(line["line"], line["level"], line["message"].rstrip()[:MAX_LENGTH]))
        if len(found) == MAX_MESSAGES:
            break
    return found


def _shape(line: Mapping[str, Any]) -> tuple[str, str]:
    return line["level"], _VARYING.sub("#", line["message"][:MAX_LENGTH])
