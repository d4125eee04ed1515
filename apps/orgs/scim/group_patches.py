"""Patches of groups.

Operations on members use sets, because scim2_models copies and compares all members for each operation. With thousands
of members this would take seconds.
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
MEMBERS_PATH = re.compile(rf"(?:{re.escape(str(Group.__schema__))}:)?members", re.IGNORECASE)
ONE_MEMBER_PATH = re.compile(rf'{MEMBERS_PATH.pattern}\[value eq "([^"\\]*)"\]', re.IGNORECASE)
MAX_COMPARISONS = (
    100_000  # maximum of operations times members, for a patch that scim2_models must apply
)


def split_operations(operations: list[Any]) -> tuple[list[Any], list[tuple[Any, Any]]] | None:
    """Return the operations on other attributes, and the operations on members as (op, value).

    Returns None if a path on members is too complex for this module.
    """
    other_operations, member_changes = [], []
    for operation in operations:
        path = str(operation.path or "")
        if MEMBERS_PATH.fullmatch(path):
            member_changes.append((operation.op, operation.value))
        elif operation.op == Op.remove and (match := ONE_MEMBER_PATH.fullmatch(path)):
            member_changes.append((Op.remove, [{"value": match[1]}]))
        elif "members" in path.lower():
            return None
        elif not path and isinstance(operation.value, dict):
            other_values = {}
            for name, value in operation.value.items():
                if MEMBERS_PATH.fullmatch(name):
                    member_changes.append((operation.op, value))
                else:
                    other_values[name] = value
            other_operations.append(operation.model_copy(update={"value": other_values}))
        else:
            other_operations.append(operation)
    return other_operations, member_changes


def apply_member_changes(members: set[UUID], changes: list[tuple[Any, Any]]) -> set[UUID]:
    """Return the members of the group after these operations."""
    result = set(members)
    for op, value in changes:
        if op == Op.remove and value is None:
            result = set()
            continue
        ids = {member_id(each) for each in _parse_members(value)}
        if op == Op.remove:
            result -= ids
        else:
            result = ids if op == Op.replace_ else result | ids
    return result


def refuse_complex_patch(operation_count: int, member_count: int) -> None:
    if operation_count * member_count > MAX_COMPARISONS:
        message = 'This patch is too complex; refer to members by `members[value eq "id"]`, or send fewer operations.'
        raise Problem(400, message, "tooMany")


def _parse_members(value: Any) -> list[Member]:
    values = value if isinstance(value, list) else [] if value is None else [value]
    try:
        return [Member.model_validate(each, scim_policy=POLICY) for each in values]
    except ValidationError:
        raise _invalid_member() from None


def member_id(member: Member) -> UUID:
    try:
        if (member.type or "User").lower() == "user":
            return UUID(member.value)
    except (TypeError, ValueError):
        pass
    raise _invalid_member()


def _invalid_member() -> Problem:
    message = "members: each value must be the id of a user of this directory."
    return Problem(400, message, "invalidValue")
