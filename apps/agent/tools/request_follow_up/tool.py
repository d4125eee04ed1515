"""Ask the user with a form what is called after the runs of a pipeline. The browser sends it directly to the API.

The answer names the follow-up that the user has created. Its secrets and the URL of a webhook, which may contain a
credential, are in no event, and the model never sees them.
"""

from __future__ import annotations

from uuid import UUID

from apps.agent.tools.base import Answer, Card, Effect, Level, Tool, ToolContext
from apps.agent.tools.request_follow_up.arguments import RequestFollowUp
from apps.alerts.follow_ups import services
from apps.alerts.follow_ups.choices import FollowUpKind
from apps.alerts.follow_ups.kinds import KINDS
from apps.alerts.follow_ups.models import FollowUp
from apps.json import JsonObject
from apps.orgs.exceptions import Invalid, NotFound
from apps.orgs.roles import Permission
from apps.pipelines.visibility import find_pipeline

WRONG_ANSWER = 'Send {"follow_up_id": …} with the new call, or {"text": …}. Send nothing else.'
UNKNOWN = "The pipeline has no such call after its runs."
ENTERED_BY_THE_USER = "Leave this setting out: the user enters it in the form."
TITLES = {
    FollowUpKind.WEBHOOK: "Call a webhook",
    FollowUpKind.DBT_CLOUD: "Start a job of dbt Cloud",
}
KNOWN_SETTINGS = {  # that the model may fill in
    FollowUpKind.WEBHOOK: frozenset[str](),
    FollowUpKind.DBT_CLOUD: frozenset({"url", "account_id", "job_id"}),
}


def show(context: ToolContext, arguments: RequestFollowUp) -> Card:
    pipeline = find_pipeline(org=context.org, by=context.by, pipeline_id=arguments.pipeline_id)
    context.by.require(Permission.PIPELINES_EDIT, domain_id=pipeline.domain_id)
    kind = FollowUpKind(arguments.kind)
    _require_known_settings(kind, arguments.settings)
    form = {
        "kind": "follow_up",
        "pipeline_id": str(pipeline.pk),
        "values": {
            "name": arguments.name,
            "kind": kind.value,
            "after": arguments.after,
            "settings": arguments.settings,
        },
    }
    return Card(f"{TITLES[kind]} after the runs of {pipeline.name}", form=form)


def _require_known_settings(kind: FollowUpKind, settings: JsonObject) -> None:
    """Raise Invalid for a setting that the model may not fill in. The message does not repeat its value."""
    known = KINDS[kind].form().fields
    refused = [
        (f"settings.{name}", ENTERED_BY_THE_USER, "secret")
        if name in known
        else (f"settings.{name}", "This setting is not known.", "unknown")
        for name in sorted(settings.keys() - KNOWN_SETTINGS[kind])
    ]
    if refused:
        raise Invalid(refused)


def check_answer(
    context: ToolContext, arguments: RequestFollowUp, answer: JsonObject
) -> JsonObject:
    """Return the facts about the created follow-up, read on the server. Raises Invalid."""
    if answer.keys() == {"text"} and isinstance(answer["text"], str):
        return {"text": answer["text"][:2000]}
    if answer.keys() != {"follow_up_id"}:
        raise Invalid([("answer", WRONG_ANSWER, "invalid")])
    follow_up = _find_follow_up(context, arguments, answer["follow_up_id"])
    return {
        "follow_up_id": str(follow_up.pk),
        "name": follow_up.name,
        "kind": follow_up.kind,
        "after": follow_up.after,
    }


def _find_follow_up(
    context: ToolContext, arguments: RequestFollowUp, follow_up_id: object
) -> FollowUp:
    try:
        found, _ = services.find_follow_up(
            org=context.org,
            by=context.by,
            pipeline_id=arguments.pipeline_id,
            follow_up_id=UUID(str(follow_up_id)),
        )
    except (ValueError, NotFound):
        raise Invalid([("answer.follow_up_id", UNKNOWN, "unknown")]) from None
    return found


def perform(context: ToolContext, arguments: RequestFollowUp) -> Answer:
    """Only reached if the pause is missing: the form was not shown to anybody."""
    return Answer({"error": "The form was not shown."}, "The form was not shown.", ok=False)


TOOL = Tool(
    name="request_follow_up",
    title="Ask for a call after the runs",
    description=(
        "Ask the user to let Drover call a webhook, or start a job of dbt Cloud, after the runs of a pipeline. The user sees a"
        " form, and enters the secrets and the URL of a webhook there; you never see them."
    ),
    level=Level.BUILD,
    effect=Effect.NONE,
    permission=Permission.PIPELINES_EDIT,
    arguments=RequestFollowUp,
    perform=perform,
    card=show,
    is_question=True,
    check_answer=check_answer,
)
