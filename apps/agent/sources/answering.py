"""What the tools of the source builder tell the model about a document, a plan or a preview."""

from __future__ import annotations

from typing import Any

from apps.agent.models import DocumentKind, SourceDocument
from apps.agent.sources import documents, marking, repairs
from apps.agent.sources.parsing import UnreadableDocument
from apps.agent.sources.plan import SourcePlan
from apps.agent.tools.base import Answer, ToolContext
from apps.agent.tools.causes import without_repetition
from apps.agent.tools.record_values import hide_values, hide_values_of_line
from apps.engine.answers import Failure, TrialAnswer

MAX_REQUESTS = 10
MAX_LOG_LINES = 10
MAX_VALUES = 3  # records whose values are sent to the model, if an admin allows it
# What usually helps for each class of failure.
ADVICE = {
    "authentication": "Ask the user to check the credentials. Change the code only if the method is wrong.",
    "configuration": "A setting is missing or a host is not allowed. Use only the hosts of the plan.",
    "rate_limit": "Do not change the code. Ask the user to wait, and try again.",
    "source": "Compare the path, the place of the records and the pagination with the documentation.",
    "contract": "Correct the place of the records, or what get() returns.",
    "memory": "Read smaller pages.",
    "timeout": "Check that the pagination ends. Read smaller pages.",
}
NOT_REACHED = "The source could not be reached"
ADVICE_IF_NOT_REACHED = (
    "Nothing answers there. Ask the user whether the base URL is right and the server runs."
)
DEFAULT_ADVICE = "Read the message, and change only what it names."


def describe_document(document: SourceDocument, part: int) -> Answer:
    """Return the plan of a document that describes an API, or a part of the text of another document."""
    content: dict[str, Any] = {
        "document_id": str(document.pk),
        "name": marking.neutralise(document.name),
        "kind": document.kind,
    }
    if document.kind in (DocumentKind.TEXT, DocumentKind.PLAN) or part > 0:
        return _part(document, max(part, 1), content)
    try:
        proposed = documents.propose_plan(document.text, document_url=document.url)
    except UnreadableDocument as error:
        content["problem"] = marking.mark(str(error.errors[0][1]))
        return _part(document, 1, content)
    if proposed is None:
        return _part(document, 1, content)
    plan = marking.mark_json(plan_as_json(proposed.plan))
    notes = marking.mark("\n".join(proposed.notes[:20]))
    left_out = marking.mark("\n".join(proposed.left_out[:20]))
    stream_count, left_out_count = len(proposed.plan.streams), len(proposed.left_out)
    streams = "1 stream" if stream_count == 1 else f"{stream_count} streams"
    summary = f"Read {document.name[:100]}: a plan with {streams} was made."
    if left_out_count:
        left_out_lists = "1 list was" if left_out_count == 1 else f"{left_out_count} lists were"
        summary = f"{summary} {left_out_lists} left out."
    return Answer({**content, "plan": plan, "left_out": left_out, "notes": notes}, summary)


def plan_as_json(plan: SourcePlan) -> Any:
    """Return the plan without fields that have their default value, so that it fits into an answer."""
    return plan.model_dump(mode="json", exclude_defaults=True)


def _part(document: SourceDocument, number: int, content: dict[str, Any]) -> Answer:
    count = marking.count_parts(document.text)
    text = marking.mark(marking.part_of(document.text, min(number, count)))
    facts = {"part": min(number, count), "parts": count, "cut_at_2_mb": document.truncated}
    problem = marking.unmark(content.get("problem", ""))
    summary = f"Read part {facts['part']} of {count} of {document.name[:100]}. {problem}".strip()
    return Answer({**content, **facts, "text": text}, summary)


def describe_preview(context: ToolContext, trial: TrialAnswer) -> Answer:
    """Return names, types and counts of a preview, or its classified failure with advice."""
    requests = [
        {"method": request["method"], "url": request["url"], "status": request["status"]}
        for request in trial["requests"][:MAX_REQUESTS]
    ]
    failure = trial["failure"]
    if failure is not None:
        return _failed_preview(context, trial, failure, requests)
    count = len(trial["records"])
    content: dict[str, Any] = {
        "records_read": count,
        "records_rejected": trial["rejected"],
        "columns": marking.mark_json(trial["columns"]),
        "requests": requests,
    }
    if context.values_allowed:
        content["records"] = marking.mark_json(trial["records"][:MAX_VALUES])
    summary = f"Read {count} records with {len(trial['columns'])} columns."
    return Answer(content, summary, foreign_fields=frozenset({"requests"}))


def _failed_preview(
    context: ToolContext, trial: TrialAnswer, failure: Failure, requests: list[dict[str, Any]]
) -> Answer:
    message = hide_values(context, failure["message"])
    failure_class = failure["failure_class"]
    evidence = [hide_values(context, line) for line in failure["evidence"][:10]]
    log = [
        hide_values_of_line(context, line["message"], by_code=True)
        for line in trial["log"][:MAX_LOG_LINES]
    ]
    error = {
        "code": "preview_failed",
        "class": failure_class,
        "message": marking.mark(message),
        "advice": _advice(failure_class, message),
        "evidence": marking.mark("\n".join(without_repetition(message, evidence))),
    }
    content = {"error": error, "requests": requests, "log": without_repetition(message, log)}
    return Answer(
        {**repairs.needed(context), **content},
        f"The preview failed: {message}",
        ok=False,
        foreign_fields=frozenset({"requests", "log"}),
    )


def _advice(failure_class: str, message: str) -> str:
    if message.startswith(NOT_REACHED):
        return ADVICE_IF_NOT_REACHED
    return ADVICE.get(failure_class, DEFAULT_ADVICE)
