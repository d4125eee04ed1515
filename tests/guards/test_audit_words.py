"""The dashboard has words for every action that the server records in the audit log, and for no other."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from functools import cache

from rest_framework import serializers

from apps.agent.serializers import DecisionRequest, ToolRequestDecision
from apps.pipelines.models import ChangeDecision
from tests.guards.source import ROOT, FoundNode, called_name, find_nodes

RECORDING_CALLS = ("record", "NewEvent")
WORDS = ROOT / "frontend/src/format/audit.ts"


def choices(request: serializers.Serializer[object]) -> list[str]:
    field = request.fields["decision"]
    assert isinstance(field, serializers.ChoiceField)
    return [str(choice) for choice in field.choices]


@cache
def computed_actions() -> dict[str, set[str]]:
    """Return the actions whose names are computed, by the function that computes them."""
    # Imported here, because importing scim2_models takes two seconds in each process of the test suite.
    from apps.orgs.scim.store import AUDIT_VERBS

    return {
        "apps/agent/approvals/services.py:_audit": {
            f"approval.{d}" for d in choices(DecisionRequest())
        },
        "apps/agent/mcp/decisions.py:_audit": {
            f"tool_request.{d}" for d in choices(ToolRequestDecision())
        },
        "apps/orgs/scim/store.py:UserStore.save": {f"scim_user.{v}" for v in AUDIT_VERBS.values()},
        "apps/orgs/scim/store.py:GroupStore.save": {
            f"scim_group.{v}" for v in AUDIT_VERBS.values()
        },
        "apps/pipelines/drift/services.py:decide": {
            f"drift.{name}" for name in ChangeDecision.values
        },
    }


@cache
def calls_by_name() -> dict[str, list[FoundNode]]:
    found: dict[str, list[FoundNode]] = {}
    for node in find_nodes("apps", words=("(",)):
        if isinstance(node.node, ast.Call):
            found.setdefault(called_name(node.node), []).append(node)
    return found


def recorded_actions() -> tuple[set[str], set[str]]:
    """Return the names of all recorded actions, and the functions that compute names."""
    names: set[str] = set()
    computing: set[str] = set()
    for call in find_recording_calls():
        for name, place in find_names(argument(call, "action", None), call):
            names |= {name} if name else set()
            computing |= set() if name else {place}
    return names, computing


def find_recording_calls() -> Iterator[FoundNode]:
    for name in RECORDING_CALLS:
        for call in calls_by_name().get(name, []):
            keywords = {keyword.arg for keyword in call.node.keywords}  # type: ignore[attr-defined]
            if {"action", "object_kind"} <= keywords:
                yield call


def argument(call: FoundNode, name: str, position: int | None) -> ast.expr | None:
    """Return the argument of the call with this name, or at this position."""
    node = call.node
    assert isinstance(node, ast.Call)
    by_name = next((keyword.value for keyword in node.keywords if keyword.arg == name), None)
    if by_name is None and position is not None and position < len(node.args):
        return node.args[position]
    return by_name


def find_names(value: ast.expr | None, call: FoundNode) -> Iterator[tuple[str, str]]:
    """Yield what the expression can be, with its place. A text that is computed is yielded as an empty one."""
    if isinstance(value, ast.Constant) and isinstance(value.value, str):
        yield value.value, call.place
    elif isinstance(value, ast.IfExp):
        yield from find_names(value.body, call)
        yield from find_names(value.orelse, call)
    elif isinstance(value, ast.Name):
        yield from _names_of_variable(value.id, call)
    else:
        yield "", call.place


def _names_of_variable(name: str, call: FoundNode) -> Iterator[tuple[str, str]]:
    """Follow a constant of the module, or an argument to the callers of the function."""
    function = [parent for parent in call.parents if isinstance(parent, ast.FunctionDef)][-1]
    parameters = [a.arg for a in (*function.args.args, *function.args.kwonlyargs)]
    if name not in parameters:
        yield from find_names(_constant(name, call), call)
        return
    positions = [p for p in parameters if p != "self"]
    callers = [c for c in calls_by_name().get(function.name, []) if _may_call(c, call.place)]
    if not callers:
        yield "", call.place
    for caller in callers:
        if (value := argument(caller, name, positions.index(name))) is not None:
            yield from find_names(value, caller)


def _may_call(caller: FoundNode, place: str) -> bool:
    """Whether the call may be one of the function at this place: in its module, or as `module.function`."""
    path = place.partition(":")[0]
    if caller.place.startswith(f"{path}:"):
        return caller.place != place
    function = caller.node.func if isinstance(caller.node, ast.Call) else None
    value = function.value if isinstance(function, ast.Attribute) else None
    return isinstance(value, ast.Name) and path.endswith(f"/{value.id}.py")


def _constant(name: str, call: FoundNode) -> ast.expr | None:
    module = call.parents[0]
    assert isinstance(module, ast.Module)
    for statement in module.body:
        targets = statement.targets if isinstance(statement, ast.Assign) else []
        if isinstance(statement, ast.Assign) and any(
            isinstance(target, ast.Name) and target.id == name for target in targets
        ):
            return statement.value
    return None


def actions_with_words() -> set[str]:
    (table,) = re.findall(
        r"ACTIONS: Record<string, string> = \{\n(.*?)\n\};", WORDS.read_text(), re.S
    )
    return set(re.findall(r'^  "([a-z_.]+)": ', table, re.M))


# Recorded fields that read well with the spelling of their names, such as "Client secret".
READ_WELL = frozenset(
    {
        "archived", "client_secret", "column", "domain", "file", "format", "issuer", "key", "model", "reason",
        "role", "scopes", "streams", "token", "verified", "version",
    }
)  # fmt: skip
IDS = frozenset({"copied_from", "pipeline_id", "replay_id", "run"})  # the page shows no ids
SETTINGS = frozenset({"config"})  # the page shows each of the settings inside of it
NO_EVENTS = frozenset({"checks", "rules"})  # pairs of other dictionaries in the same modules


def recorded_fields() -> set[str]:
    """Return the fields of the changes that are written as `{field: [before, after]}` where events are recorded."""
    fields: set[str] = set()
    for found in find_nodes("apps", words=("audit.record", "_record(", "edits.record", "_audit(")):
        for name, value in _pairs(found.node):
            is_change = isinstance(value, ast.List) and len(value.elts) == 2
            if is_change and isinstance(name, ast.Constant) and isinstance(name.value, str):
                fields.add(name.value)
    return fields


def _pairs(node: ast.AST) -> Iterator[tuple[ast.expr | None, ast.expr]]:
    if isinstance(node, ast.Dict):
        yield from zip(node.keys, node.values, strict=True)
    elif isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Subscript):
        yield node.targets[0].slice, node.value


def fields_with_words() -> set[str]:
    audit, change = WORDS.read_text(), (WORDS.parent / "change.ts").read_text()
    tables = [
        re.findall(pattern, text, re.S)
        for text, pattern in (
            (audit, r"FIELDS: Record<string, string> = \{\n(.*?)\n\};"),
            (change, r"LABELS: Record<string, string> = \{\n(.*?)\n\};"),
        )
    ]
    names = {name for (table,) in tables for name in re.findall(r'^  "?([\w.]+)"?:', table, re.M)}
    (unlisted,) = re.findall(r"const UNLISTED = \[(.*?)\];", audit)
    return names | set(re.findall(r'"(\w+)"', unlisted))


def test_the_dashboard_has_words_for_every_recorded_field() -> None:
    recorded = recorded_fields()
    assert len(recorded) > 30
    missing = recorded - fields_with_words() - READ_WELL - IDS - SETTINGS - NO_EVENTS
    assert not missing, f"add words to FIELDS in {WORDS.relative_to(ROOT)}: {sorted(missing)}"
    stale = (READ_WELL | IDS | SETTINGS | NO_EVENTS) - recorded
    assert not stale, f"no code records these fields: {sorted(stale)}"


def test_every_computed_action_is_listed() -> None:
    _, computing = recorded_actions()
    assert computing == set(computed_actions())


def test_the_dashboard_has_words_for_every_recorded_action() -> None:
    names, _ = recorded_actions()
    recorded = names.union(*computed_actions().values())
    assert len(recorded) > 90
    missing = recorded - actions_with_words()
    assert not missing, f"add words to {WORDS.relative_to(ROOT)}: {sorted(missing)}"
    stale = actions_with_words() - recorded
    assert not stale, f"no code records these actions: {sorted(stale)}"
