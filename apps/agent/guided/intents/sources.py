"""Make a source from an OpenAPI or Swagger document or a Postman collection, with the tools of the source builder.

Without a language model there is nobody who repairs code, so a document of another form is handed back to the user.
"""

from __future__ import annotations

from langchain_core.messages import HumanMessage

from apps.agent.guided.reading import read_request
from apps.agent.guided.requests import ChangeState, MakeSource, Request
from apps.agent.guided.turns import OtherRequest, ToolAnswer, Turn
from apps.agent.sources import marking

NO_PLAN = (
    "This document is not an OpenAPI or Swagger document or a Postman collection. Guided mode cannot make a source from"
    " other documentation: that needs a language model, which an admin can choose in the settings."
)
TRY_AGAIN = ChangeState("retry")  # without the name of a pipeline
MAX_LEFT_OUT = 5  # lists that are named with the reason
MAX_PREVIEWS = 3  # in a turn
AFTER_FAILED_PREVIEW = ("Preview again, for example with other settings", "Save it all the same")
PREVIEW_FAILED = "The preview failed."  # the reason is shown with the preview
NO_PREVIEW = "There was no preview."
NOT_SAVED = "Nothing was saved. You can change the code in the editor and preview it there."
TOO_LARGE = "The document describes too many streams for me: upload one with fewer paths, or write the source yourself."


def read_in_builder(turn: Turn, text: str) -> Request:
    """Return the request of a message. In the source builder, "try again" makes the source again."""
    request = read_request(text)
    if turn.is_in_builder and request == TRY_AGAIN:
        return _last_source_request(turn)
    return request


def _last_source_request(turn: Turn) -> MakeSource:
    """Return the user's newest request for a source. Without one, the newest document is used."""
    for message in reversed(turn.earlier):
        if isinstance(message, HumanMessage):
            request = read_request(str(message.text))
            if isinstance(request, MakeSource):
                return request
    return MakeSource()


def make_source(turn: Turn, request: MakeSource) -> str:
    """Fetch the document, propose its plan, preview the first stream, and save the source. Each step is approved."""
    document = _document(turn, request)
    if document.was_cut:
        return TOO_LARGE
    plan = marking.read_json(document.content.get("plan"))
    if not isinstance(plan, dict):
        return NO_PLAN
    proposal = _proposal(document)
    generated = turn.propose("propose_source_plan", {"plan": plan}, proposal).content
    code = marking.unmark(str(generated["code"]))
    streams = marking.read_json(generated["streams"]) or []
    if streams:
        _preview(turn, code, str(streams[0]))
    saving = "I propose to save the source. It may then reach the hosts that are shown."
    arguments = {
        "code": code,
        "name": marking.unmark(str(generated["name"])),
    }  # the user may have edited the plan
    saved = turn.propose("save_source_version", arguments, saving).content
    name = saved["name"]
    return (
        f"Saved {name} with the streams {', '.join(map(str, streams))}. To use it, say"
        f' "connect {name}", then tell me what to copy.'
    )


def _proposal(document: ToolAnswer) -> str:
    """Return the text above the plan. It also names the lists of the document that the plan leaves out, and why."""
    left_out = marking.unmark(str(document.content.get("left_out") or "")).splitlines()
    lines = [f"- {line}" for line in left_out[:MAX_LEFT_OUT] if line]
    if len(left_out) > MAX_LEFT_OUT:
        lines.append("- More lists were left out for such reasons.")
    return "\n".join(["This plan is made from the document. You can edit it.", *lines])


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
    """Read a few records. If that fails, ask what to do: the code cannot be repaired without a model."""
    text = f"I propose to read a few records of {stream}. I do not see the settings that you enter."
    for _ in range(MAX_PREVIEWS - 1):
        answer = turn.call("preview_source", {"code": code, "stream": stream}, text)
        if answer.ok:
            return
        question = f"{_problem_of_preview(answer)} What do you want to do?"
        if not _wants_other_preview(turn, question):
            return
        text = 'If the settings were wrong, choose "Enter other settings".'
    answer = turn.call("preview_source", {"code": code, "stream": stream}, text)
    if not answer.ok:
        raise turn.end(f"{_problem_of_preview(answer)} {NOT_SAVED}")


def _problem_of_preview(answer: ToolAnswer) -> str:
    return PREVIEW_FAILED if answer.content else NO_PREVIEW


def _wants_other_preview(turn: Turn, question: str) -> bool:
    try:
        return turn.choose(question, AFTER_FAILED_PREVIEW) == 0
    except OtherRequest as other:
        if read_request(other.text) == TRY_AGAIN:
            return True
        raise
