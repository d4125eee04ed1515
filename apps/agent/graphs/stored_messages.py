"""Load the messages of a thread. A turn loads each of them once, although several checkpoints contain it.

LangGraph stores all messages of a thread as one value, and loading them takes most of the time of a turn in a long
thread. They are a MessagePack array of extension values, whose first bytes say how long each of them is
(https://github.com/msgpack/msgpack/blob/master/spec.md).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from langgraph.checkpoint.serde.jsonplus import JsonPlusSerializer

ARRAYS = {0xDC: 2, 0xDD: 4}  # the first byte of a long array, and how many bytes its length has
# The first byte of an extension value, and how many bytes its length has, or how long it is.
EXTENSIONS = {0xC7: 1, 0xC8: 2, 0xC9: 4}
FIXED_EXTENSIONS = {0xD4: 1, 0xD5: 2, 0xD6: 4, 0xD7: 8, 0xD8: 16}


class ThreadSerializer(JsonPlusSerializer):
    """LangGraph's serializer, which loads only core messages and plain data. Use one for each turn."""

    def __init__(self) -> None:
        super().__init__(allowed_msgpack_modules=None)
        self._loaded: dict[bytes, Any] = {}

    def loads_typed(self, data: tuple[str, bytes]) -> Any:
        kind, blob = data
        parts = split(blob) if kind == "msgpack" else None
        if parts is None:
            return super().loads_typed(data)
        return [self._load(part) for part in parts]

    def _load(self, part: bytes) -> Any:
        if part not in self._loaded:
            self._loaded[part] = super().loads_typed(("msgpack", part))
        return self._loaded[part]


def split(blob: bytes) -> list[bytes] | None:
    """Return the elements of an array of extension values, such as messages, or None if it is something else."""
    if not blob:
        return None
    first = blob[0]
    if 0x90 <= first <= 0x9F:
        count, position = first & 0x0F, 1
    elif first in ARRAYS:
        position = 1 + ARRAYS[first]
        count = int.from_bytes(blob[1:position])
    else:
        return None
    parts = list(_extensions(blob, position, count))
    is_whole = len(parts) == count and position + sum(map(len, parts)) == len(blob)
    return parts if is_whole else None


def _extensions(blob: bytes, position: int, count: int) -> Iterator[bytes]:
    """Yield this many extension values, or fewer if something else comes first."""
    for _ in range(count):
        first = blob[position] if position < len(blob) else 0
        if first in FIXED_EXTENSIONS:
            end = position + 2 + FIXED_EXTENSIONS[first]
        elif first in EXTENSIONS:
            header_end = position + 1 + EXTENSIONS[first]
            end = header_end + 1 + int.from_bytes(blob[position + 1 : header_end])
        else:
            return
        yield blob[position:end]
        position = end
