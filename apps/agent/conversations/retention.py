"""Delete conversations that nobody has used for a long time."""

from __future__ import annotations

from django.conf import settings
from django.utils import timezone

from apps.background.sweeping import remove_in_batches


def delete_old_conversations() -> None:
    before = timezone.now() - settings.CONVERSATION_RETENTION
    remove_in_batches("agent_remove_old_conversations", before)
