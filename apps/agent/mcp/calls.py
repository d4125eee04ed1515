"""Carry out the calls of tools over MCP. What a tool returns or raises becomes an answer."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from django.db import transaction

from apps.agent.mcp import collecting, levels, requesting
from apps.agent.mcp.callers import Caller
from apps.agent.tools.base import Answer, Effect, SlowAnswer, Tool, ToolContext
from apps.agent.tools.slow_work import return_connection, with_checks
from apps.agent.turns import answers
from apps.agent.turns.calls import CallAnswer, as_text, check_arguments, requested_call
from apps.json import JsonObject
from apps.orgs import rules
from apps.orgs.roles import Permission


@dataclass(frozen=True, slots=True)
class ServedTool:
    """A tool as programs see it."""

    name: str
    title: str
    description: str
    schema: JsonObject
    only_reads: bool


NEEDS_APPROVAL = " A person must approve it first: the answer has a link for the user, and a request_id for collect_result."


def list_tools(caller: Caller) -> list[ServedTool]:
    """Return the tools of the caller, with `collect_result` if one of them needs an approval."""
    with caller.scope() as (_, principal):
        tools = levels.tools_for(principal)
    served = [_describe(tool) for tool in tools]
    return [*served, collecting_tool()] if any(tool.needs_approval for tool in tools) else served


def _describe(tool: Tool[Any]) -> ServedTool:
    description = tool.description + (NEEDS_APPROVAL if tool.needs_approval else "")
    only_reads = tool.effect == Effect.NONE
    return ServedTool(tool.name, tool.title, description, tool.schema(), only_reads)


def collecting_tool() -> ServedTool:
    return ServedTool(
        name=collecting.NAME,
        title="Collect a result",
        description=collecting.DESCRIPTION,
        schema=collecting.CollectResult.model_json_schema(),
        only_reads=False,
    )


def call_tool(caller: Caller, name: str, arguments: JsonObject) -> CallAnswer:
    """Carry out a call, and return its answer. Does not raise what the tool raises."""
    problem = check_arguments(requested_call("", tool_call_id="", tool=name, arguments=arguments))
    if problem is not None:
        return as_text(problem)
    try:
        if name == collecting.NAME:
            return collecting.collect_result(caller, arguments)
        return as_text(with_checks(lambda checked: _call_tool(caller, name, arguments, checked)))
    except Exception as error:  # the outermost handler of a call
        return as_text(answers.from_exception(error, tool=name, arguments=arguments))


def _call_tool(caller: Caller, name: str, arguments: JsonObject, checked: Any) -> Answer:
    with caller.scope() as (org, principal), transaction.atomic():
        tool = levels.find_tool(principal, name)
        if tool is None:
            return levels.unknown_tool(principal, name)
        if tool.permission != Permission.READ:
            rules.require_writable(org)
        context = ToolContext(org=org, by=principal, checked=checked)
        if tool.needs_approval:
            key_id = caller.credential.key_id
            return requesting.request_approval(context, key_id, tool, arguments)
        outcome = tool.perform(context, tool.parse(arguments))
    if isinstance(outcome, SlowAnswer):
        return _finish_slowly(caller, outcome)
    return outcome


def _finish_slowly(caller: Caller, outcome: SlowAnswer) -> Answer:
    """Make the slow call outside of every transaction, and return its answer if the key may still see it."""
    return_connection()
    result = outcome.call.run()
    with caller.read_again().scope() as (_, principal):
        return outcome.render(outcome.call.finish(principal, result))
