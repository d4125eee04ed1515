"""From the text of a document to a plan."""

from __future__ import annotations

from pydantic import ValidationError

from apps.agent.models import DocumentKind
from apps.agent.sources import parsing, planning
from apps.agent.sources.parsing import UnreadableDocument
from apps.agent.sources.planning import ProposedPlan
from apps.agent.sources.readers import openapi, postman


def propose_plan(text: str, *, document_url: str = "") -> ProposedPlan | None:
    """Return the plan for an OpenAPI or Swagger document or a Postman collection, or None for another text.

    Raises UnreadableDocument, with a message for the user.
    """
    kind, content = parsing.parse(text)
    if kind == DocumentKind.TEXT:
        return None
    try:
        if kind == DocumentKind.POSTMAN:
            return planning.propose(postman.read(content))
        return planning.propose(openapi.read(content, document_url=document_url))
    except ValidationError as error:
        place = ".".join(str(step) for step in error.errors()[0]["loc"])
        message = f"No plan can be made from it: {place}: {planning.reason_of(error)}."
        raise UnreadableDocument(message) from None
