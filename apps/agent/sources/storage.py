"""Store and find the documents of a conversation, and the settings for its previews."""

from __future__ import annotations

from uuid import UUID

from apps.agent.conversations import limits
from apps.agent.conversations.visibility import find_conversation
from apps.agent.exceptions import ConversationNeeded, SettingsMissing
from apps.agent.models import DocumentKind, SourceDocument, SourceSettings
from apps.agent.sources import parsing, visible_text
from apps.agent.sources.fetching import FetchedDocument
from apps.agent.sources.parsing import UnreadableDocument
from apps.agent.tools.base import ToolContext
from apps.auth import names
from apps.json import JsonObject
from apps.orgs import audit, vault
from apps.orgs.exceptions import NotFound
from apps.orgs.models import Org
from apps.orgs.placement import find_object
from apps.orgs.principals import Principal
from apps.orgs.roles import Permission

MAX_DOCUMENTS = 30  # of one conversation


def conversation_of(context: ToolContext) -> UUID:
    """Return the conversation that keeps the documents and settings. Raises ConversationNeeded for other callers."""
    if context.conversation_id is None:
        raise ConversationNeeded
    return context.conversation_id


def add_document(
    *, org: Org, by: Principal, conversation_id: UUID, name: str, text: str
) -> SourceDocument:
    """Store an uploaded or pasted document. Raises NotFound, PermissionMissing and UnreadableDocument.

    The audit log does not contain the conversation's title, which is private.
    """
    by.require(Permission.CUSTOM_SOURCES_EDIT)
    conversation = find_conversation(org=org, by=by, conversation_id=conversation_id, lock=True)
    kind = parsing.guess_kind(text)
    document = _new_document(org, conversation.pk, name=name, kind=kind, text=text)
    save_document(document)
    audit.record(
        org=org,
        by=by,
        action="conversation.document",
        object_kind="conversation",
        object_id=conversation.pk,
    )
    return document


def new_fetched_document(
    org: Org, conversation_id: UUID, fetched: FetchedDocument
) -> SourceDocument:
    """Return the document of a fetched page, which is not stored yet.

    Call it outside of transactions, because a large page may need seconds.
    """
    text = visible_text.text_of_html(fetched.text) if fetched.is_html else fetched.text
    kind = DocumentKind.TEXT if fetched.is_html else parsing.guess_kind(text)
    return _new_document(
        org,
        conversation_id,
        name=fetched.url,
        url=fetched.url,
        kind=kind,
        text=text,
        truncated=fetched.truncated,
    )


def add_plan(org: Org, conversation_id: UUID, name: str, plan: str) -> None:
    save_document(_new_document(org, conversation_id, name=name, kind=DocumentKind.PLAN, text=plan))


def find_document(org: Org, conversation_id: UUID, document_id: UUID | None) -> SourceDocument:
    """Return a document of the conversation, by default the newest. Raises NotFound."""
    rows = SourceDocument.objects.for_org(org).filter(conversation_id=conversation_id)
    if document_id is not None:
        found: SourceDocument = find_object(rows, document_id)
        return found
    newest = rows.exclude(kind=DocumentKind.PLAN).order_by("-created_at", "-id").first()
    if newest is None:
        raise NotFound
    return newest


def save_settings(
    *,
    org: Org,
    by: Principal,
    conversation_id: UUID,
    config: JsonObject,
    hosts: list[str],
) -> None:
    """Store the settings for previews of code that reaches only these hosts, which the user has seen.

    Raises NotFound and PermissionMissing.
    """
    by.require(Permission.CUSTOM_SOURCES_EDIT)
    conversation = find_conversation(org=org, by=by, conversation_id=conversation_id, lock=True)
    value = {"config": dict(config), "hosts": hosts}
    sealed = vault.seal(org, "source_settings", conversation.pk, value)
    SourceSettings.objects.for_org(org).filter(conversation_id=conversation.pk).delete()
    SourceSettings.unscoped.create(org=org, conversation=conversation, sealed=sealed)
    audit.record(
        org=org,
        by=by,
        action="conversation.settings",
        object_kind="conversation",
        object_id=conversation.pk,
        changes={"hosts": [None, hosts]},
    )


def stored_settings(org: Org, conversation_id: UUID, hosts: list[str]) -> JsonObject:
    """Return the settings, if the user has entered them for all these hosts. Raises SettingsMissing."""
    rows = SourceSettings.objects.for_org(org).filter(conversation_id=conversation_id)
    stored = rows.first()
    if stored is None:
        raise SettingsMissing
    value = vault.unseal(org, "source_settings", conversation_id, stored.sealed)
    if not set(hosts) <= set(value["hosts"]):
        raise SettingsMissing
    config: JsonObject = value["config"]
    return config


def _new_document(
    org: Org,
    conversation_id: UUID,
    *,
    name: str,
    kind: str,
    text: str,
    url: str = "",
    truncated: bool = False,
) -> SourceDocument:
    """Return a document that is not stored yet."""
    if kind != DocumentKind.TEXT and truncated:
        kind = DocumentKind.TEXT  # half of a document cannot be read as one
    return SourceDocument(
        org=org,
        conversation_id=conversation_id,
        name=names.clean_name(name, max_length=200) or "document",
        url=url[:1000],
        kind=kind,
        text=text,
        truncated=truncated,
    )


def save_document(document: SourceDocument) -> None:
    """Store a new document. Raises UnreadableDocument if there are too many, ConversationFull and OrgConversationsFull."""
    rows = SourceDocument.objects.for_org(document.org_id)
    if rows.filter(conversation_id=document.conversation_id).count() >= MAX_DOCUMENTS:
        raise UnreadableDocument(f"A conversation has at most {MAX_DOCUMENTS} documents.")
    limits.check_size(document.org_id, document.conversation_id)
    document.save(force_insert=True)
