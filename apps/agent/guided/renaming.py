"""Read requests such as "rename flights to arrivals". The new name may contain any words, also those of a schedule."""

from __future__ import annotations

from apps.agent.guided import sentences, vocabulary
from apps.agent.guided.requests import Rename
from apps.agent.guided.sentences import Sentence

_SEPARATORS = ("to", "as", "into")


def read_rename(text: str, sentence: Sentence) -> Rename | None:
    """Return the request, or None if the text is another request.

    The text is split again, because `sentence` does not contain the words of a schedule.
    """
    whole = sentences.read_with_schedule(text)
    start = _start_of_name(whole)
    if start is None:
        return None
    separator = _position_of_separator(whole, start)
    words = whole.words[start:separator]
    kind = next((word for word in words if word in vocabulary.CANNOT_BE_RENAMED), "pipeline")
    new_name = whole.exact_text(separator + 1) if separator is not None else ""
    return Rename(_old_name(whole, start, separator), new_name, kind)


def _start_of_name(sentence: Sentence) -> int | None:
    """Return the position after "rename" or "change the name of"."""
    if sentence.first == "rename":
        return 1
    name = sentence.position("name")
    is_change = sentence.first in ("change", "set", "update", "edit") and name in (1, 2)
    if name is None or not is_change or sentence.words[name + 1 : name + 2] != ("of",):
        return None
    return name + 2


def _position_of_separator(sentence: Sentence, start: int) -> int | None:
    """Return the position of the "to" between the two names. The "to" in a name such as copy_to_files is none."""
    for position, token in enumerate(sentence.tokens):
        before = sentence.text[: token.start][-1:]
        after = sentence.text[token.end :][:1]
        stands_alone = before.isspace() and (after.isspace() or not after)
        if position >= start and token.word in _SEPARATORS and stands_alone:
            return position
    return None


def _old_name(sentence: Sentence, start: int, end: int | None) -> str:
    name = sentence.name(start, end)
    return "" if name.lower() in vocabulary.PRONOUNS else name
