"""Show the plan of a new source to the user, and generate its code after the approval."""

from __future__ import annotations

from apps.agent.models import Graph
from apps.agent.sources import generation, marking, storage
from apps.agent.sources.plan import Authentication, Pagination, PlannedStream
from apps.agent.tools.base import Answer, Card, Effect, Level, Tool, ToolContext
from apps.agent.tools.counted_words import counted
from apps.agent.tools.propose_source_plan.arguments import ProposeSourcePlan
from apps.connectors.custom_sources.checked_code import CheckedCode, require_checked
from apps.orgs.roles import Permission

AUTHENTICATION_WORDS = {
    "none": "None",
    "bearer": "Bearer token",
    "basic": "User name and password",
    "header_key": "Key in the header {name}",
    "query_key": "Key in the query parameter {name}",
    "client_credentials": "OAuth client credentials, token from {token_url}",
    "refresh_token": "OAuth refresh token, token from {token_url}",
}
PAGINATION_WORDS = {
    "none": "one page",
    "page": "pages by number ({parameter})",
    "offset": "pages by offset ({parameter})",
    "cursor": "pages by cursor ({parameter}, from {field})",
    "link_header": "pages by the Link header",
    "next_url": "pages by URL (from {field})",
}


def perform(context: ToolContext, arguments: ProposeSourcePlan) -> Answer:
    plan, checked_code = arguments.plan, _checked_code(context, arguments)
    storage.add_plan(
        context.org, storage.conversation_of(context), plan.name, plan.model_dump_json()
    )
    report = checked_code.report
    content = {
        "name": marking.mark(plan.name),
        "code": marking.mark(checked_code.code),
        "hosts": report["hosts"],
        "streams": marking.mark_json([stream["name"] for stream in report["streams"]]),
        "settings": marking.mark_json(list(report["config_schema"]["properties"])),
        "secrets": report["secret_names"],
    }
    count = len(plan.streams)
    streams = counted(count, "stream")
    return Answer(content, f"Generated the code of {plan.name} with {streams}.")


def show(context: ToolContext, arguments: ProposeSourcePlan) -> Card:
    plan = arguments.plan
    report = _checked_code(context, arguments).report
    facts = (
        ("Name", plan.name),
        ("Base URL", plan.base_url),
        ("Authentication", _describe_authentication(plan.authentication)),
        ("Hosts", ", ".join(report["hosts"])),
        *((f"Stream {stream.name}", _describe_stream(stream)) for stream in plan.streams),
    )
    warnings = [warning["message"] for warning in report["warnings"]]
    return Card(f"Generate the source {plan.name}", facts, warnings=tuple(warnings))


def _checked_code(context: ToolContext, arguments: ProposeSourcePlan) -> CheckedCode:
    """Return the code of the plan with its report. Raises CodeUnchecked before it was validated."""
    context.by.require(Permission.CUSTOM_SOURCES_EDIT)
    code = generation.generate(arguments.plan)
    return require_checked(context.org.pk, code, "", context.checked)


def _describe_authentication(authentication: Authentication) -> str:
    return AUTHENTICATION_WORDS[authentication.kind].format(**authentication.model_dump())


def _describe_stream(stream: PlannedStream) -> str:
    words = [f"GET {stream.path}", _describe_pagination(stream.pagination)]
    if stream.records:
        words.append(f"records in {stream.records}")
    if stream.primary_key:
        words.append(f"primary key {', '.join(stream.primary_key)}")
    if stream.cursor_field and stream.since:
        words.append(f"incremental by {stream.cursor_field} ({stream.since})")
    if stream.parent:
        words.append(f"once for each record of {stream.parent}")
    return "; ".join(words)


def _describe_pagination(pagination: Pagination) -> str:
    return PAGINATION_WORDS[pagination.kind].format(**pagination.model_dump())


TOOL = Tool(
    name="propose_source_plan",
    title="Propose the plan of a source",
    description=(
        "Propose the plan of a new source: streams, authentication, pagination, cursor and hosts. The user approves or"
        " edits it. The answer is the generated code. Secrets are never part of a plan."
    ),
    level=Level.BUILD,
    effect=Effect.DATABASE,
    permission=Permission.CUSTOM_SOURCES_EDIT,
    arguments=ProposeSourcePlan,
    perform=perform,
    card=show,
    graphs=frozenset({Graph.SOURCE_BUILDER}),
)
