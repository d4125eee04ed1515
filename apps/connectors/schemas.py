"""Validate settings against a JSON Schema, with readable errors that name the path. Find the secrets in a schema.

Messages never repeat a value, because any value may be a secret typed into the wrong field.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from difflib import get_close_matches
from typing import TYPE_CHECKING, Any

from apps.json import JsonObject

if TYPE_CHECKING:
    from jsonschema.exceptions import ValidationError

Schema = Mapping[str, Any]
Error = tuple[str, str, str]  # field path, message, code
# Steps of a path. "*" stands for any key of a map or index of a list, a regular expression for the keys that match it.
Step = str | re.Pattern[str]
Pattern = tuple[Step, ...]

MAX_ERRORS = 50
MAX_COMPARED_NAME = 60  # characters of a name that are compared with known names
MAX_COMPARED = 500  # known names that a name is compared with
MAX_HINTS = 5  # unknown names of one request that get a hint
MAX_NAMED = 10  # known names that a hint lists
MAX_NAMED_LENGTH = 200  # characters of each
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
    """Return at most MAX_ERRORS errors of `config`, without duplicates. Each field name starts with `path`."""
    # Imported here, because the import takes 5 % of the time that each process needs to start.
    from jsonschema import Draft202012Validator

    unique_errors: dict[Error, None] = {}
    for error in Draft202012Validator(dict(schema)).iter_errors(config):
        for field, message, code in _field_errors(schema, error):
            unique_errors[join_path(path, field), message, code] = None
            if len(unique_errors) == MAX_ERRORS:
                return list(unique_errors)
    return list(unique_errors)


def unknown_field_message(name: str, known: Sequence[str]) -> str:
    """Return the message for an unknown field, with the most similar known field."""
    similar = similar_name(name, known)
    return f"Unknown field; did you mean {similar}?" if similar else "Unknown field."


def similar_name(name: str, known: Sequence[str]) -> str:
    """Return the known name that is most similar, or an empty text. The time is limited, whatever the names are."""
    comparable = [each for each in known if len(each) <= MAX_COMPARED_NAME][:MAX_COMPARED]
    similar = get_close_matches(name[:MAX_COMPARED_NAME], comparable, n=1)
    return similar[0] if similar else ""


def hint(name: str, known: Sequence[str]) -> str:
    """Return a question with the most similar known name, or else the first known names.

    Its length is limited, because sources and requests may have names of any length. Give at most MAX_HINTS in one
    answer, because comparing takes time.
    """
    if similar := similar_name(name, known):
        return f"did you mean {similar}?"
    return f"it has {', '.join(each[:MAX_NAMED_LENGTH] for each in known[:MAX_NAMED])}."


def unknown_fields(names: Iterable[str], known: Sequence[str], path: str = "") -> list[Error]:
    """Return an error for each unknown field, at most MAX_ERRORS, because a request may have thousands."""
    unknown = sorted(set(names) - set(known))[:MAX_ERRORS]
    return [
        (join_path(path, name), unknown_field_message(name, known), "unknown") for name in unknown
    ]


def secret_patterns(schema: Schema) -> frozenset[Pattern]:
    """Return the paths of possible secrets in every branch of every union."""
    return frozenset(_secret_paths(schema, schema, (), frozenset()))


def join_path(*steps: str) -> str:
    return ".".join(step for step in steps if step)


def resolve_reference(root: Schema, node: Schema) -> Schema:
    """Return `node`, or the target of its `$ref`."""
    reference = node.get("$ref")
    if not isinstance(reference, str):
        return node
    target: Any = root
    for step in reference.removeprefix("#/").split("/"):
        target = target[step]
    return resolve_reference(root, target)


def branches(root: Schema, node: Schema) -> list[Schema]:
    """Return the node itself, and every alternative below it."""
    node = resolve_reference(root, node)
    options = [*node.get("anyOf", ()), *node.get("oneOf", ()), *node.get("allOf", ())]
    return [node, *(inner for option in options for inner in branches(root, option))]


def _secret_paths(
    root: Schema, node: Schema, path: Pattern, seen: frozenset[tuple[int, int]]
) -> Iterator[Pattern]:
    for branch in branches(root, node):
        visit = (id(branch), len(path))
        if branch.get("writeOnly") or branch.get("format") == "password":
            yield path
            continue
        if visit in seen or len(path) > 12:
            continue
        for step, inner in _nested_schemas(branch):
            yield from _secret_paths(root, inner, (*path, step), seen | {visit})


def _nested_schemas(node: Schema) -> Iterator[tuple[Step, Schema]]:
    yield from node.get("properties", {}).items()
    for keyword in ("items", "additionalProperties"):
        if isinstance(inner := node.get(keyword), Mapping):
            yield "*", inner
    for pattern, inner in node.get("patternProperties", {}).items():
        yield "*" if node.get("additionalProperties") is False else re.compile(pattern), inner


def _field_errors(root: Schema, error: ValidationError) -> Iterator[Error]:
    path = ".".join(str(step) for step in error.absolute_path)
    instance: Any = error.instance
    if error.validator in {"anyOf", "oneOf"}:
        yield from _union_errors(root, error, path)
    elif error.validator == "additionalProperties":
        known = sorted(_as_mapping(error.schema).get("properties", {}))
        yield from unknown_fields(instance, known, path)
    elif error.validator == "required":
        required: Any = error.validator_value
        for name in required:
            if name not in instance:
                yield join_path(path, name), "This field is required.", "required"
    else:
        yield path, _error_message(error), str(error.validator)


def _union_errors(root: Schema, error: ValidationError, path: str) -> Iterator[Error]:
    """Return the errors of the branch that the discriminator names, or else of the branch with the fewest errors.

    If the value fits the type of no branch, return one error with the allowed values or types.
    """
    by_branch: dict[int, list[ValidationError]] = {}
    for inner in error.context or ():
        by_branch.setdefault(int(inner.schema_path[0]), []).append(inner)
    alternatives: Any = error.validator_value
    options = [resolve_reference(root, option) for option in alternatives]
    chosen = _branch_by_discriminator(error, options)
    if chosen is None:
        candidates = [i for i in by_branch if not _has_type_error(by_branch[i], error.instance)]
        chosen = min(candidates, key=lambda i: len(by_branch[i])) if candidates else None
    if chosen is not None and chosen in by_branch:
        for inner in by_branch[chosen]:
            yield from _field_errors(root, inner)
        return
    field, message = _choice_message(error, options)
    yield join_path(path, field), message, "choice"


def _branch_by_discriminator(error: ValidationError, options: list[Schema]) -> int | None:
    if not isinstance(error.instance, dict):
        return None
    for index, option in enumerate(options):
        for name, node in option.get("properties", {}).items():
            if "const" in node and error.instance.get(name) == node["const"]:
                return index
    return None


def _has_type_error(errors_of_branch: list[ValidationError], instance: Any) -> bool:
    return any(
        (inner.validator in {"type", "const", "enum"} and inner.instance is instance)
        or inner.validator == "const"
        for inner in errors_of_branch
    )


def _choice_message(error: ValidationError, options: list[Schema]) -> tuple[str, str]:
    """Return (field, message) for a value that fits no branch. The message lists the allowed values or types."""
    if isinstance(error.instance, dict):
        for name in options[0].get("properties", {}):
            consts = [o.get("properties", {}).get(name, {}).get("const") for o in options]
            allowed_values = [str(value) for value in consts if value is not None]
            if len(allowed_values) > 1:
                return name, f"Must be one of {', '.join(allowed_values)}."
    types = [_type_words(option["type"]) for option in options if "type" in option]
    return (
        "",
        f"Must be {' or '.join(types)}." if types else "The value has none of the allowed types.",
    )


def _as_mapping(schema: Any) -> Schema:
    """Return the schema as a mapping. `true` and `false` are valid schemas too, and become empty."""
    return schema if isinstance(schema, Mapping) else {}


def _type_words(types: Any) -> str:
    names = types if isinstance(types, list) else [types]
    return " or ".join(TYPES.get(name, str(name)) for name in names)


def _error_message(error: ValidationError) -> str:
    limit: Any = error.validator_value
    match error.validator:
        case "type":
            return f"Must be {_type_words(limit)}."
        case "enum":
            return f"Must be one of {', '.join(str(value) for value in limit)}."
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
            return "At least one entry." if limit == 1 else f"At least {limit} entries."
        case "maxItems" | "maxProperties":
            return f"At most {limit} entries."
        case "pattern":
            message = _as_mapping(error.schema).get("x-pattern-message")
            return str(message or f"Must match {limit}.")
        case "uniqueItems":
            return "Entries must not repeat."
    return "This value is not valid."
