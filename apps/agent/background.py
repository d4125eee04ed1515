"""Register what the worker process runs for this app."""

from __future__ import annotations

from django.conf import settings

from apps.agent.models import Conversation
from apps.agent.turns import queue
from apps.background.registry import Export, Queue, add_exports, add_queue

add_queue(Queue(queue.AGENT, concurrency=settings.AGENT_TURNS))
add_exports(
    Export(
        "conversation",
        Conversation,
        ("id", "user_id", "graph", "title", "created_at", "updated_at"),
    ),
)
