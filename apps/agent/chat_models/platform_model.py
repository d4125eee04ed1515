"""The language model of orgs that have not chosen one. The operator sets it in the environment."""

from __future__ import annotations

from django.conf import settings

from apps.agent.chat_models.connections import ModelConnection, Provider


def connection() -> ModelConnection | None:
    """Return the platform's model, or None if there is none. `config.language_model` has checked the settings.

    The operator chooses its URL, so it may be a private address.
    """
    if not settings.AGENT_MODEL:
        return None
    provider, _, model = settings.AGENT_MODEL.partition(":")
    return ModelConnection(
        provider=Provider(provider),
        model=model,
        key=settings.AGENT_MODEL_KEY,
        base_url=settings.AGENT_MODEL_URL,
        allow_private=True,
        is_of_operator=True,
        timeout=settings.AGENT_MODEL_TIMEOUT,
    )
