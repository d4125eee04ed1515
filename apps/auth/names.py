"""Validation of names: one line of visible text that looks the same in a mail, a log, a page and a terminal.

A name is normalised (NFC), its white space becomes single spaces, and it is trimmed. These characters are refused:
control and format characters (Unicode's Cc and Cf, which include the characters that change the direction of text),
line and paragraph separators, lone surrogates, private-use characters, noncharacters and invisible characters. The
joiners ZWJ and ZWNJ are allowed where scripts and emoji need them. Invalid input of users is rejected (`parse_name`).
Invalid names from issuers, directories and repositories are cleaned (`clean_name`), because nobody can correct them
here.
"""

from __future__ import annotations

import re
import unicodedata
from typing import Any

from django.db import models
from django.db.models.lookups import Regex

MAX_MARKS = 5  # combining marks per character; Hebrew and Vedic texts need that many
MULTILINE_WHITE_SPACE = "\n\t"  # allowed in texts of several lines
_JOINERS = "\u200c\u200d"
_REFUSED_CATEGORIES = frozenset({"Cc", "Cf", "Cs", "Co", "Zl", "Zp"})
_INVISIBLE_CHARACTERS = frozenset(
    "\u034f\u115f\u1160\u17b4\u17b5\u2800\u3164\uffa0\ufffc\U0001d159"
)
# Lower code points are Latin, Greek, Cyrillic and Hebrew, which need no joiners.
_FIRST_JOINABLE_CHARACTER = "\u0600"
# Unicode's combining class of viramas. A joiner after a virama selects a letter's shape.
_VIRAMA_CLASS = 9

# Regular expression of the characters that the database rejects. No name of any script needs them. `parse_name`
# rejects more characters.
REFUSED_BY_DATABASE = (
    "[\\u0001-\\u001F\\u007F-\\u009F\\u00AD\\u061C\\u180E\\u200B\\u200E\\u200F\\u2028-\\u202E"
    "\\u2060-\\u206F\\uFEFF\\uFFF9-\\uFFFB\\U000E0000-\\U000E007F]"
)
REFUSED_IN_MULTILINE_BY_DATABASE = REFUSED_BY_DATABASE.replace(
    "\\u0001-\\u001F", "\\u0001-\\u0008\\u000B-\\u001F"
)


class InvalidName(ValueError):
    """The text is not a valid name. The message contains the character and the reason."""


def parse_name(text: str, *, multiline: bool = False) -> str:
    """Return the normalised name; empty if it has no visible characters. Raises InvalidName.

    With `multiline` the text may have several lines. CRLF becomes LF; other white space does not change.
    """
    text = unicodedata.normalize("NFC", text.replace("\r\n", "\n") if multiline else text)
    if not (text.isascii() and text.isprintable()):
        _refuse_characters(text, multiline)
        _refuse_excess_marks(text)
    if not multiline:
        text = " ".join(text.split())
    return text if any(map(_is_visible, text)) else ""


def clean_name(text: str, *, max_length: int) -> str:
    """Remove the refused characters of a name from another system, and shorten it to `max_length` characters.

    The result may be empty.
    """
    previous, text = "", text[: 4 * max_length]
    while text != previous:  # Removing a character can make the character next to it invalid.
        previous, text = text, _clean_once(text)[:max_length].rstrip(f" {_JOINERS}")
    return text if any(map(_is_visible, text)) else ""


def clean_multiline_text(text: str) -> str:
    """Remove the refused characters of a text that may have several lines."""
    parts = _ALLOWED_WHITE_SPACE.split(text.replace("\r\n", "\n"))
    return "".join(
        part if part in MULTILINE_WHITE_SPACE else clean_name(part, max_length=len(part))
        for part in parts
    )


def clean_json_texts(value: Any) -> Any:
    """Remove the refused characters of all texts in a JSON value.

    Texts without refused characters do not change at all, because their sender compares them later.
    """
    match value:
        case str():
            try:
                parse_name(value, multiline=True)
            except InvalidName:
                return clean_multiline_text(value)
        case list():
            return [clean_json_texts(inner) for inner in value]
        case dict():
            return {name: clean_json_texts(inner) for name, inner in value.items()}
    return value


def is_plain_address(text: str) -> bool:
    """Whether an e-mail address is ASCII, without white space, quotes, backslashes, < > and control characters."""
    return text.isascii() and text.isprintable() and bool(_ADDRESS_PATTERN.fullmatch(text))


def plain_text_check(field: str, *, name: str, multiline: bool = False) -> models.CheckConstraint:
    """Return the database check of a column that contains a name or, with `multiline`, a text."""
    refused = models.Q(
        **{
            f"{field}__regex": REFUSED_IN_MULTILINE_BY_DATABASE
            if multiline
            else REFUSED_BY_DATABASE
        }
    )
    return models.CheckConstraint(condition=~refused, name=name)


def plain_list_check(field: str, *, name: str) -> models.CheckConstraint:
    """Return the database check of a column that contains a list of names."""
    joined = models.Func(
        models.F(field),
        models.Value(" "),
        function="array_to_string",
        output_field=models.TextField(),
    )
    return models.CheckConstraint(
        condition=~models.Q(Regex(joined, REFUSED_BY_DATABASE)), name=name
    )


def _refuse_characters(text: str, multiline: bool) -> None:
    for index, char in enumerate(text):
        if multiline and char in MULTILINE_WHITE_SPACE:
            continue
        if char in _JOINERS and _is_joiner_allowed(text, index):
            continue
        if _is_refused(char):
            raise InvalidName(
                f"The character U+{ord(char):04X} is not allowed here: it cannot be seen, or it changes how"
                " the text around it is shown. Leave it out."
            )


def _refuse_excess_marks(text: str) -> None:
    if _TOO_MANY_MARKS.search(_mark_positions(text)):
        raise InvalidName(f"One character has more than {MAX_MARKS} marks. Leave some of them out.")


def _is_refused(char: str) -> bool:
    category = unicodedata.category(char)
    return (
        category in _REFUSED_CATEGORIES
        or char in _INVISIBLE_CHARACTERS
        or (category == "Cn" and _is_reserved(char))
    )


def _is_reserved(char: str) -> bool:
    """Whether the character is a noncharacter, or a code point reserved for invisible characters.

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


def _is_joiner_allowed(text: str, index: int) -> bool:
    """Whether the joiner at `index` is allowed: after a virama, or between two letters or two emoji."""
    before, after = text[index - 1 : index], text[index + 1 : index + 2]
    if not before or before in _JOINERS:
        return False
    if unicodedata.combining(before) == _VIRAMA_CLASS:
        return True
    return all(
        char >= _FIRST_JOINABLE_CHARACTER and unicodedata.category(char)[0] in "LMS"
        for char in (before, after)
    )


def _clean_once(text: str) -> str:
    text = "".join(map(_replacement, unicodedata.normalize("NFC", text)))
    text = _without_excess_marks(" ".join(text.split()))
    return "".join(
        char
        for index, char in enumerate(text)
        if char not in _JOINERS or _is_joiner_allowed(text, index)
    )


def _replacement(char: str) -> str:
    """Return a space for a control character or separator, "" for another refused character, else the character."""
    if char in _JOINERS or not _is_refused(char):
        return char
    return " " if unicodedata.category(char) in {"Cc", "Zl", "Zp"} else ""


_ALLOWED_WHITE_SPACE = re.compile(f"([{MULTILINE_WHITE_SPACE}])")
_ADDRESS_PATTERN = re.compile(r"[^\s\"\\<>@]+@[^\s\"\\<>@]+")
_TOO_MANY_MARKS = re.compile(f"m{{{MAX_MARKS + 1},}}")


def _mark_positions(text: str) -> str:
    """Return a text of the same length: "m" for each combining mark, "." for each other character."""
    return "".join("m" if unicodedata.category(char) in {"Mn", "Me"} else "." for char in text)


def _without_excess_marks(text: str) -> str:
    kept_characters, mark_count = [], 0
    for char in text:
        mark_count = mark_count + 1 if unicodedata.category(char) in {"Mn", "Me"} else 0
        if mark_count <= MAX_MARKS:
            kept_characters.append(char)
    return "".join(kept_characters)


def _is_visible(char: str) -> bool:
    return unicodedata.category(char)[0] in "LNPS" or unicodedata.category(char) == "Cn"
