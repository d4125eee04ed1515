"""Export a member's own conversations with their texts. Nobody else can export them."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import TypedDict
from uuid import UUID

from apps.agent.conversations import transcripts, visibility
from apps.agent.conversations.transcripts import RenderedConversation
from apps.agent.models import Conversation, SourceDocument
from apps.orgs import audit
from apps.orgs.models import Org
from apps.orgs.principals import Principal
from apps.orgs.roles import Permission
from apps.orgs.walls.scope import org_scope


class ConversationRecord(RenderedConversation):
    record: str


class DocumentRecord(TypedDict):
    record: str
    conversation_id: UUID
    id: UUID
    name: str
    url: str
    kind: str
    text: str
    truncated: bool
    created_at: datetime


Record = ConversationRecord | DocumentRecord


def export_own(*, org: Org, by: Principal) -> Iterator[Record]:
    """Yield each conversation of the principal with its turns, and then its documents.

    A member whose role no longer allows the agent still gets what they have said. The rows are read while the caller
    iterates, each conversation in its own transaction. Raises SessionNeeded and PermissionMissing.
    """
    by.require_person()
    by.require(Permission.READ)
    audit.record(
        org=org, by=by, action="conversation.export", object_kind="conversation", object_id=None
    )
    ids = visibility.conversations(org, by).order_by("created_at").values_list("pk", flat=True)
    return _read(org.pk, list(ids))


def _read(org_id: UUID, conversation_ids: list[UUID]) -> Iterator[Record]:
    for conversation_id in conversation_ids:
        yield from _read_conversation(org_id, conversation_id)


def _read_conversation(org_id: UUID, conversation_id: UUID) -> list[Record]:
    """Return the records of a conversation, or none if it was deleted meanwhile."""
    with org_scope(org_id):
        if not Conversation.objects.for_org(org_id).filter(pk=conversation_id).exists():
            return []
        conversation = transcripts.render(org_id, conversation_id)
        documents = SourceDocument.objects.for_org(org_id).filter(conversation_id=conversation_id)
        rows = list(
            documents.order_by("created_at").values(
                "conversation_id", "id", "name", "url", "kind", "text", "truncated", "created_at"
            )
        )
    return [
        ConversationRecord(record="conversation", **conversation),
        *(DocumentRecord(record="document", **row) for row in rows),
    ]
