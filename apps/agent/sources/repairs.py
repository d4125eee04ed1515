"""Limit how often the code of a source is repaired in one turn. The stored tool calls are counted, not what a model says."""

from __future__ import annotations

from uuid import UUID

from django.db.models import QuerySet

from apps.agent.exceptions import RepairsUsedUp
from apps.agent.models import Call
from apps.agent.tools.base import ToolContext
from apps.json import JsonObject
from apps.orgs.exceptions import Invalid

MAX_REPAIRS = 3
CHECKING_TOOLS = ("validate_source_code", "preview_source", "save_source_version")
INVALID_CODE = "invalid_code"  # the code of the errors in the code of a source


def failed_checks(org_id: UUID, turn_id: UUID) -> QuerySet[Call]:
    """Return the calls of this turn in which code has failed. Call it inside the org's scope."""
    return Call.objects.for_org(org_id).filter(
        turn_id=turn_id, tool__in=CHECKING_TOOLS, answer__startswith='{"needs_repair":true'
    )


def needed(context: ToolContext) -> JsonObject:
    """Return the first fields of the answer of a check that has failed. `failed_checks` finds it by them."""
    if context.turn_id is None:
        return {"needs_repair": True}
    return needed_in_turn(context.org.pk, context.turn_id)


def needed_in_turn(org_id: UUID, turn_id: UUID) -> JsonObject:
    """Return the same fields as `needed`. Call it inside the org's scope."""
    earlier = failed_checks(org_id, turn_id).count()
    return {"needs_repair": True, "repairs_left": max(0, MAX_REPAIRS - earlier)}


def is_invalid_code(error: Exception) -> bool:
    """Return whether the error says that the code of a source is invalid."""
    return isinstance(error, Invalid) and any(code == INVALID_CODE for _, _, code in error.errors)


def require_repair_left(context: ToolContext) -> None:
    """Raise RepairsUsedUp if the first version and its three repairs have failed in this turn."""
    if context.turn_id is None:
        return
    if failed_checks(context.org.pk, context.turn_id).count() > MAX_REPAIRS:
        raise RepairsUsedUp
