"""Register what the worker process runs for this app."""

from __future__ import annotations

from django.conf import settings

from apps.agent.conversations import retention
from apps.agent.models import Conversation, ToolRequest, Turn
from apps.agent.turns import queue
from apps.background.registry import Export, Queue, add_exports, add_queue, add_sweep

add_queue(Queue(queue.AGENT, concurrency=settings.AGENT_TURNS))
# An org's owner exports that conversations exist and what they cost. What a member and the agent said is private. The
# title is left out, because it consists of the first words of the first message.
add_exports(
    Export(
        "conversation",
        Conversation,
        ("id", "user_id", "graph", "created_at", "updated_at"),
    ),
    Export(
        "turn",
        Turn,
        (
            *(
                "id",
                "conversation_id",
                "number",
                "status",
                "model",
                "input_tokens",
                "output_tokens",
            ),
            *("created_at", "finished_at"),
        ),
    ),
    Export(
        "tool_request",
        ToolRequest,
        ("id", "key_id", "tool", "arguments", "state", "reason", "decided_by_id", "created_at"),
    ),
)
add_sweep(retention.delete_old_conversations)
