"""Patches of groups.

Members are computed with sets: copying and comparing thousands of members for each operation would take
seconds.
"""

from __future__ import annotations

import re
from typing import Any
from uuid import UUID

from pydantic import ValidationError
from scim2_models import PatchOperation

from apps.orgs.scim.resources import POLICY, Group, Member
from apps.web.problems import Problem

Op = PatchOperation.Op
MEMBERS = re.compile(rf"(?:{re.escape(str(Group.__schema__))}:)?members", re.IGNORECASE)
ONE_MEMBER = re.compile(rf'{MEMBERS.pattern}\[value eq "([^"\\]*)"\]', re.IGNORECASE)
COMPARISON_LIMIT = 100_000  # operations times members, for a patch that only the library can apply


def divided(operations: list[Any]) -> tuple[list[Any], list[tuple[Any, Any]]] | None:
    """Split into operations on other attributes, and those on members as (op, value).

    None if a path is not simple.
    """
    others, changes = [], []
    for operation in operations:
        path = str(operation.path or "")
        if MEMBERS.fullmatch(path):
            changes.append((operation.op, operation.value))
        elif operation.op == Op.remove and (found := ONE_MEMBER.fullmatch(path)):
            changes.append((Op.remove, [{"value": found[1]}]))
        elif "members" in path.lower():
            return None
        elif not path and isinstance(operation.value, dict):
            rest = {}
            for name, value in operation.value.items():
                if MEMBERS.fullmatch(name):
                    changes.append((operation.op, value))
                else:
                    rest[name] = value
            others.append(operation.model_copy(update={"value": rest}))
        else:
            others.append(operation)
    return others, changes


def people_after(before: set[UUID], changes: list[tuple[Any, Any]]) -> set[UUID]:
    """Return the members of the group after these operations."""
    people = set(before)
    for op, value in changes:
        if op == Op.remove and value is None:
            people = set()
            continue
        named = {member_id(each) for each in _listed(value)}
        if op == Op.remove:
            people -= named
        else:
            people = named if op == Op.replace_ else people | named
    return people


def refuse_too_much(operations: int, members: int) -> None:
    if operations * members > COMPARISON_LIMIT:
        message = 'This patch is too complex; refer to members by `members[value eq "id"]`, or send fewer operations.'
        raise Problem(400, message, "tooMany")


def _listed(value: Any) -> list[Member]:
    values = value if isinstance(value, list) else [] if value is None else [value]
    try:
        return [Member.model_validate(each, scim_policy=POLICY) for each in values]
    except ValidationError:
        raise _not_a_member() from None


def member_id(said: Member) -> UUID:
    try:
        if (said.type or "User").lower() == "user":
            return UUID(said.value)
    except (TypeError, ValueError):
        pass
    raise _not_a_member()


def _not_a_member() -> Problem:
    message = "members: each value must be the id of a user of this directory."
    return Problem(400, message, "invalidValue")
