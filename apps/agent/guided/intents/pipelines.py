"""Run, cancel, retry, enable, disable, rename, delete and show pipelines."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Any

from apps.agent.guided.intents import finding
from apps.agent.guided.requests import ChangeState, Rename, ShowPipeline
from apps.agent.guided.turns import Turn
from apps.agent.tools.links import kind_label
from apps.json import JsonObject
from apps.pipelines.schedules import words

LIVE = ("pending", "running")
RETRYABLE = ("failed", "cancelled")
CANNOT_RENAME = "I can rename only pipelines. You can rename a conversation on the page **Agent**."


def change_state(turn: Turn, request: ChangeState) -> str:
    return _ACTIONS[request.action](turn, request.name)


def _run(turn: Turn, name: str) -> str:
    pipeline = finding.find_pipeline(turn, name)
    arguments: dict[str, Any] = {"pipeline_id": str(pipeline["id"])}
    text = f"I propose to run {pipeline['name']} now."
    if pipeline.get("enabled") is False:
        arguments["force"] = True
        text = f"{pipeline['name']} is disabled. I propose to run it once."
    turn.propose("run_pipeline", arguments, text)
    return f'A run of {pipeline["name"]} has been started. Say "show it" to see how it goes.'


def _cancel(turn: Turn, name: str) -> str:
    run_id = finding.run_of_page(turn) if not name else ""
    if run_id:
        turn.propose("cancel_run", {"run_id": run_id}, "I propose to cancel this run.")
        return "The run is cancelled, or ends within seconds."
    pipeline = finding.find_pipeline(turn, name)
    run = _newest_run(turn, pipeline, LIVE)
    if run is None:
        return f"{pipeline['name']} has no run in progress."
    text = f"I propose to cancel the run of {pipeline['name']}, which is {run['status']}."
    turn.propose("cancel_run", {"run_id": str(run["id"])}, text)
    return f"The run of {pipeline['name']} is cancelled, or ends within seconds."


def _retry(turn: Turn, name: str) -> str:
    run_id = finding.run_of_page(turn) if not name else ""
    if run_id:
        turn.propose("retry_run", {"run_id": run_id}, "I propose to try this run again.")
        return "The run is tried again."
    pipeline = finding.find_pipeline(turn, name)
    run = _newest_run(turn, pipeline, RETRYABLE)
    if run is None:
        return f"{pipeline['name']} has no failed or cancelled run."
    text = f"I propose to try the run of {pipeline['name']} again, which is {run['status']}."
    turn.propose("retry_run", {"run_id": str(run["id"])}, text)
    return f"The run of {pipeline['name']} is tried again."


def _newest_run(turn: Turn, pipeline: JsonObject, states: tuple[str, ...]) -> Any:
    arguments = {"pipeline_id": str(pipeline["id"])}
    rows = finding.read_rows(turn, "list_runs", arguments, "runs", limit=10)
    return next((row for row in rows if row["status"] in states), None)


def _enable(turn: Turn, name: str) -> str:
    return _set_enabled(turn, name, enabled=True)


def _disable(turn: Turn, name: str) -> str:
    return _set_enabled(turn, name, enabled=False)


def _set_enabled(turn: Turn, name: str, *, enabled: bool) -> str:
    pipeline = finding.find_pipeline(turn, name)
    state, verb = ("enabled", "enable") if enabled else ("disabled", "disable")
    if pipeline.get("enabled") is enabled:
        if enabled and _is_paused(turn, pipeline):
            return _resume(turn, pipeline)
        return f"{pipeline['name']} is already {state}."
    arguments: dict[str, Any] = {"pipeline_id": str(pipeline["id"]), "enabled": enabled}
    turn.propose("set_pipeline_enabled", arguments, f"I propose to {verb} {pipeline['name']}.")
    return f"{pipeline['name']} is {state}."


def _is_paused(turn: Turn, pipeline: dict[str, Any]) -> bool:
    schedule = finding.read_detail(turn, pipeline).get("schedule")
    return isinstance(schedule, dict) and schedule.get("paused_at") is not None


def _resume(turn: Turn, pipeline: JsonObject) -> str:
    name = pipeline["name"]
    arguments: dict[str, Any] = {"pipeline_id": str(pipeline["id"]), "paused": False}
    turn.propose(
        "set_schedule_paused",
        arguments,
        f"The schedule of {name} is paused. I propose to resume it.",
    )
    return f"The schedule of {name} is resumed."


def _delete(turn: Turn, name: str) -> str:
    pipeline = finding.find_pipeline(turn, name)
    arguments = {"pipeline_id": str(pipeline["id"])}
    turn.propose("delete_pipeline", arguments, f"I propose to delete {pipeline['name']}.")
    return f"{pipeline['name']} is deleted."


def rename(turn: Turn, request: Rename) -> str:
    if request.kind != "pipeline":
        return CANNOT_RENAME
    pipeline = finding.find_pipeline(turn, request.name)
    new_name = request.new_name or turn.ask(f"What is the new name of {pipeline['name']}?")
    arguments = {"pipeline_id": str(pipeline["id"]), "name": new_name}
    text = f"I propose to rename {pipeline['name']} to {new_name}."
    changed = turn.propose("update_pipeline", arguments, text).content
    # The user may have edited the proposal.
    return f"{pipeline['name']} is now called {changed.get('name', new_name)}."


def show_pipeline(turn: Turn, request: ShowPipeline) -> str:
    pipeline = finding.find_pipeline(turn, request.name)
    detail = finding.read_detail(turn, pipeline)
    state = "enabled" if detail["enabled"] else "disabled"
    lines = [
        f"**{detail['name']}** is {state}.",
        f"- Reads {finding.streams_in_words(detail)} from {kind_label(str(detail['source_kind']))} and writes to {detail['destination_kind']}.",
        f"- Schedule: {detail['schedule_in_words']}",
    ]
    if times := detail.get("next_times"):
        zone = str(detail["schedule"]["timezone"])
        moments = [datetime.fromisoformat(str(time)) for time in times]
        lines.append(f"- Next times: {words.describe_times(moments, zone)}")
    last = detail.get("last_run")
    if isinstance(last, dict) and last.get("status"):
        in_words = finding.last_run_in_words(last["status"], last.get("kind"))
        lines.append(f"- Last run: {in_words}")
    return "\n".join(lines)


_ACTIONS: dict[str, Callable[[Turn, str], str]] = {
    "run": _run,
    "cancel": _cancel,
    "retry": _retry,
    "enable": _enable,
    "disable": _disable,
    "delete": _delete,
}
