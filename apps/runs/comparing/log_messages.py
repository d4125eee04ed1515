"""Which messages occur in the log of one run and not in the log of another."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

MAX_MESSAGES = 20  # of each run
MAX_LENGTH = 500  # characters of a message that are compared and returned
# Parts of a message that differ between runs: ids, times, numbers, and hexadecimal digests.
_VARYING = re.compile(
    r"(?<![0-9a-f])[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}"
    r"|\d{4}-\d\d-\d\d(?:[T ]\d\d:\d\d(?::\d\d(?:\.\d+)?)?(?:Z|[+-]\d\d:?\d\d)?)?"
    r"|\b(?=[a-f]*+\d)[0-9a-f]{8,}+\b"
    r"|\d[\d,.]*",
    re.IGNORECASE,
)

Shape = tuple[str, str]  # the level, and the message without what differs between runs


@dataclass(frozen=True, slots=True)
class OwnMessage:
    """A message that only one of two runs has, with the number of its first line, from 0."""

    line: int
    level: str
    message: str


def compare_messages(
    lines: Sequence[Mapping[str, Any]], other_lines: Sequence[Mapping[str, Any]]
) -> tuple[list[OwnMessage], list[OwnMessage]]:
    """Return the first messages that only `lines` have, and those that only `other_lines` have.

    Times, ids and numbers are left out of the comparison.
    """
    shapes, other_shapes = [_shape(line) for line in lines], [_shape(line) for line in other_lines]
    return (
        _find_own(lines, shapes, set(other_shapes)),
        _find_own(other_lines, other_shapes, set(shapes)),
    )


def _find_own(
    lines: Sequence[Mapping[str, Any]], shapes: Sequence[Shape], seen: set[Shape]
) -> list[OwnMessage]:
    """Return the first lines of each shape that was not seen. Adds their shapes to `seen`."""
    found: list[OwnMessage] = []
    for line, shape in zip(lines, shapes, strict=True):
        if shape in seen:
            continue
        seen.add(shape)
        found.append(OwnMessage(line["line"], line["level"], line["message"].rstrip()[:MAX_LENGTH]))
        if len(found) == MAX_MESSAGES:
            break
    return found


def _shape(line: Mapping[str, Any]) -> Shape:
    return line["level"], _VARYING.sub("#", line["message"][:MAX_LENGTH])
