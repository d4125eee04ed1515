"""Which tools an API key may use over MCP.

The level of a key follows from its permissions, so an API key needs no further setting.
"""

from __future__ import annotations

from typing import Any

from apps.agent.tools import registry
from apps.agent.tools.base import Answer, Effect, Level, Tool
from apps.agent.turns import answers
from apps.orgs.principals import Principal
from apps.orgs.roles import Permission

# A key has the highest level for which it has one of these permissions, in the org or in a domain.
PERMISSIONS_OF_LEVEL = {
    Level.BUILD: (
        Permission.PIPELINES_EDIT,
        Permission.CONNECTORS_EDIT,
        Permission.CUSTOM_SOURCES_EDIT,
    ),
    Level.RUN: (Permission.PIPELINES_RUN, Permission.RUNS_CANCEL),
    Level.READ: (Permission.READ,),
}
RANK = {Level.READ: 0, Level.RUN: 1, Level.BUILD: 2}


def level_of(principal: Principal) -> Level | None:
    """Return the level of a key, or None if it may not even read."""
    for level, permissions in PERMISSIONS_OF_LEVEL.items():
        if any(principal.may_somewhere(permission) for permission in permissions):
            return level
    return None


def tools_for(principal: Principal) -> list[Tool[Any]]:
    """Return the tools that the key may use, sorted by name."""
    level = level_of(principal)
    if level is None:
        return []
    return [
        tool
        for tool in registry.all_tools()
        if is_served(tool)
        and RANK[tool.level] <= RANK[level]
        and principal.may_somewhere(tool.permission)
    ]


def is_served(tool: Tool[Any]) -> bool:
    """Whether a program can use the tool at all.

    A program cannot answer a question to the user, and has no conversation to hand over. A tool that changes something
    without an approval is never served.
    """
    if tool.is_question or tool.hands_over_to is not None:
        return False
    return tool.effect == Effect.NONE or tool.needs_approval


def find_tool(principal: Principal, name: str) -> Tool[Any] | None:
    """Return the tool with this name if the key may use it."""
    return next((tool for tool in tools_for(principal) if tool.name == name), None)


def unknown_tool(principal: Principal, name: str) -> Answer:
    names = ", ".join(tool.name for tool in tools_for(principal))
    return answers.failed(
        "unknown_tool",
        f"This API key has no tool {name[:64]!r}. Its tools are: {names}. A key with more permissions has more tools.",
    )
