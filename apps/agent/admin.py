"""The operators' pages of the agent. They show no texts of conversations."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.http import HttpRequest

from apps.agent.models import Conversation, Turn
from apps.orgs.operators.site import OperatorAdmin


class PrivateTextAdmin(OperatorAdmin):
    """Shows and filters by the columns of the list only."""

    def get_fields(self, request: HttpRequest, obj: Any = None) -> list[Any]:
        return list(self.list_display)

    def lookup_allowed(self, lookup: str, value: str, request: HttpRequest) -> bool:
        return lookup.split("__")[0] in self.list_display


@admin.register(Conversation)
class ConversationAdmin(PrivateTextAdmin):
    list_display = ("org", "user", "created_at", "updated_at")
    list_select_related = ("org", "user")


@admin.register(Turn)
class TurnAdmin(PrivateTextAdmin):
    list_display = (
        "org",
        "conversation_id",
        "number",
        "status",
        "model",
        "input_tokens",
        "output_tokens",
        "error_code",
        "created_at",
        "finished_at",
    )
    list_select_related = ("org",)
    list_filter = ("status",)
