"""The language models that an org may choose.

Nothing here imports a provider's package before it is used, and only the worker uses it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from langchain_core.language_models import BaseChatModel

    from apps.agent.chat_models.connections import ModelConnection
    from apps.agent.models import ModelSettings
    from apps.orgs.models import Org

GUIDED = "guided"


@dataclass(frozen=True, slots=True)
class ChosenModel:
    """The model of an org. `label` is `provider:name`. `build` imports the provider's package."""

    label: str
    build: Callable[[], BaseChatModel]


def choose(org: Org, own: ModelSettings | None) -> ChosenModel:
    """Return the org's own model, else the platform's, else guided mode."""
    from apps.agent.chat_models import own_model, platform_model

    connection = own_model.connection_of(org, own) or platform_model.connection()
    if connection is None:
        return ChosenModel(GUIDED, _build_guided)
    return ChosenModel(connection.label, partial(_build, connection))


async def close(model: BaseChatModel) -> None:
    """Close the connections of a model that `build` has returned. Guided mode has none."""
    close_connections = getattr(model, "aclose", None)
    if close_connections is not None:
        await close_connections()


def _build(connection: ModelConnection) -> BaseChatModel:
    from apps.agent.chat_models import providers

    return providers.build(connection)


def _build_guided() -> BaseChatModel:
    from apps.agent.guided.model import GuidedModel

    return GuidedModel()
