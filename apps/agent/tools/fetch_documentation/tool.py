"""Fetch one page of documentation, and keep it in the conversation."""

from __future__ import annotations

from functools import partial

from apps.agent.models import Graph
from apps.agent.sources import answering, fetching, known_pages, storage
from apps.agent.sources.fetching import FetchedDocument
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
from apps.orgs.principals import Principal
from apps.orgs.roles import Permission
from apps.orgs.slow_calls import SlowCall

NOTHING_SENT = "Drover sends no credentials, and does not follow the links of the page."


def perform(context: ToolContext, arguments: FetchDocumentation) -> SlowAnswer:
    context.by.require(Permission.CUSTOM_SOURCES_EDIT)
    fetching.host_of(arguments.url)
    call = SlowCall(partial(fetching.fetch, arguments.url), _recheck)
    return SlowAnswer(call, partial(_render, context))


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


def _render(context: ToolContext, fetched: FetchedDocument) -> Answer:
    document = storage.add_fetched(context.org, storage.conversation_of(context), fetched)
    return answering.describe_document(document, 0)


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
