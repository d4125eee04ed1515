"""What the responses of a stream have beside their records, and what shows that one of them is an error.

Many APIs report errors with status 200, in fields of their own. So a response without records is compared with those
before it: an error has fields that they do not have, or lacks all of theirs, or changes a field such as `status`.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from drover._paging.trails import digest
from drover._paging.values import is_end, is_number, only_letters

MAX_FIELDS = 40  # that a form stores; further ones are not compared
MAX_DEPTH = 3
VARIES = "----"  # instead of the digest of a value that was not the same in all responses
SIZES = (6, 1, 4)  # characters of the place, the kind and the value of a field
# Names in lower case without other characters than letters. The first ones tell the place in the list, or describe the
# response, and may appear or change in a response without records.
NEUTRAL = re.compile(
    r"(prev|next|first|last|self|start|end|page|paging|pagination|cursor|offset|skip|limit$|size|perpage|total|count"
    r"|number|link|url|uri|href|more|has|is|eof|empty|kind|etag|took|time$|timestamp|duration|elapsed|date|generated"
    r"|request|trace|correlation|before|after|done|complete|exhausted|finished|odata|schema|version|servertime|api)"
)
STATUS = re.compile(
    r"^(api|http|response|request|result|return|meta)?(status|state|code|ret|rc|result|res|ok|success|succeeded|outcome)$"
    r"|^err|error|errs?$|^fault|fail|exception|^status|^success|exceed|throttl|denied|partial|incomplete|timeout|timedout|warn"
)
SUCCESS = re.compile(r"^(is)?(ok|success|succeeded|successful)$")
MESSAGE = re.compile(r"(message|msg|detail|details|reason|description)$")
ERROR_NAME = re.compile(r"^err(or)?|errors?$|^fault|exception")
DESCRIBES_ERROR = re.compile(
    rf"{STATUS.pattern}|{MESSAGE.pattern}|^(type|title|instance|documentation|docs|help|path|retry|timestamp)"
)
WORDS = re.compile(r"[^\W\d_][^\d/=&]{0,200}")
# A message beside an empty list that says that there is nothing.
_RECORDS = (
    r"(results?|records?|items?|entries|rows|data|documents?|objects?|matches|content|pages?)"
)
NOTHING = re.compile(
    rf"\b(no|zero|0)( (more|further|additional|other|new|matching|such))* {_RECORDS}\b|\bnothing\b"
    rf"|\b{_RECORDS} (was |were )?not found\b|\b(end of|last page)\b|\b{_RECORDS} is empty\b|\bempty (list|{_RECORDS})\b"
)
FAILURES = re.compile(
    r"err|fail|denied|refused|throttl|limit|exceed|unavailable|invalid|forbidden|unauth|timeout|busy|fatal|exception"
)


@dataclass
class Form:
    """The fields of the responses so far: for each place its kind, and the digest of its value if it never changed."""

    fields: dict[str, tuple[str, str]] = field(default_factory=dict)
    has_lists: bool = False  # whether the records were in a list

    @classmethod
    def from_json(cls, value: Any) -> Form:
        has_lists, text, width = str(value or "")[:1] == "l", str(value or "")[1:], sum(SIZES)
        pieces = [text[start : start + width] for start in range(0, len(text), width)]
        place, kind = SIZES[0], SIZES[0] + SIZES[1]
        found = {piece[:place]: (piece[place], piece[kind:]) for piece in pieces}
        return cls(found, has_lists)

    def to_json(self) -> str:
        fields = (place + kind + value for place, (kind, value) in self.fields.items())
        return "".join(["l" if self.has_lists else "-", *fields])

    def __bool__(self) -> bool:
        return self.has_lists or bool(self.fields)

    def add(self, document: Any, records: Any, *, has_list: bool) -> None:
        """Add the fields of a response. `records` is the part of it that contains the records."""
        self.has_lists |= has_list
        for place, value in walk_fields(document, records):
            key, kind = _short(place, SIZES[0]), _kind(value)
            known = self.fields.get(key)
            if known is None:
                if len(self.fields) < MAX_FIELDS:
                    self.fields[key] = (kind, _value_digest(value))
            elif known[0] == "n":
                self.fields[key] = (kind, _value_digest(value) if kind == "n" else VARIES)
            elif kind != "n" and known[1] != _value_digest(value):
                self.fields[key] = (known[0], VARIES)

    def has_value(self, place: str, value: Any) -> bool:
        """Whether all responses so far had this value at the place."""
        return self.fields.get(_short(place, SIZES[0]), ("", ""))[1] == _value_digest(value)

    def has_only(self, places: Collection[str]) -> bool:
        """Whether the responses had no fields but these, and the objects around them."""
        allowed = set()
        for place in places:
            while place:
                allowed.add(_short(place, SIZES[0]))
                place = place.rpartition(".")[0]
        return self.fields.keys() <= allowed

    def find_fault(
        self,
        document: Any,
        records: Any,
        *,
        has_list: bool,
        named: Collection[str] = (),
        says_end: bool = False,
    ) -> str:
        """Return in words what shows that a response without records is an error, or an empty text.

        `has_list` is whether it has the list of records, `named` are the places that the settings name. If one of
        them says that no page follows, other fields may be new or say something else, unless they tell a status.
        """
        is_like_others = has_list
        for place, value in walk_fields(document, records):
            known = self.fields.get(_short(place, SIZES[0]))
            name = plain_name(place)
            if has_list and (
                _says_nothing_is_there(value) or (says_end and not STATUS.search(name))
            ):
                continue
            is_neutral = place in named or _is_neutral(name)
            is_like_others |= known is not None or is_neutral
            if (
                known is None
                and not is_neutral
                and self._is_complete
                and _says_something(name, value)
            ):
                return f"it has `{place}`, which the responses before did not have"
            may_change = is_neutral and name != "kind"
            if known is not None and not may_change and _is_suspicious(name, known, value):
                return f"`{place}` is not as in the responses before"
        return "" if is_like_others else "it has none of the fields of the responses before"

    @property
    def _is_complete(self) -> bool:
        return len(self.fields) < MAX_FIELDS


def find_first_fault(document: Any, records: Any, *, has_list: bool) -> str:
    """Return in words what shows that a first response without records is an error, or an empty text.

    A message beside an empty list is none, because it may say that there are no records.
    """
    for place, value in walk_fields(document, records):
        name = plain_name(place)
        is_message = MESSAGE.search(name) and isinstance(value, str) and " " in value.strip()
        if (is_message and not has_list) or (STATUS.search(name) and _is_failure(name, value)):
            return f"it has `{place}`"
    return ""


def find_object_fault(record: Mapping[str, Any]) -> str:
    """Return in words what shows that the only record of the first response is an error, or an empty text.

    An error has only fields that describe a response.
    """
    names = {plain_name(quoted.replace(".", " ")): quoted for quoted in map(str, record)}
    if not all(DESCRIBES_ERROR.search(name) or _is_neutral(name) for name in names):
        return ""
    if any(STATUS.search(name) and _is_success(record[names[name]]) for name in names):
        return ""
    for name, field_name in names.items():
        value = record[field_name]
        is_failed = SUCCESS.search(name) is not None and value is False
        is_error = ERROR_NAME.search(name) is not None and not is_end(value)
        if is_failed or is_error or (STATUS.search(name) and _is_failure(name, value)):
            return f"its only record looks like an error, because it has `{field_name}`"
        if MESSAGE.search(name) and isinstance(value, str) and " " in value.strip():
            return f"its only record looks like an error, because it has `{field_name}`"
    return ""


def walk_fields(
    value: Any, records: Any, depth: int = MAX_DEPTH, prefix: str = ""
) -> Iterator[tuple[str, Any]]:
    """Yield the place and value of each field, but not of the records and of other lists."""
    if not isinstance(value, Mapping) or value is records or depth == 0:
        return
    for name, inner in value.items():
        if inner is records and inner is not None:
            continue
        place = f"{prefix}{name}"
        yield place, inner
        yield from walk_fields(inner, records, depth - 1, f"{place}.")


def plain_name(place: str) -> str:
    """Return the last name of the place in lower case, without other characters than letters."""
    return only_letters(place.rpartition(".")[2])


def _is_neutral(name: str) -> bool:
    return NEUTRAL.match(name) is not None and STATUS.search(name) is None


def _says_nothing_is_there(value: Any) -> bool:
    text = value.lower() if isinstance(value, str) else ""
    return NOTHING.search(text) is not None and FAILURES.search(text) is None


def _says_something(name: str, value: Any) -> bool:
    """Whether a field that is new says something: it is not null, 0, empty, or an object, whose fields are seen anyway."""
    if SUCCESS.search(name) and value is False:
        return True
    is_negative = is_number(value) and value < 0
    return is_negative or not (is_end(value) or isinstance(value, Mapping))


def _is_suspicious(name: str, known: tuple[str, str], value: Any) -> bool:
    kind, known_value = known
    if _kind(value) == "n":
        return False
    is_status = STATUS.search(name) is not None
    if kind == "n":
        return is_status or (isinstance(value, str) and " " in value.strip())
    if kind != _kind(value):
        return True
    if known_value in (VARIES, _value_digest(value)):
        return False
    if isinstance(value, str):
        return is_status or WORDS.fullmatch(value) is not None
    if isinstance(value, bool):
        return is_status or value
    return is_status and is_number(value)


def _is_failure(name: str, value: Any) -> bool:
    if isinstance(value, str):
        return FAILURES.search(value.lower()) is not None
    if isinstance(value, bool) or not is_number(value):
        return False
    return bool(value >= 400 or value < 0 or (name.startswith("err") and value != 0))


def _is_success(value: Any) -> bool:
    return value is True or str(value).lower() in ("ok", "success", "true", "200", "0")


def _kind(value: Any) -> str:
    """Return one character for the type of the value; `n` for nothing, which every type can be."""
    if isinstance(value, bool):
        return "b"
    if is_number(value):
        return "0"
    if value is None or value in ("", [], {}):
        return "n"
    return "t" if isinstance(value, str) else "o" if isinstance(value, Mapping) else "l"


def _value_digest(value: Any) -> str:
    """Return a digest of a text, number or boolean; those of lists and objects do not count."""
    return _short(value, SIZES[2]) if _kind(value) in "b0t" else VARIES


def _short(value: Any, length: int) -> str:
    return digest(value)[:length]
