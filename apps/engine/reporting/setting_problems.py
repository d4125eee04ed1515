"""Say in plain words what is wrong with a setting, where pydantic's words are those of Python."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from pydantic_core import ErrorDetails

MAX_PROBLEMS = 20
WORDS: Mapping[str, str] = {
    "missing": "is required",
    "extra_forbidden": "is not a known setting",
    "none_required": "must be null",
    **dict.fromkeys(("string_type", "string_sub_type", "string_unicode"), "must be a text"),
    **dict.fromkeys(("int_type", "int_parsing", "int_from_float"), "must be a whole number"),
    **dict.fromkeys(("float_type", "float_parsing", "finite_number"), "must be a number"),
    **dict.fromkeys(("decimal_type", "decimal_parsing"), "must be a number"),
    **dict.fromkeys(("bool_type", "bool_parsing"), "must be true or false"),
    **dict.fromkeys(("list_type", "tuple_type", "set_type", "iterable_type"), "must be a list"),
    **dict.fromkeys(("dict_type", "model_type", "model_attributes_type"), "must be an object"),
    **dict.fromkeys(("url_type", "url_parsing", "url_scheme"), "must be an address (URL)"),
    **dict.fromkeys(("enum", "literal_error"), "is not one of the allowed values"),
    **dict.fromkeys(("too_short", "string_too_short"), "is too short"),
    **dict.fromkeys(("too_long", "string_too_long"), "is too long"),
    **dict.fromkeys(("greater_than", "greater_than_equal"), "is too small"),
    **dict.fromkeys(("less_than", "less_than_equal"), "is too large"),
}


def describe(problems: Sequence[ErrorDetails], prefix: str = "") -> tuple[str, ...]:
    """Return a line for each of pydantic's problems. It names the setting, and never shows its value."""
    lines = []
    for problem in problems[:MAX_PROBLEMS]:
        setting = prefix + ".".join(str(step) for step in problem["loc"])
        own_words = str(problem["msg"]).removeprefix("Value error, ")
        words = WORDS.get(problem["type"])
        lines.append(f"{setting} {words}" if words else f"{setting}: {own_words}")
    return tuple(lines)
