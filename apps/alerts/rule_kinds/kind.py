"""A kind of rule. To add one, copy a sibling of run_failed.py, list it in registry.py, and describe it in docs/howto/alerts.md."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from apps.alerts.models import Scope
from apps.alerts.rule_kinds.verdicts import EndOfRun, Finding, Outcome, Verdict
from apps.alerts.rule_kinds.watched import Watch
from apps.connectors import schemas
from apps.json import JsonObject
from apps.orgs.roles import Permission
from apps.pipelines.models import Pipeline
from apps.runs.models import Status


def judge_as_over(end: EndOfRun) -> Verdict:
    """The rule is not about pipelines. An alert that it has opened as another kind is closed by a success."""
    return Outcome.GOOD if end.run.status == Status.SUCCEEDED else Outcome.UNKNOWN


@dataclass(frozen=True, slots=True)
class Kind:
    """`settings` is a JSON Schema from which pages build a form; each setting has a default.

    `describe` is set for the kinds that look at the clock: it returns why the alert opens for a pipeline that the function
    alerts_found_by_time has found. `judge` is called for each ordinary run that ends, in a transaction in which the pipeline is locked. `label` begins
    the title of a message, and `recovered` follows the name of the pipeline when the alert closes.

    `watch` is set for the kinds that are not about pipelines. Who may not have `permission` sees neither the rules of such a
    kind nor what they have told.
    """

    title: str
    description: str
    label: str
    settings: JsonObject
    judge: Callable[[EndOfRun], Verdict] = judge_as_over
    describe: Callable[[Pipeline, dict[str, Any]], Finding] | None = None
    recovered: str = "has recovered: its last run has succeeded"
    scopes: tuple[str, ...] = tuple(Scope.values)
    watch: Watch | None = None
    closed_label: str = "Recovered"
    permission: Permission | None = None
    condition: str = ""  # the title with the settings, in the format of `str.format`

    def with_defaults(self, settings: JsonObject) -> dict[str, Any]:
        """Return the settings, with the defaults of those that are left out."""
        properties: Any = self.settings["properties"]
        return {**{name: field["default"] for name, field in properties.items()}, **settings}

    def sentence(self, settings: JsonObject) -> str:
        """Return when an alert opens, with the settings in words."""
        return (self.condition or self.title).format(**self.with_defaults(settings))

    def errors(self, settings: JsonObject) -> list[schemas.Error]:
        return schemas.errors(self.settings, settings, "settings")


def settings_schema(**properties: JsonObject) -> JsonObject:
    """Return the schema of an object with these properties and no others."""
    return {
        "type": "object",
        "properties": properties,
        "required": [],
        "additionalProperties": False,
    }
