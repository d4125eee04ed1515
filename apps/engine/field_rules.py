"""What a user has decided about the fields of a stream: which ones arrive, under which name, as which type, and readable or not.

The module has only frozen dataclasses, so the web process can import it without polars.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, TypeVar, get_args

from apps.json import JsonObject

OtherFields = Literal["keep", "drop"]
CastType = Literal[
    "string", "integer", "number", "decimal", "boolean", "date", "timestamp", "timestamptz"
]
Protection = Literal["hash", "redact"]

OTHER_FIELDS: tuple[OtherFields, ...] = get_args(OtherFields)
CAST_TYPES: tuple[CastType, ...] = get_args(CastType)
PROTECTIONS: tuple[Protection, ...] = get_args(Protection)

REDACTED = "[redacted]"  # what arrives instead of a value that is redacted

Value = TypeVar("Value")


@dataclass(frozen=True, slots=True)
class FieldRule:
    """What happens to one field of the source. Empty settings change nothing.

    `protect` makes its values unreadable: `hash` keeps equal values equal, `redact` makes all values equal.
    """

    field: str
    drop: bool = False
    name: str = ""
    type: CastType | Literal[""] = ""
    protect: Protection | Literal[""] = ""

    @property
    def final_name(self) -> str:
        return self.name or self.field


@dataclass(frozen=True, slots=True)
class FieldRules:
    """The rules for the fields of a stream, and whether fields without a rule are dropped.

    `hash_secret` is the key of the organization's hashes. Never show, log or store it.
    """

    rules: tuple[FieldRule, ...] = ()
    others: OtherFields = "keep"
    hash_secret: str = ""

    def __bool__(self) -> bool:
        """Whether the rules can change a record."""
        return bool(self.rules) or self.others == "drop"

    @classmethod
    def from_json(cls, value: JsonObject) -> FieldRules:
        fields: dict[str, Any] = dict(value)
        rules = tuple(FieldRule(**rule) for rule in fields.get("rules", ()))
        return cls(rules, fields.get("others", "keep"), fields.get("hash_secret", ""))

    @property
    def protected(self) -> frozenset[str]:
        """The names in the source of the fields whose values are hashed or redacted."""
        return frozenset(rule.field for rule in self.rules if rule.protect)

    @property
    def dropped(self) -> frozenset[str]:
        return frozenset(rule.field for rule in self.rules if rule.drop)

    @property
    def chosen(self) -> frozenset[str]:
        """The names with which the fields arrive that a rule names."""
        return frozenset(rule.final_name for rule in self.rules if not rule.drop)

    @property
    def rewritten(self) -> frozenset[str]:
        """The names in the source of the fields whose values are replaced by other values."""
        return frozenset(rule.field for rule in self.rules if rule.protect or rule.type)

    @property
    def drops_fields(self) -> bool:
        return self.others == "drop" or bool(self.dropped)

    @property
    def hides_values(self) -> bool:
        """Whether values of the source must not be seen, because their fields are dropped or protected."""
        return self.drops_fields or bool(self.protected)

    def final_name(self, field: str) -> str:
        """Return the name with which the field of the source arrives."""
        return next((rule.final_name for rule in self.rules if rule.field == field), field)

    def may_arrive(self, name: str) -> bool:
        """Whether a field of the source can arrive with this name."""
        rules = [rule for rule in self.rules if rule.field == name or rule.final_name == name]
        if not rules:
            return self.others == "keep"
        return any(rule.final_name == name and not rule.drop for rule in rules)

    def by_source_name(self, by_final_name: Mapping[str, Value]) -> dict[str, Value]:
        """Return what is known about the columns that arrive, by the names of their fields in the source."""
        renamed = {rule.field: rule.name for rule in self.rules if rule.name}
        kept = {name: value for name, value in by_final_name.items() if name not in renamed}
        moved = {
            field: by_final_name[name] for field, name in renamed.items() if name in by_final_name
        }
        return kept | moved

    def effects(self) -> dict[str, str]:
        """Return how the values of each rewritten column differ from those of the source, by the name it arrives with."""
        return {
            rule.final_name: rule.protect or rule.type
            for rule in self.rules
            if rule.protect or rule.type
        }


NO_RULES = FieldRules()
