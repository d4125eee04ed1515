"""Validation of names: one line of visible text that looks the same in a mail, a log, a page and a terminal.

A name is normalised (NFC), its white space becomes single spaces, and it is trimmed. Refused are control and format
characters (Unicode's Cc and Cf, so also everything that changes the direction of text), line and paragraph separators,
lone surrogates, private-use characters, noncharacters and invisible characters. The joiners ZWJ and ZWNJ are
allowed where scripts and emoji need them. Invalid input of users is refused (`read`); names from issuers, directories
and repositories are cleaned (`cleaned`), because nobody could correct them.
"""

from __future__ import annotations

import re
import unicodedata
from typing import Any

from django.db import models
from django.db.models.lookups import Regex

MAX_MARKS = 5  # combining marks per character; Hebrew and Vedic texts need that many
LINE_CHARACTERS = "\n\t"  # allowed in texts of several lines
_JOINERS = "\u200c\u200d"
_REFUSED = frozenset({"Cc", "Cf", "Cs", "Co", "Zl", "Zp"})
_LOOKS_LIKE_NOTHING = frozenset("\u034f\u115f\u1160\u17b4\u17b5\u2800\u3164\uffa0\ufffc\U0001d159")
_BEYOND_ALPHABETS = (
    "\u0600"  # Lower code points are Latin, Greek, Cyrillic and Hebrew, which need no joiners.
)
_VIRAMA = (
    9  # the canonical combining class of viramas, after which a joiner selects a letter's shape
)

# The database's own check: characters that no name of any script needs. `read` refuses more.
NOT_STORED = (
    "[\\u0001-\\u001F\\u007F-\\u009F\\u00AD\\u061C\\u180E\\u200B\\u200E\\u200F\\u2028-\\u202E"
    "\\u2060-\\u206F\\uFEFF\\uFFF9-\\uFFFB\\U000E0000-\\U000E007F]"
)
NOT_STORED_IN_LINES = NOT_STORED.replace("\\u0001-\\u001F", "\\u0001-\\u0008\\u000B-\\u001F")


class InvalidName(ValueError):
    """The text is not a valid name; the message names the character and the reason."""


def read(text: str, *, lines: bool = False) -> str:
    """Return the normalised name; empty if it has no visible characters. Raises InvalidName.

    With `lines` it is a text of several lines, whose white space is kept.
    """
    text = unicodedata.normalize("NFC", text.replace("\r\n", "\n") if lines else text)
    if not (text.isascii() and text.isprintable()):
        _refuse_characters(text, lines)
        _refuse_stacks(text)
    if not lines:
        text = " ".join(text.split())
    return text if any(map(_is_visible, text)) else ""


def cleaned(text: str, *, longest: int) -> str:
    """Return the allowed part of a name from another system, with at most `longest` characters; may be empty."""
    before, text = "", text[: 4 * longest]
    while text != before:  # A removed character may have been required by its neighbour.
        before, text = text, _tidied(text)[:longest].rstrip(f" {_JOINERS}")
    return text if any(map(_is_visible, text)) else ""


def cleaned_lines(text: str) -> str:
    """Like `cleaned`, for a text of several lines, which keeps its lines."""
    parts = _LINES.split(text.replace("\r\n", "\n"))
    return "".join(
        part if part in LINE_CHARACTERS else cleaned(part, longest=len(part)) for part in parts
    )


def cleaned_json(value: Any) -> Any:
    """Like `cleaned`, for the texts inside of JSON.

    Texts without refused characters stay exactly as they are, because the sender compares them.
    """
    match value:
        case str():
            try:
                read(value, lines=True)
            except InvalidName:
                return cleaned_lines(value)
        case list():
            return [cleaned_json(inner) for inner in value]
        case dict():
            return {name: cleaned_json(inner) for name, inner in value.items()}
    return value


def is_plain_address(text: str) -> bool:
    """Whether an e-mail address has none of the spaces and control characters that RFC 5321 allows in quotes."""
    return text.isascii() and text.isprintable() and bool(_ADDRESS.fullmatch(text))


def plain(field: str, *, name: str, lines: bool = False) -> models.CheckConstraint:
    """Return the database check of a column with a name or, with `lines`, a text of several lines."""
    refused = models.Q(**{f"{field}__regex": NOT_STORED_IN_LINES if lines else NOT_STORED})
    return models.CheckConstraint(condition=~refused, name=name)


def plain_list(field: str, *, name: str) -> models.CheckConstraint:
    """Return the database check of a column with a list of names."""
    joined = models.Func(
        models.F(field),
        models.Value(" "),
        function="array_to_string",
        output_field=models.TextField(),
    )
    return models.CheckConstraint(condition=~models.Q(Regex(joined, NOT_STORED)), name=name)


def _refuse_characters(text: str, lines: bool) -> None:
    for at, char in enumerate(text):
        if lines and char in LINE_CHARACTERS:
            continue
        if char in _JOINERS and _joins(text, at):
            continue
        if _is_refused(char):
            raise InvalidName(
                f"The character U+{ord(char):04X} is not allowed here: it cannot be seen, or it changes how"
                " the text around it is shown. Leave it out."
            )


def _refuse_stacks(text: str) -> None:
    if _HIGH_STACK.search(_shape(text)):
        raise InvalidName(
            f"One character carries more than {MAX_MARKS} marks. Leave some of them out."
        )


def _is_refused(char: str) -> bool:
    kind = unicodedata.category(char)
    return kind in _REFUSED or char in _LOOKS_LIKE_NOTHING or (kind == "Cn" and _is_reserved(char))


def _is_reserved(char: str) -> bool:
    """Whether it is a noncharacter, or a code point reserved for invisible characters.

    Other unassigned code points may be letters of a newer Unicode version.
    """
    code = ord(char)
    return (
        code & 0xFFFE == 0xFFFE
        or 0xFDD0 <= code <= 0xFDEF
        or 0xFFF0 <= code <= 0xFFF8
        or 0xE0000 <= code <= 0xE0FFF
        or code == 0x2065
    )


def _joins(text: str, at: int) -> bool:
    """Whether a joiner is in a valid position: after a virama, or between two letters or emoji."""
    before, after = text[at - 1 : at], text[at + 1 : at + 2]
    if not before or before in _JOINERS:
        return False
    if unicodedata.combining(before) == _VIRAMA:
        return True
    return all(
        char >= _BEYOND_ALPHABETS and unicodedata.category(char)[0] in "LMS"
        for char in (before, after)
    )


def _tidied(text: str) -> str:
    text = "".join(map(_instead, unicodedata.normalize("NFC", text)))
    text = _without_high_stacks(" ".join(text.split()))
    return "".join(char for at, char in enumerate(text) if char not in _JOINERS or _joins(text, at))


def _instead(char: str) -> str:
    """Return the replacement of a refused character: a space for a separator, nothing for an invisible one."""
    if char in _JOINERS or not _is_refused(char):
        return char
    return " " if unicodedata.category(char) in {"Cc", "Zl", "Zp"} else ""


_LINES = re.compile(f"([{LINE_CHARACTERS}])")
_ADDRESS = re.compile(r"[^\s\"\\<>@]+@[^\s\"\\<>@]+")
_HIGH_STACK = re.compile(f"m{{{MAX_MARKS + 1},}}")


def _shape(text: str) -> str:
    """Return one letter per character: m for a combining mark."""
    return "".join("m" if unicodedata.category(char) in {"Mn", "Me"} else "." for char in text)


def _without_high_stacks(text: str) -> str:
    kept, height = [], 0
    for char in text:
        height = height + 1 if unicodedata.category(char) in {"Mn", "Me"} else 0
        if height <= MAX_MARKS:
            kept.append(char)
    return "".join(kept)


def _is_visible(char: str) -> bool:
    return unicodedata.category(char)[0] in "LNPS" or unicodedata.category(char) == "Cn"
