"""The models that can be evaluated: guided mode, the scripts of the cases, or a language model."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import orjson

from apps.agent import chat_models
from apps.agent.chat_models.connections import Provider
from evaluations.case import Case, Step
from evaluations.scene import Scene
from tests.agent.wire.replies import Reply, WireCall, WireRequest
from tests.agent.wire.server import KEY, MODELS, wire_server

GUIDED = chat_models.GUIDED
SCRIPTS = "scripts"
LAST_STEP = Step("That is all.")


class EvaluatedModel(Protocol):
    """A model that answers in the cases. `label` is its name in the table and in the history."""

    @property
    def label(self) -> str: ...

    def can_try(self, case: Case) -> bool:
        """Return whether the model claims to be able to do this case."""

    def prepare(self, case: Case, scene: Scene) -> None:
        """Let the org of the case use this model."""


@dataclass(frozen=True, slots=True)
class GuidedMode:
    label: str = GUIDED

    def can_try(self, case: Case) -> bool:
        return case.is_guided

    def prepare(self, case: Case, scene: Scene) -> None:
        """An org without a model uses guided mode."""


@dataclass(frozen=True, slots=True)
class PlatformModel:
    """The language model of the settings DROVER_MODEL, DROVER_MODEL_URL and DROVER_MODEL_KEY."""

    label: str

    def can_try(self, case: Case) -> bool:
        return not case.needs_script

    def prepare(self, case: Case, scene: Scene) -> None:
        """An org without a model uses that of the platform."""


@dataclass(frozen=True, slots=True)
class Scripts:
    """The script of each case, sent by a local server in the format of a provider.

    Without a provider each case uses another one, so that all of them are used.
    """

    provider: Provider | None = None

    @property
    def label(self) -> str:
        return f"{SCRIPTS}:{self.provider}" if self.provider else SCRIPTS

    def can_try(self, case: Case) -> bool:
        return bool(case.script)

    def prepare(self, case: Case, scene: Scene) -> None:
        provider = self.provider or _provider_of(case)
        server = scene.enter(wire_server(_Script(case.script, scene)))
        fields = {
            "provider": provider,
            "model": MODELS[provider],
            "key": KEY,
            "base_url": server.base_url(provider),
            "monthly_tokens": scene.monthly_tokens,
            "values_allowed": scene.values_allowed,
        }
        response = scene.world.client("admin").put("/api/v1/org/model", fields, format="json")
        if response.status_code != 200:
            raise AssertionError(f"the model was refused: {response.json()}")


def _provider_of(case: Case) -> Provider:
    """Return the same provider for the same case, always."""
    providers = list(Provider)
    return providers[sum(case.name.encode()) % len(providers)]


@dataclass(frozen=True, slots=True)
class _Script:
    """Replies with one step to each request. The ids of objects are filled in when the step is sent."""

    steps: Sequence[Step]
    scene: Scene

    def __call__(self, request: WireRequest) -> Reply:
        step = self.steps[request.number] if request.number < len(self.steps) else LAST_STEP
        calls = [
            WireCall(
                name,
                orjson.dumps(self.scene.resolve(dict(arguments))).decode(),
                f"call_{request.number}_{position}",
            )
            for position, (name, arguments) in enumerate(step.calls)
        ]
        return Reply(self.scene.resolve(step.text), tuple(calls))


def environment_of(label: str) -> dict[str, str]:
    """Return the settings with which a process evaluates this model."""
    is_local = label == GUIDED or label.startswith(SCRIPTS)
    return {
        "DROVER_MODEL": "" if is_local else label,
        "DROVER_AGENT_MEMBER_TURNS_PER_MINUTE": "10000",
        "DROVER_AGENT_ORG_TURNS_PER_MINUTE": "10000",
    }


class UnknownModel(Exception):
    """The text does not name a model."""

    def __init__(self, label: str) -> None:
        names = ", ".join(f"{provider}:NAME" for provider in Provider)
        super().__init__(f"{label!r} is not a model. Choose {GUIDED}, {SCRIPTS}, or {names}.")


def find_model(label: str) -> EvaluatedModel:
    """Return the model with this label: guided, scripts, scripts:provider or provider:name. Raises UnknownModel."""
    kind, _, name = label.partition(":")
    providers = set(Provider)
    if label == GUIDED:
        return GuidedMode()
    if kind == SCRIPTS and (not name or name in providers):
        return Scripts(Provider(name) if name else None)
    require_provider(label)
    return PlatformModel(label)


def require_provider(label: str) -> None:
    """Raise UnknownModel if the label is not `provider:name`."""
    kind, _, name = label.partition(":")
    if kind not in set(Provider) or not name:
        raise UnknownModel(label)


def configured_label() -> str:
    """Return the model that the environment names, or guided mode."""
    return os.environ.get("DROVER_MODEL") or GUIDED
