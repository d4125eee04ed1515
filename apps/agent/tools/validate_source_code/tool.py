"""Validate the code of a source without running it."""

from __future__ import annotations

from functools import partial

from apps.agent.models import Graph
from apps.agent.sources import marking, repairs
from apps.agent.tools.base import Answer, Effect, Level, SlowAnswer, Tool, ToolContext
from apps.agent.tools.slow_work import wait_while_busy
from apps.agent.tools.validate_source_code.arguments import ValidateSourceCode
from apps.connectors import engine
from apps.engine.answers import Report
from apps.orgs.principals import Principal
from apps.orgs.roles import Permission
from apps.orgs.slow_calls import SlowCall

MAX_MESSAGES = 20


def perform(context: ToolContext, arguments: ValidateSourceCode) -> SlowAnswer:
    _recheck(context.by)
    repairs.require_repair_left(context)
    run = partial(engine.validate, org_id=context.org.pk, code=arguments.code)
    call = SlowCall(run, _recheck)
    return SlowAnswer(wait_while_busy(context, call), partial(_render, context))


def _recheck(by: Principal) -> None:
    by.require(Permission.CUSTOM_SOURCES_EDIT)


def _render(context: ToolContext, report: Report) -> Answer:
    warnings = [_place(message) for message in report["warnings"][:MAX_MESSAGES]]
    if not report["valid"]:
        errors = [_place(message) for message in report["errors"][:MAX_MESSAGES]]
        error = {"code": "invalid_code", "message": errors[0]["message"], "errors": errors}
        content = {**repairs.needed(context), "error": error, "warnings": warnings}
        return Answer(content, f"The code has {len(report['errors'])} errors.", ok=False)
    content = {
        "valid": True,
        "warnings": warnings,
        "streams": marking.mark_json(report["streams"]),
        "hosts": report["hosts"],
        "settings": marking.mark_json(list(report["config_schema"]["properties"])),
    }
    return Answer(content, f"The code is valid and has {len(report['streams'])} streams.")


def _place(message: object) -> dict[str, object]:
    fields = dict(message) if isinstance(message, dict) else {}
    message = marking.neutralise(str(fields.get("message")))
    return {"line": fields.get("line"), "message": message}


TOOL = Tool(
    name="validate_source_code",
    title="Validate code",
    description=(
        "Validate the code of a custom source without running it: syntax, imports, streams, settings and hosts. After"
        " three repairs that fail, tell the user what fails."
    ),
    level=Level.READ,
    effect=Effect.NONE,
    permission=Permission.CUSTOM_SOURCES_EDIT,
    arguments=ValidateSourceCode,
    perform=perform,
    graphs=frozenset({Graph.SOURCE_BUILDER}),
)
