"""Find the objects that a name in a request means."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from apps.agent.guided import vocabulary
from apps.json import JsonObject

T = TypeVar("T")
_WORD = re.compile(r"[^\W_]+")


def matching(wanted: str, candidates: Sequence[T], name_of: Callable[[T], str]) -> list[T]:
    """Return the candidates that match best: exactly, by the beginning, by a part, or by all words. [] if none does."""
    text = _normal(wanted)
    if not text:
        return []
    names = [(candidate, _normal(name_of(candidate))) for candidate in candidates]
    rules: tuple[Callable[[str], bool], ...] = (
        lambda name: name == text,
        lambda name: _singular(name) == _singular(text),
        lambda name: name.startswith(text),
        lambda name: text in name,
        lambda name: _has_all_words(name, text),
    )
    for rule in rules:
        if found := [candidate for candidate, name in names if rule(name)]:
            return found
    return []


def named_in(
    request: str, wanted: str, candidates: Sequence[T], name_of: Callable[[T], str]
) -> list[T]:
    """Return the candidates whose whole names are in the request, around the part that was read as the name.

    That part lacks words which often precede a name, such as "broken". [] if it is in the request more than once,
    because it is not known which place was read.
    """
    text, part = _padded(request), _padded(wanted)
    if text.count(part) != 1:
        return []
    names = [(candidate, _padded(name_of(candidate))) for candidate in candidates]
    return [candidate for candidate, name in names if part in name and name in text]


def matching_connectors(wanted: str, connectors: Sequence[JsonObject]) -> list[Any]:
    """Return the connectors of this name, else of this kind."""
    by_name = matching(wanted, connectors, lambda c: str(c["name"]))
    if by_name:
        return by_name
    words = _WORD.findall(wanted.lower())
    kinds = {vocabulary.KINDS.get(word, word) for word in words}
    if by_kind := [c for c in connectors if c["kind"] in kinds]:
        return by_kind
    ignored = vocabulary.FILLERS | vocabulary.PLACES
    useful = " ".join(word for word in words if word not in ignored)
    return matching(useful, connectors, lambda c: str(c["name"])) if useful != wanted else []


def _normal(name: str) -> str:
    return " ".join(_WORD.findall(name.lower()))


def _padded(name: str) -> str:
    """Return the words with spaces around them, so that `in` compares only whole words."""
    return f" {_normal(name)} "


def _singular(name: str) -> str:
    return " ".join(word.removesuffix("s") for word in name.split())


def _has_all_words(name: str, text: str) -> bool:
    names = name.split()
    return all(any(part.startswith(_singular(word)) for part in names) for word in text.split())
