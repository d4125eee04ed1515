"""Fetch one page of documentation, and keep it in the conversation."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from uuid import UUID

from apps.agent.models import Graph, SourceDocument
from apps.agent.sources import answering, fetching, known_pages, storage
from apps.agent.tools.base import (
    Answer,
    Card,
    Effect,
    Level,
    SlowAnswer,
    Tool,
    ToolContext,
)
from apps.agent.tools.fetch_documentation.arguments import FetchDocumentation
from apps.orgs.models import Org
from apps.orgs.principals import Principal
from apps.orgs.roles import Permission
from apps.orgs.slow_calls import SlowCall

NOTHING_SENT = "Drover sends no credentials, and does not follow the links of the page."


@dataclass(frozen=True, slots=True)
class FetchedPage:
    """A document that is not stored yet, and the answer that describes it."""

    document: SourceDocument
    answer: Answer


def perform(context: ToolContext, arguments: FetchDocumentation) -> SlowAnswer:
    context.by.require(Permission.CUSTOM_SOURCES_EDIT)
    fetching.host_of(arguments.url)
    run = partial(_fetch, context.org, storage.conversation_of(context), arguments.url)
    return SlowAnswer(SlowCall(run, _recheck), _store)


def show(context: ToolContext, arguments: FetchDocumentation) -> Card:
    perform(context, arguments)  # checks the permission and the URL; nothing is fetched
    facts = (
        ("URL", arguments.url),
        ("Host", fetching.host_of(arguments.url)),
        ("Limits", "2 MB and 30 seconds"),
        ("Note", NOTHING_SENT),
    )
    return Card("Fetch documentation", facts)


def needs_no_approval(context: ToolContext, arguments: FetchDocumentation) -> bool:
    conversation_id = storage.conversation_of(context)
    return known_pages.is_known(context.org, conversation_id, arguments.url)


def _recheck(by: Principal) -> None:
    by.require(Permission.CUSTOM_SOURCES_EDIT)


def _fetch(org: Org, conversation_id: UUID, url: str) -> FetchedPage:
    document = storage.new_fetched_document(org, conversation_id, fetching.fetch(url))
    return FetchedPage(document, answering.describe_document(document, 0))


def _store(page: FetchedPage) -> Answer:
    storage.save_document(page.document)
    return page.answer


TOOL = Tool(
    name="fetch_documentation",
    title="Fetch documentation",
    description=(
        "Fetch one page of an API's documentation. The user approves the first page of each host, and each page that the"
        " user has not named. An OpenAPI or Swagger document or a Postman collection becomes a plan at once. Another page is"
        " returned as text, in parts."
    ),
    level=Level.BUILD,
    effect=Effect.EXTERNAL,
    permission=Permission.CUSTOM_SOURCES_EDIT,
    arguments=FetchDocumentation,
    perform=perform,
    card=show,
    needs_no_approval=needs_no_approval,
    graphs=frozenset({Graph.SOURCE_BUILDER}),
)
