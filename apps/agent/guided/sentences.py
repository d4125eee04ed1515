"""A request as a list of words, without its schedule and without polite words."""

from __future__ import annotations

import re
from dataclasses import dataclass

from apps.agent.guided import vocabulary
from apps.pipelines.schedules import tokens
from apps.pipelines.schedules.english import ScheduleWords, find_schedule
from apps.pipelines.schedules.tokens import Token

MAX_READ = 2_000  # characters; what comes later in a message is not read
_EACH_TABLE = re.compile(
    r"\b(?:every|each)\s+(table|stream|endpoint|pipeline|run)s?\b", re.IGNORECASE
)


@dataclass(frozen=True, slots=True)
class Sentence:
    """The words of a request. `schedule` was cut out of `text`."""

    text: str
    tokens: tuple[Token, ...]
    schedule: ScheduleWords | None = None

    @property
    def words(self) -> tuple[str, ...]:
        return tuple(token.word for token in self.tokens)

    @property
    def first(self) -> str:
        return self.tokens[0].word if self.tokens else ""

    def has(self, words: frozenset[str] | tuple[str, ...]) -> bool:
        return any(token.word in words for token in self.tokens if token.word)

    def position(self, *words: str, start: int = 0) -> int | None:
        """Return the position of the first of these words, or None."""
        return next(
            (i for i, token in enumerate(self.tokens) if i >= start and token.word in words), None
        )

    def part(self, start: int, end: int | None = None) -> str:
        """Return the text of some tokens, without signs around it."""
        chosen = self.tokens[start:end]
        if not chosen:
            return ""
        return self.text[chosen[0].start : chosen[-1].end].strip(" \t\r\n.,;:!?")

    def names(self, start: int, end: int) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """Return the names that commas and "and" separate, and the patterns among them, which contain a star."""
        names: list[str] = []
        patterns: list[str] = []
        for position in range(start, end + 1):
            if position == end or self.words[position] in (",", "and", "&", "plus"):
                found = self.patterns(start, position)
                patterns += found
                if not found and (name := self.name(start, position)):
                    names.append(name)
                start = position + 1
        return tuple(names), tuple(patterns)

    def patterns(self, start: int, end: int) -> list[str]:
        """Return the words with a star in some tokens, such as `public.*` and `!*_tmp`."""
        chosen = self.tokens[start:end]
        if not chosen:
            return []
        text = self.text[chosen[0].start : chosen[-1].end]
        words = (word.strip(",;:()") for word in text.split())
        return [word for word in words if "*" in word and all(map(_is_part_of_pattern, word))]

    def exact_text(self, start: int) -> str:
        """Return the text from this token to the end, without quotes around it."""
        chosen = self.tokens[start:]
        if len(chosen) == 1 and not chosen[0].word:
            return chosen[0].text[1:-1].strip()
        return self.part(start)

    def name(self, start: int, end: int | None = None) -> str:
        """Return the name in some tokens, without the words around it such as "the" and "pipeline".

        A text in quotes is the name exactly.
        """
        chosen = list(self.tokens[start:end])
        for token in chosen:
            if not token.word:
                return token.text[1:-1].strip()
        while chosen and (chosen[0].word in vocabulary.FILLERS or not chosen[0].text[0].isalnum()):
            chosen.pop(0)
        while chosen and (
            chosen[-1].word in vocabulary.FILLERS or not chosen[-1].text[-1].isalnum()
        ):
            chosen.pop()
        return self.text[chosen[0].start : chosen[-1].end] if chosen else ""


def _is_part_of_pattern(sign: str) -> bool:
    return sign.isalnum() or sign in "*?!._-"


def read_with_schedule(text: str) -> Sentence:
    """Split a message. Words of a schedule stay in it, because they may be part of a name."""
    return _sentence(text[:MAX_READ], None)


def read(text: str) -> Sentence:
    """Split a message. Never raises, and takes time that grows linearly with MAX_READ."""
    text = _EACH_TABLE.sub(r"all \1s", text[:MAX_READ])
    schedule = find_schedule(text)
    if schedule is not None:
        text = f"{text[: schedule.start]} {text[schedule.end :]}"
    return _sentence(text, schedule)


def _sentence(text: str, schedule: ScheduleWords | None) -> Sentence:
    """Return the words of the text without the polite words at its beginning."""
    words = tokens.split(text)
    first = 0
    while first < len(words) and (
        words[first].word in vocabulary.POLITE or words[first].text in (",", "!", ".")
    ):
        first += 1
    if first == len(words):
        first = 0
    return Sentence(text, tuple(words[first:]), schedule)
