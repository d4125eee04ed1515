"""Run the code of a source in the sandbox and read a few records, with settings that no model sees."""

from __future__ import annotations

from functools import partial

from apps.agent.exceptions import SettingsMissing
from apps.agent.models import Graph
from apps.agent.sources import answering, repairs, storage
from apps.agent.tools.base import (
    Card,
    Effect,
    Level,
    SlowAnswer,
    Tool,
    ToolContext,
)
from apps.agent.tools.preview_source.arguments import PreviewSource
from apps.agent.tools.slow_work import wait_while_busy
from apps.connectors.custom_sources import services, trials
from apps.connectors.custom_sources.checked_code import CheckedCode, require_checked
from apps.engine.answers import Report
from apps.json import JsonObject
from apps.orgs.exceptions import Invalid
from apps.orgs.roles import Permission

RUNS_NOW = (
    "The code runs now, in the sandbox. Nothing is written, and the language model sees no secrets."
)


def perform(context: ToolContext, arguments: PreviewSource) -> SlowAnswer:
    repairs.require_repair_left(context)
    call = trials.prepare(
        org=context.org,
        by=context.by,
        stream=arguments.stream,
        config=_settings(context, arguments),
        limit=arguments.max_records,
        code=arguments.code,
        source_id=arguments.custom_source_id,
        connector_id=arguments.connector_id,
    )
    return SlowAnswer(wait_while_busy(context, call), partial(answering.describe_preview, context))


def show(context: ToolContext, arguments: PreviewSource) -> Card:
    context.by.require(Permission.CUSTOM_SOURCES_EDIT)
    repairs.require_repair_left(context)
    facts = [("Stream", arguments.stream), ("Records", f"up to {arguments.max_records}")]
    if arguments.code is None:
        return _card_of_saved_source(context, arguments, facts)
    report = _checked_code(context, arguments.code).report
    _require_stream(arguments.stream, report)
    return Card(
        "Preview the new source",
        (
            *facts,
            ("Hosts", ", ".join(report["hosts"]) or "none"),
            ("Settings", _names(report)),
            ("Note", RUNS_NOW),
        ),
        changes=({"field": "code", "before": None, "after": arguments.code},),
        warnings=tuple(warning["message"] for warning in report["warnings"]),
        form=_form(context, report),
    )


def _card_of_saved_source(
    context: ToolContext, arguments: PreviewSource, facts: list[tuple[str, str]]
) -> Card:
    if arguments.custom_source_id is None:
        raise Invalid([("code", "Send code, or the id of a saved source.", "required")])
    perform(context, arguments)  # checks the permissions; the call itself is not made
    source = services.find_source(
        org=context.org, by=context.by, source_id=arguments.custom_source_id
    )
    shown = (("Source", source.name), *facts, ("Note", RUNS_NOW))
    return Card(f"Preview {source.name}", shown)


def _settings(context: ToolContext, arguments: PreviewSource) -> JsonObject:
    """Return the settings that the user has entered for this code and its hosts. Raises SettingsMissing."""
    if arguments.code is None:
        return {}
    report = _checked_code(context, arguments.code).report
    if not report["config_schema"]["properties"]:
        return {}
    return storage.stored_settings(context.org, storage.conversation_of(context), report["hosts"])


def _form(context: ToolContext, report: Report) -> JsonObject | None:
    """Return the form that the browser sends to the API of the conversation, or None if it needs no settings."""
    if not report["config_schema"]["properties"]:
        return None
    return {
        "kind": "source_settings",
        "path": f"/agent/conversations/{storage.conversation_of(context)}/source-settings",
        "schema": report["config_schema"],
        "hosts": report["hosts"],
        "filled": _is_filled(context, report),
    }


def _is_filled(context: ToolContext, report: Report) -> bool:
    try:
        storage.stored_settings(context.org, storage.conversation_of(context), report["hosts"])
    except SettingsMissing:
        return False
    return True


def _names(report: Report) -> str:
    return ", ".join(report["config_schema"]["properties"]) or "none"


def _require_stream(stream: str, report: Report) -> None:
    names = [declared["name"] for declared in report["streams"]]
    if names and stream not in names:
        message = f"The code has no stream {stream!r}. Its streams: {', '.join(names[:30])}."
        raise Invalid([("stream", message, "unknown")])


def _checked_code(context: ToolContext, code: str) -> CheckedCode:
    return require_checked(context.org.pk, code, "", context.checked)


TOOL = Tool(
    name="preview_source",
    title="Preview a source",
    description=(
        "Run the code of a source in the sandbox after the user's approval, and read a few records. The user enters the"
        " settings in a form of the approval, and you never see them. Send the complete code, or a saved source with a"
        " connector. A failure is classified and has advice. Repair the code at most three times."
    ),
    level=Level.BUILD,
    effect=Effect.EXTERNAL,
    permission=Permission.CUSTOM_SOURCES_EDIT,
    arguments=PreviewSource,
    perform=perform,
    card=show,
    graphs=frozenset({Graph.SOURCE_BUILDER}),
)
