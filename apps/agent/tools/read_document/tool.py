"""Read a document of the conversation: uploaded by the user, or fetched before."""

from __future__ import annotations

from functools import partial

from apps.agent.models import Graph
from apps.agent.sources import answering, storage
from apps.agent.tools.base import Answer, Effect, Level, SlowAnswer, Tool, ToolContext
from apps.agent.tools.read_document.arguments import ReadDocument
from apps.orgs.principals import Principal
from apps.orgs.roles import Permission
from apps.orgs.slow_calls import SlowCall


def perform(context: ToolContext, arguments: ReadDocument) -> SlowAnswer:
    document = storage.find_document(
        context.org, storage.conversation_of(context), arguments.document_id
    )
    run = partial(answering.describe_document, document, arguments.part)
    return SlowAnswer(SlowCall(run, _recheck), _render)


def _recheck(by: Principal) -> None:
    by.require(Permission.AGENT_USE)


def _render(answer: Answer) -> Answer:
    return answer


TOOL = Tool(
    name="read_document",
    title="Read a document",
    description=(
        "Read a document that the user has added to the conversation, or that was fetched. A document that describes an"
        " API becomes a plan."
    ),
    level=Level.READ,
    effect=Effect.NONE,
    permission=Permission.AGENT_USE,
    arguments=ReadDocument,
    perform=perform,
    graphs=frozenset({Graph.SOURCE_BUILDER}),
)
