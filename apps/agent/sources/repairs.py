"""Limit how often the code of a source is repaired in one turn."""

from __future__ import annotations

from apps.agent.exceptions import RepairsUsedUp
from apps.agent.models import Call
from apps.agent.tools.base import ToolContext

MAX_REPAIRS = 3
CHECKING_TOOLS = ("validate_source_code", "preview_source")


def require_repair_left(context: ToolContext) -> None:
    """Raise RepairsUsedUp if the first version and its three repairs have failed in this turn."""
    if context.turn_id is None:
        return
    failed = Call.objects.for_org(context.org).filter(
        turn_id=context.turn_id, tool__in=CHECKING_TOOLS, answer__contains='"needs_repair":true'
    )
    if failed.count() > MAX_REPAIRS:
        raise RepairsUsedUp
