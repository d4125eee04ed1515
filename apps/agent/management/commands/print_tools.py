from __future__ import annotations

import json
from typing import Any

from django.core.management.base import BaseCommand

from apps.agent.tools.base import Tool
from apps.agent.tools.registry import all_tools

INTRODUCTION = """# Tools of the agent

`manage.py print_tools` prints this page. The agent uses these tools for its user, with the user's rights; an API key uses them over MCP.

- **Agent**: which of the two agents has the tool, the main agent or the source builder.
- **Permission**: what the user's role must allow. `manage.py print_roles` prints the roles.
- **Level**: what an API key needs to use the tool over MCP.
- **Effect**: what the tool changes: nothing, Drover's database, or something outside of it, such as a server that it connects to.
- **Approval**: whether a person sees the exact change first and approves it. A question pauses the agent until the user answers."""


class Command(BaseCommand):
    """Print the agent's tools with their arguments, as Markdown."""

    help = __doc__ or ""
    requires_system_checks = ()

    def handle(self, *args: Any, **options: Any) -> None:
        self.stdout.write(f"{INTRODUCTION}\n\n{_table()}\n")
        for tool in all_tools():
            self.stdout.write(_section(tool))


def _table() -> str:
    rows = [
        "| name | agent | permission | level | effect | approval |",
        "|---|---|---|---|---|---|",
        *(
            f"| [`{tool.name}`](#{tool.name}) | {_graphs(tool)} | {tool.permission} | {tool.level} | {tool.effect}"
            f" | {_approval(tool)} |"
            for tool in all_tools()
        ),
    ]
    return "\n".join(rows)


def _section(tool: Tool[Any]) -> str:
    schema = json.dumps(tool.schema(), indent=1, sort_keys=True)
    return f"## {tool.name}\n\n{tool.title}. {tool.description}\n\n```json\n{schema}\n```\n"


def _graphs(tool: Tool[Any]) -> str:
    return "both" if len(tool.graphs) > 1 else next(iter(tool.graphs)).label.lower()


def _approval(tool: Tool[Any]) -> str:
    if tool.is_question:
        return "question"
    if tool.needs_no_approval is not None:
        return "yes, except known calls"
    return "yes" if tool.needs_approval else "no"
