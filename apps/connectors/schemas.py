"""Validate settings against a JSON Schema, with readable errors that name the path; and find secrets.

Messages never repeat a value, because any value may be a secret typed into the wrong field.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from difflib import get_close_matches
from typing import Any

from jsonschema import Draft202012Validator
from jsonschema.exceptions import ValidationError

from apps.json import JsonObject

Schema = Mapping[str, Any]
Error = tuple[str, str, str]  # field path, message, code
Pattern = tuple[str, ...]  # steps of a path; "*" stands for any key of a map or index of a list

MAX_ERRORS = 50
LONGEST_GUESS = 60  # characters of a name that are compared with known names
TYPES = {
    "string": "a text",
    "integer": "a whole number",
    "number": "a number",
    "boolean": "true or false",
    "array": "a list",
    "object": "an object",
    "null": "null",
}


def errors(schema: JsonObject, config: object, path: str = "") -> list[Error]:
    """Return the errors of `config`, each once; fields are named below `path`."""
    found: dict[Error, None] = {}
    for error in Draft202012Validator(dict(schema)).iter_errors(config):
        for field, message, code in _explained(schema, error):
            found[joined(path, field), message, code] = None
            if len(found) == MAX_ERRORS:
                return list(found)
    return list(found)


def unknown_field(name: str, known: Sequence[str]) -> str:
    """Return the message for an unknown field, with the most similar known one."""
    near = get_close_matches(name[:LONGEST_GUESS], known, n=1)
    return f"Unknown field; did you mean {near[0]}?" if near else "Unknown field."


def unknown_fields(given: Iterable[str], known: Sequence[str], path: str = "") -> list[Error]:
    """Return an error for each unknown field, up to a limit, because a request may have thousands."""
    strange = sorted(set(given) - set(known))[:MAX_ERRORS]
    return [(joined(path, name), unknown_field(name, known), "unknown") for name in strange]


def secret_patterns(schema: Schema) -> frozenset[Pattern]:
    """Return the paths of possible secrets, over every branch of every union."""
    return frozenset(_marked(schema, schema, (), frozenset()))


def joined(*steps: str) -> str:
    return ".".join(step for step in steps if step)


def resolved(root: Schema, node: Schema) -> Schema:
    """Return `node`, or the target of its `$ref`."""
    reference = node.get("$ref")
    if not isinstance(reference, str):
        return node
    found: Any = root
    for step in reference.removeprefix("#/").split("/"):
        found = found[step]
    return resolved(root, found)


def branches(root: Schema, node: Schema) -> list[Schema]:
    """Return the node itself, and every alternative below it."""
    node = resolved(root, node)
    options = [*node.get("anyOf", ()), *node.get("oneOf", ()), *node.get("allOf", ())]
    return [node, *(inner for option in options for inner in branches(root, option))]


def _marked(
    root: Schema, node: Schema, path: Pattern, seen: frozenset[tuple[int, int]]
) -> Iterator[Pattern]:
    for branch in branches(root, node):
        place = (id(branch), len(path))
        if branch.get("writeOnly") or branch.get("format") == "password":
            yield path
            continue
        if place in seen or len(path) > 12:
            continue
        for step, inner in _inner(branch):
            yield from _marked(root, inner, (*path, step), seen | {place})


def _inner(node: Schema) -> Iterator[tuple[str, Schema]]:
    yield from node.get("properties", {}).items()
    for word in ("items", "additionalProperties"):
        if isinstance(inner := node.get(word), Mapping):
            yield "*", inner


def _explained(root: Schema, error: ValidationError) -> Iterator[Error]:
    path = ".".join(str(step) for step in error.absolute_path)
    if error.validator in {"anyOf", "oneOf"}:
        yield from _alternative(root, error, path)
    elif error.validator == "additionalProperties":
        instance: Any = error.instance
        known = sorted(_node(error.schema).get("properties", {}))
        yield from unknown_fields(instance, known, path)
    elif error.validator == "required":
        needed: Any = error.validator_value
        given: Any = error.instance
        for name in needed:
            if name not in given:
                yield joined(path, name), "This field is required.", "required"
    else:
        yield path, _sentence(error), str(error.validator)


def _alternative(root: Schema, error: ValidationError, path: str) -> Iterator[Error]:
    """Return the errors of the intended branch: named by the discriminator, else the one that fits best."""
    by_branch: dict[int, list[ValidationError]] = {}
    for inner in error.context or ():
        by_branch.setdefault(int(inner.schema_path[0]), []).append(inner)
    alternatives: Any = error.validator_value
    options = [resolved(root, option) for option in alternatives]
    meant = _discriminated(error, options)
    if meant is None:
        candidates = [i for i in by_branch if not _refuses_type(by_branch[i], error.instance)]
        meant = min(candidates, key=lambda i: len(by_branch[i])) if candidates else None
    if meant is not None and meant in by_branch:
        for inner in by_branch[meant]:
            yield from _explained(root, inner)
        return
    words = _choices(error, options)
    yield joined(path, words[0]), words[1], "choice"


def _discriminated(error: ValidationError, options: list[Schema]) -> int | None:
    if not isinstance(error.instance, dict):
        return None
    for index, option in enumerate(options):
        for name, node in option.get("properties", {}).items():
            if "const" in node and error.instance.get(name) == node["const"]:
                return index
    return None


def _refuses_type(found: list[ValidationError], instance: Any) -> bool:
    return any(
        (inner.validator in {"type", "const", "enum"} and inner.instance is instance)
        or inner.validator == "const"
        for inner in found
    )


def _choices(error: ValidationError, options: list[Schema]) -> tuple[str, str]:
    """Return (field, message) if no branch was intended: the discriminator's values, or the types."""
    if isinstance(error.instance, dict):
        for name in options[0].get("properties", {}):
            consts = [o.get("properties", {}).get(name, {}).get("const") for o in options]
            words = [str(word) for word in consts if word is not None]
            if len(words) > 1:
                return name, f"Must be one of {', '.join(words)}."
    types = [_type_words(option["type"]) for option in options if "type" in option]
    return (
        "",
        f"Must be {' or '.join(types)}." if types else "The value has none of the allowed types.",
    )


def _node(schema: Any) -> Schema:
    """Return the schema as a dict: `true` and `false` are schemas too."""
    return schema if isinstance(schema, Mapping) else {}


def _type_words(types: Any) -> str:
    names = types if isinstance(types, list) else [types]
    return " or ".join(TYPES.get(name, str(name)) for name in names)


def _sentence(error: ValidationError) -> str:
    limit: Any = error.validator_value
    match error.validator:
        case "type":
            return f"Must be {_type_words(limit)}."
        case "enum":
            return f"Must be one of {', '.join(str(word) for word in limit)}."
        case "const":
            return f"Must be {limit}."
        case "minimum" | "exclusiveMinimum":
            return f"Must be {'at least' if error.validator == 'minimum' else 'more than'} {limit}."
        case "maximum" | "exclusiveMaximum":
            return f"Must be {'at most' if error.validator == 'maximum' else 'less than'} {limit}."
        case "minLength":
            return "Must not be empty." if limit == 1 else f"At least {limit} characters."
        case "maxLength":
            return f"At most {limit} characters."
        case "minItems":
            return f"At least {limit} entries."
        case "maxItems" | "maxProperties":
            return f"At most {limit} entries."
        case "pattern":
            return f"Must match {limit}."
        case "uniqueItems":
            return "Entries must not repeat."
    return "This value is not valid."
