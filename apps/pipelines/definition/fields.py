"""Validate the rules for the fields of a stream, and convert them to their stored form."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from apps.connectors import schemas
from apps.connectors.schemas import Error
from apps.engine.field_rules import (
    CAST_TYPES,
    NO_RULES,
    OTHER_FIELDS,
    PROTECTIONS,
    FieldRule,
    FieldRules,
)
from apps.pipelines.definition.document import (
    FieldRuleDocument,
    FieldsDocument,
    PatternsDocument,
    StreamDocument,
)

MAX_RULES = 1500  # columns of a stream
MAX_FIELD_LENGTH = 200  # characters of a field's name


def rules_of(stream: StreamDocument | PatternsDocument) -> FieldRules:
    """Return the rules for the fields of the stream or of the streams of patterns, without the secret for hashes."""
    return _rules(stream["fields"]) if "fields" in stream else NO_RULES


def _rules(fields: FieldsDocument) -> FieldRules:
    return FieldRules(tuple(FieldRule(**rule) for rule in fields["rules"]), fields["others"])


def build_fields(fields: Any, path: str) -> tuple[FieldsDocument | None, list[Error]]:
    """Return the stored rules, None if they change nothing, and their errors. Each field name starts with `path`."""
    if fields is None:
        return None, []
    if not isinstance(fields, Mapping):
        return None, [(path, "Must be an object with others and rules.", "type")]
    errors = schemas.unknown_fields(fields, tuple(FieldsDocument.__annotations__), path)
    others, rules = fields.get("others", "keep"), fields.get("rules", [])
    if others not in OTHER_FIELDS:
        errors.append((f"{path}.others", f"Must be {' or '.join(OTHER_FIELDS)}.", "choice"))
    errors += _list_errors(rules, f"{path}.rules")
    if errors:
        return None, errors
    stored = [_stored_rule(rule) for rule in rules]
    document: FieldsDocument = {"others": others, "rules": stored}
    return (document if rules or others == "drop" else None), []


def key_errors(
    fields: FieldsDocument | None,
    path: str,
    *,
    primary_key: Sequence[str],
    cursor_field: str | None,
) -> list[Error]:
    """Return the errors of rules that do not fit the key or the cursor field of the stream, which are named as in the source."""
    if fields is None:
        return []
    numbers = {rule["field"]: number for number, rule in enumerate(fields["rules"])}
    rules = {rule.field: rule for rule in _rules(fields).rules}
    errors: list[Error] = []
    for name in primary_key:
        rule = rules.get(name)
        if rule is None and fields["others"] == "drop":
            message = f"The primary key has the field {name}: add a rule that keeps it."
            errors.append((f"{path}.others", message, "required"))
        elif rule and rule.drop:
            message = "This field belongs to the primary key, so it must arrive."
            errors.append((f"{path}.rules.{numbers[name]}.drop", message, "required"))
        elif rule and rule.protect == "redact":
            message = "This field belongs to the primary key. Redacted, all records would have the same key: hash it."
            errors.append((f"{path}.rules.{numbers[name]}.protect", message, "unsupported"))
    if cursor_field in rules and rules[cursor_field].protect:
        message = "The values of the cursor field are stored as the position of the stream, so they cannot be protected."
        errors.append((f"{path}.rules.{numbers[cursor_field]}.protect", message, "unsupported"))
    return errors


def _list_errors(rules: Any, path: str) -> list[Error]:
    if not isinstance(rules, list):
        return [(path, "Must be a list of rules.", "type")]
    if len(rules) > MAX_RULES:
        return [(path, f"A stream has at most {MAX_RULES:,} rules.", "max_length")]
    errors = [
        error
        for number, rule in enumerate(rules)
        for error in _rule_errors(rule, f"{path}.{number}")
    ]
    return errors or list(_duplicates(rules, path))


def _rule_errors(rule: Any, path: str) -> Iterator[Error]:
    if not isinstance(rule, Mapping):
        yield (path, "Must be an object.", "type")
        return
    yield from schemas.unknown_fields(rule, tuple(FieldRuleDocument.__annotations__), path)
    if not rule.get("field"):
        yield (f"{path}.field", "This field is required.", "required")
    for part in ("field", "name"):
        if rule.get(part) is not None and not _is_name(rule[part]):
            message = f"Must be the name of a field, at most {MAX_FIELD_LENGTH} characters."
            yield (f"{path}.{part}", message, "invalid")
    if not isinstance(rule.get("drop"), bool | None):
        yield (f"{path}.drop", "Must be true or false.", "type")
    for part, choices in (("type", CAST_TYPES), ("protect", PROTECTIONS)):
        if rule.get(part) and rule[part] not in choices:
            yield (f"{path}.{part}", f"Must be one of {', '.join(choices)}.", "choice")
    for part in ("name", "type", "protect"):
        if rule.get("drop") is True and rule.get(part):
            yield (
                f"{path}.{part}",
                "This field is dropped, so nothing else can be set.",
                "unsupported",
            )
    if rule.get("type") and rule.get("protect"):
        yield (
            f"{path}.type",
            "A hashed or redacted field is text, so it has no other type.",
            "unsupported",
        )


def _is_name(value: Any) -> bool:
    return isinstance(value, str) and len(value) <= MAX_FIELD_LENGTH


def _duplicates(rules: Sequence[Mapping[str, Any]], path: str) -> Iterator[Error]:
    """Yield an error for each field with two rules, and for each name that two fields would get."""
    fields: set[str] = set()
    names: set[str] = set()
    for number, rule in enumerate(FieldRule(**_stored_rule(rule)) for rule in rules):
        if rule.field in fields:
            yield (f"{path}.{number}.field", "This field has a rule already.", "duplicate")
        elif not rule.drop and rule.final_name in names:
            part = "name" if rule.name else "field"
            message = f"Another field arrives as {rule.final_name}."
            yield (f"{path}.{number}.{part}", message, "duplicate")
        fields.add(rule.field)
        if not rule.drop:
            names.add(rule.final_name)


def _stored_rule(rule: Mapping[str, Any]) -> FieldRuleDocument:
    """Return the rule without empty settings, and without a name that is that of the field."""
    stored = {name: value for name, value in rule.items() if value}
    if stored.get("name") == stored["field"]:
        del stored["name"]
    return stored  # type: ignore[return-value]
