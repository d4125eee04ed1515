"""Talk to guided mode without a database: the tools are stand-ins with fixed answers.

Every call is checked with the real tool's arguments. tests/agent/guided/test_conversations.py uses the real tools.
"""

from __future__ import annotations

import json
import uuid
from dataclasses import dataclass, field
from typing import Any

from langchain_core.messages import AIMessage, BaseMessage, HumanMessage, ToolMessage

from apps.agent.guided import planner
from apps.agent.sources import marking
from apps.agent.tools import registry


def new_id(number: int) -> str:
    return str(uuid.UUID(int=number))


def stream(name: str, cursors: tuple[str, ...] = (), keys: tuple[str, ...] = ()) -> dict[str, Any]:
    return {"name": name, "fields": [{"name": "id"}], "cursor_fields": list(cursors), "primary_key": list(keys),
            "sync_modes": ["full_refresh"]}  # fmt: skip


def connector(number: int, name: str, role: str, kind: str) -> dict[str, Any]:
    return {"id": new_id(number), "name": name, "role": role, "kind": kind}


def run(number: int, status: str) -> dict[str, Any]:
    return {"id": new_id(number), "status": status, "created_at": "2026-01-02T03:04:05Z"}


def pipeline(
    number: int, name: str, stream: str, *, enabled: bool = True, status: str = "succeeded"
) -> dict[str, Any]:
    return {"id": new_id(number), "name": name, "enabled": enabled, "source_kind": "postgres", "stream": stream,
            "destination_kind": "parquet", "last_run_status": status}  # fmt: skip


CONNECTORS = [
    connector(1, "Flights database", "source", "postgres"),
    connector(2, "Weather API", "source", "rest"),
    connector(3, "Shop database", "source", "postgres"),
    connector(4, "Parquet files", "destination", "parquet"),
    connector(5, "Warehouse", "destination", "postgres"),
]
OWN_KIND = f"custom-{new_id(60)}"
STREAMS = {
    new_id(1): [stream("flights", ("time_hour",), ("id",)), stream("airlines"), stream("planes")],
    new_id(2): [stream("weather", ("time_hour",), ("origin", "time_hour"))],
    new_id(3): [stream("orders", ("created_at", "updated_at"), ("id",)), stream("order_items"), stream("planes")],
}  # fmt: skip
PIPELINES = [
    pipeline(11, "Flights to Parquet", "flights"),
    pipeline(12, "Weather to the warehouse", "weather", status="failed"),
    pipeline(13, "Orders hourly", "orders", enabled=False),
]
RUNS = {
    new_id(11): [run(21, "running"), run(22, "succeeded")],
    new_id(12): [run(23, "failed")],
    new_id(13): [],
}

SOURCE_CHANGE = {"id": new_id(70), "stream": "flights", "kind": "column_added", "column": "gate", "before": "",
                 "after": "text", "effect": "left_out"}  # fmt: skip
KINDS = [
    {"kind": "postgres", "name": "PostgreSQL"},
    {"kind": "rest", "name": "REST API"},
    {"kind": OWN_KIND, "name": "Bike shop API"},
    {"kind": f"custom-{new_id(61)}", "name": "My shop"},
]

PLAN = {
    "name": "Shop API",
    "base_url": "https://api.example.com",
    "streams": [{"name": "orders", "path": "/orders"}],
}


@dataclass
class Talk:
    """One conversation: its messages, all tool calls, and what guided mode said last."""

    messages: list[BaseMessage] = field(default_factory=list)
    calls: list[tuple[str, dict[str, Any]]] = field(default_factory=list)
    asked: list[dict[str, Any]] = field(default_factory=list)
    said: str = ""
    rejects: bool = False
    failing_previews: int = 0
    busy_source: str = ""  # the id of a source whose first call is refused
    timezone: str = ""
    graph: str = ""  # where the messages are sent, if not to the main agent

    def ask(self, text: str, *replies: str, page: str = "") -> Talk:
        """Send a message. The replies answer the questions of guided mode."""
        answers = iter(replies)
        attached = {"page": page, "graph": self.graph, "timezone": self.timezone}
        given = {name: value for name, value in attached.items() if value}
        self.messages.append(HumanMessage(text, additional_kwargs=given))
        for _ in range(25):
            step = planner.next_step(self.messages)
            self.said = step.text
            calls = [
                {"name": tool, "args": json.loads(json.dumps(arguments)), "id": uuid.uuid4().hex}
                for tool, arguments in step.calls
            ]
            self.messages.append(AIMessage(step.text, tool_calls=calls))
            if not calls:
                return self
            for call in calls:
                self.messages.append(self._result(call, answers))
        raise AssertionError("guided mode does not end")

    @property
    def last(self) -> tuple[str, dict[str, Any]]:
        return self.calls[-1]

    @property
    def tools(self) -> list[str]:
        return [tool for tool, _ in self.calls]

    def _result(self, call: Any, answers: Any) -> ToolMessage:
        name, arguments = call["name"], call["args"]
        tool = registry.find(name)
        assert tool is not None, name
        tool.parse(arguments)
        self.calls.append((name, arguments))
        message = {"tool_call_id": call["id"], "name": name}
        if name == "ask":
            self.asked.append(arguments)
            return ToolMessage(next(answers), **message)
        if tool.needs_approval and self.rejects:
            text = f"User rejected the tool call for `{name}` with reason: not now"
            return ToolMessage(text, status="error", **message)
        if name == "preview_source" and self.failing_previews > 0:
            self.failing_previews -= 1
            error = {"code": "auth", "message": "The source refused the credentials (401)."}
            return ToolMessage(json.dumps({"error": error}), status="error", **message)
        if self.busy_source and arguments.get("connector_id") == self.busy_source:
            self.busy_source = ""
            error = {"code": "busy", "message": "Too many checks and previews are running."}
            return ToolMessage(json.dumps({"error": error}), status="error", **message)
        return ToolMessage(json.dumps(answer(name, arguments)), **message)


def answer(tool: str, arguments: dict[str, Any]) -> dict[str, Any]:
    match tool:
        case "list_connectors":
            role, search = arguments.get("role"), arguments.get("search", "").lower()
            rows = [
                c for c in CONNECTORS if role in (None, c["role"]) and search in c["name"].lower()
            ]
            return {"count": len(rows), "connectors": rows}
        case "list_streams":
            search = arguments.get("search", "").lower()
            rows = [s for s in STREAMS[arguments["connector_id"]] if search in s["name"]]
            return {"count": len(rows), "streams": rows[: arguments["limit"]]}
        case "list_pipelines":
            search = arguments.get("search", "").lower()
            rows = [p for p in PIPELINES if search in p["name"].lower()]
            return {"count": len(rows), "pipelines": rows}
        case "list_runs":
            runs = RUNS.get(
                arguments.get("pipeline_id", ""), [r for rows in RUNS.values() for r in rows]
            )
            runs = [r for r in runs if arguments.get("status") in (None, r["status"])]
            return {"count": len(runs), "runs": runs}
        case "show_pipeline":
            if arguments.get("part") == "streams":
                return {"count": 1, "streams": [{"stream": "public.logs"}]}
            if arguments.get("part") == "source_changes":
                found = arguments["pipeline_id"] == new_id(11)
                return {"source_changes": [SOURCE_CHANGE] if found else []}
            return _detail(arguments["pipeline_id"])
        case "show_run":
            return {
                "id": arguments["run_id"],
                "pipeline": {"id": new_id(12), "name": PIPELINES[1]["name"]},
            }
        case "fetch_documentation":
            return (
                {"plan": marking.mark_json(PLAN)}
                if arguments["url"].endswith("openapi.json")
                else {"text": "Docs"}
            )
        case "propose_source_plan":
            code = marking.mark("class Shop: pass")
            streams = marking.mark_json(["orders"])
            return {
                "name": marking.mark(arguments["plan"]["name"]),
                "code": code,
                "streams": streams,
            }
        case "save_source_version":
            return {"id": new_id(50), "name": arguments["name"], "version": 1}
        case "explain_pipeline":
            return _explanation(arguments["pipeline_id"])
        case "create_pipelines":
            rows = [
                {"id": new_id(40 + i), "name": p["name"]}
                for i, p in enumerate(arguments["pipelines"])
            ]
            return {"pipelines": rows}
        case "list_connector_kinds":
            return {"count": len(KINDS), "kinds": KINDS}
        case "request_connector":
            return {"connector_id": new_id(9), "name": "New", "role": arguments["role"]}
    return {"ok": True}


def _explanation(pipeline_id: str) -> dict[str, Any]:
    evidence = [{"text": "The last run took too long.", "link": f"/runs/{new_id(23)}"}]
    content = {"pipeline": "x", "evidence": evidence}
    if pipeline_id != new_id(12):
        return content
    change = {"pipeline_id": pipeline_id, "timeout_seconds": 7200}
    suggestion = {"reason": "More time helps.", "tool": "update_pipeline", "arguments": change}
    return {**content, "suggested_change": suggestion}


def _detail(pipeline_id: str) -> dict[str, Any]:
    row = next(p for p in [*PIPELINES, pipeline(40, "New", "flights")] if p["id"] == pipeline_id)
    config = {"source": {"connector_id": new_id(1)}, "destination": {"connector_id": new_id(4)},
              "streams": [{"stream": row["stream"]}, {"stream": "planes"}]}  # fmt: skip
    if pipeline_id == new_id(12):
        config["patterns"] = {"match": ["*"]}
    schedule = {"cron": "0 6 * * *", "interval_seconds": None, "timezone": "UTC"}
    return {**row, "config": config, "schedule": schedule, "schedule_in_words": "Daily at 06:00 (UTC)",
            "next_times": ["2026-01-01T06:00:00Z"], "last_run": {"status": "succeeded"}}  # fmt: skip
