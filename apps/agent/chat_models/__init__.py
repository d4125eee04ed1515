"""The language models that an org may choose.

Nothing here imports a provider's package before it is used, and only the worker uses it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from apps.orgs.models import Org

if TYPE_CHECKING:
    from langchain_core.language_models import BaseChatModel


@dataclass(frozen=True, slots=True)
class ChosenModel:
    """The model of an org. `label` is `provider:name`. `build` imports the provider's package."""

    label: str
    build: Callable[[], BaseChatModel]


def choose(org: Org) -> ChosenModel:
    """Return the org's model, or guided mode if it has none. Call it inside the org's scope."""
    return ChosenModel("guided", _build_guided)


def _build_guided() -> BaseChatModel:
    from apps.agent.guided.model import GuidedModel

    return GuidedModel()
