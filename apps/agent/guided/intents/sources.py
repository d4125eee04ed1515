"""Make a source from an OpenAPI or Swagger document or a Postman collection, with the tools of the source builder.

Without a language model there is nobody who repairs code, so a document of another form is handed back to the user.
"""

from __future__ import annotations

from apps.agent.guided.requests import MakeSource
from apps.agent.guided.turns import ToolAnswer, Turn
from apps.agent.sources import marking

NO_PLAN = (
    "This document is not an OpenAPI or Swagger document or a Postman collection. Guided mode cannot make a source from"
    " other documentation: that needs a language model, which an admin can choose in the settings."
)
TOO_LARGE = "The document describes too many streams for me: upload one with fewer paths, or write the source yourself."


def make_source(turn: Turn, request: MakeSource) -> str:
    """Fetch the document, propose its plan, preview the first stream, and save the source. Each step is approved."""
    document = _document(turn, request)
    if document.was_cut:
        return TOO_LARGE
    plan = marking.read_json(document.content.get("plan"))
    if not isinstance(plan, dict):
        return NO_PLAN
    proposal = "This plan is made from the document. You can edit it."
    generated = turn.propose("propose_source_plan", {"plan": plan}, proposal).content
    code = marking.unmark(str(generated["code"]))
    streams = marking.read_json(generated["streams"]) or []
    if streams:
        _preview(turn, code, str(streams[0]))
    saving = "I propose to save the source. It may then reach the hosts that are shown."
    arguments = {"code": code, "name": str(plan.get("name") or "API")}
    saved = turn.propose("save_source_version", arguments, saving).content
    return (
        f"Saved {saved['name']} with the streams {', '.join(map(str, streams))}. Add a connector of this kind under"
        " Connectors, then tell me what to copy."
    )


def _document(turn: Turn, request: MakeSource) -> ToolAnswer:
    """Return the document of the address, or the newest document of the conversation."""
    if request.address:
        text = f"I propose to fetch {request.address}."
        return turn.propose("fetch_documentation", {"url": request.address}, text)
    answer = turn.call("read_document", {})
    if answer.ok:
        return answer
    raise turn.end(
        'Say "make a source from" with the address of the OpenAPI document, or upload it first.'
    )


def _preview(turn: Turn, code: str, stream: str) -> None:
    """Read a few records. A failed preview ends the turn, because nothing can be repaired without a model."""
    text = f"I propose to read a few records of {stream}. I do not see the settings that you enter."
    answer = turn.call("preview_source", {"code": code, "stream": stream}, text)
    if answer.ok:
        return
    reason = f"The preview failed: {answer.failure}" if answer.content else "There was no preview."
    raise turn.end(f"{reason} Nothing was saved. You can continue under Custom sources.")
