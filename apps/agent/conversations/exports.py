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

    A member whose role no longer allows the agent still gets what they have said. A long conversation is split
    into several records, the newest turns first. The rows are read while the caller iterates, each record in its own
    transaction. Raises SessionNeeded and PermissionMissing.
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
        yield from _read_turns(org_id, conversation_id)
        yield from _read_documents(org_id, conversation_id)


def _read_turns(org_id: UUID, conversation_id: UUID) -> Iterator[ConversationRecord]:
    """Yield records of the conversation, the newest turns first. Stops if the conversation was deleted meanwhile."""
    before: int | None = None
    while before is None or before > 1:
        try:
            with org_scope(org_id):
                page = transcripts.render(org_id, conversation_id, before=before)
        except Conversation.DoesNotExist:
            return
        yield ConversationRecord(record="conversation", **page)
        before = page["earlier_turns"] + 1


def _read_documents(org_id: UUID, conversation_id: UUID) -> Iterator[DocumentRecord]:
    """Yield the documents. Each is read on its own, because documents may be large."""
    with org_scope(org_id):
        rows = SourceDocument.objects.for_org(org_id).filter(conversation_id=conversation_id)
        ids = list(rows.order_by("created_at").values_list("pk", flat=True))
    for document_id in ids:
        with org_scope(org_id):
            rows = SourceDocument.objects.for_org(org_id).filter(pk=document_id)
            found = rows.values(
                "conversation_id", "id", "name", "url", "kind", "text", "truncated", "created_at"
            ).first()
        if found is not None:
            yield DocumentRecord(record="document", **found)
