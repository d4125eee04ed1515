"""Settings against the schema of their kind, in words that name the field and never repeat its value."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from functools import lru_cache
from typing import Any

from jsonschema import Draft202012Validator
from jsonschema.exceptions import ValidationError, best_match

from apps.engine import catalogue
from apps.engine.catalogue import Role

MAX_ISSUES = 50
WORDS = {
    "string": "a text",
    "integer": "a whole number",
    "number": "a number",
    "boolean": "true or false",
    "array": "a list",
    "object": "an object",
    "null": "empty",
}


@dataclass(frozen=True, slots=True)
class ConfigIssue:
    """What is wrong at a place: `config.port`, `config.streams.0.path`."""

    path: str
    message: str
    code: str


def validate(role: Role, kind: str, config: Any) -> list[ConfigIssue]:
    """Everything wrong with the settings, in the order of their places; empty when they fit."""
    known = catalogue.source(kind) if role == "source" else catalogue.destination(kind)
    if known is None:
        return [ConfigIssue("kind", f"there is no {role} of kind {kind[:60]!r}", "unknown_kind")]
    issues: dict[ConfigIssue, None] = {}
    for error in _validator(role, kind).iter_errors(config):
        issues.update(dict.fromkeys(_issues(error)))
    return sorted(issues, key=lambda issue: issue.path)[:MAX_ISSUES]


@lru_cache(maxsize=64)
def _validator(role: Role, kind: str) -> Draft202012Validator:
    known = catalogue.source(kind) if role == "source" else catalogue.destination(kind)
    if known is None:
        raise KeyError(kind)
    return Draft202012Validator(known.config_schema)


def _issues(error: ValidationError) -> Iterator[ConfigIssue]:
    if error.validator in {"anyOf", "oneOf"}:
        yield from _of_alternatives(error)
    elif error.validator == "additionalProperties" and isinstance(error.instance, Mapping):
        yield from _of_unknown_fields(error)
    elif error.validator == "required":
        for name in _missing(error):
            yield ConfigIssue(_path(error, name), "this field is required", "required")
    else:
        yield ConfigIssue(_path(error), _message(error), str(error.validator))


def _of_alternatives(error: ValidationError) -> Iterator[ConfigIssue]:
    """The issues of the alternative that `type` names, else of the one that fits best."""
    branches: dict[int, list[ValidationError]] = {}
    for inner in error.context or ():
        branches.setdefault(int(inner.schema_path[0]), []).append(inner)
    meant = [each for each in branches.values() if not any(map(_is_other_type, each))]
    if len(meant) == 1:
        for inner in meant[0]:
            yield from _issues(inner)
        return
    choices = _type_choices(branches)
    if choices:
        name, words = choices
        message = f"must be one of {', '.join(words)}"
        yield ConfigIssue(_path(error, name), message, "enum")
        return
    nearest = best_match(iter(error.context or ()))
    if nearest is None:
        yield ConfigIssue(_path(error), "this fits none of the possible forms", "form")
    else:
        yield from _issues(nearest)


def _is_other_type(error: ValidationError) -> bool:
    """Whether the error says that another alternative was meant."""
    if error.validator == "const":
        return True
    if error.validator == "required":
        constants = _constants(error.schema)
        return any(name in constants for name in _missing(error))
    return error.validator == "type" and not error.relative_path


def _type_choices(branches: Mapping[int, list[ValidationError]]) -> tuple[str, list[str]] | None:
    """The field that chooses between alternatives, and the words it may have."""
    words: dict[str, list[str]] = {}
    for errors in branches.values():
        for error in errors:
            if error.validator == "const":
                words.setdefault(str(error.path[-1]), []).append(str(error.validator_value))
            elif error.validator == "required":
                for name, word in _constants(error.schema).items():
                    words.setdefault(name, []).append(word)
    return next(((name, list(dict.fromkeys(each))) for name, each in words.items()), None)


def _constants(schema: Any) -> dict[str, str]:
    properties = schema.get("properties", {}) if isinstance(schema, Mapping) else {}
    return {name: str(node["const"]) for name, node in properties.items() if "const" in node}


def _of_unknown_fields(error: ValidationError) -> Iterator[ConfigIssue]:
    schema: Any = error.schema
    instance: Any = error.instance
    known = list(schema.get("properties", {}))
    for name in instance:
        if name in known:
            continue
        near = get_close_matches(str(name), known, n=1)
        hint = f", did you mean {near[0]!r}?" if near else ""
        message = f"unknown field {str(name)[:60]!r}{hint}"
        yield ConfigIssue(_path(error, str(name)[:60]), message, "unknown_field")


def _path(error: ValidationError, *further: str) -> str:
    return ".".join(["config", *(str(step) for step in error.absolute_path), *further])


def _missing(error: ValidationError) -> list[str]:
    required: Any = error.validator_value
    instance: Any = error.instance
    return [name for name in required if name not in instance]


def _message(error: ValidationError) -> str:
    limit: Any = error.validator_value
    match error.validator:
        case "type":
            kinds = limit if isinstance(limit, list) else [limit]
            return f"must be {' or '.join(WORDS.get(kind, str(kind)) for kind in kinds)}"
        case "enum":
            return f"must be one of {', '.join(str(word) for word in limit)}"
        case "const":
            return f"must be {limit}"
        case "minimum":
            return f"must be {limit} or more"
        case "maximum":
            return f"must be {limit} or less"
        case "exclusiveMinimum":
            return f"must be more than {limit}"
        case "exclusiveMaximum":
            return f"must be less than {limit}"
        case "minLength":
            return "must not be empty" if limit == 1 else f"must have {limit} characters or more"
        case "maxLength":
            return f"must have {limit} characters or fewer"
        case "minItems":
            return f"must have {limit} entries or more"
        case "maxItems":
            return f"must have {limit} entries or fewer"
        case "pattern":
            return f"must have the form {limit}"
    return "is not valid"
