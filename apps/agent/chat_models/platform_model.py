"""The language model of orgs that have not chosen one. The operator sets it in the environment."""

from __future__ import annotations

from django.conf import settings
from django.core.exceptions import ImproperlyConfigured

from apps.agent.chat_models.connections import ModelConnection, Provider


def connection() -> ModelConnection | None:
    """Return the platform's model, or None if there is none. Raises ImproperlyConfigured.

    The operator chooses its URL, so it may be a private address.
    """
    if not settings.AGENT_MODEL:
        return None
    name, _, model = settings.AGENT_MODEL.partition(":")
    if name not in set(Provider) or not model:
        providers = ", ".join(Provider)
        raise ImproperlyConfigured(f"DROVER_MODEL must be provider:name, with one of {providers}.")
    provider = Provider(name)
    if provider == Provider.OPENAI_COMPATIBLE and not settings.AGENT_MODEL_URL:
        raise ImproperlyConfigured("DROVER_MODEL_URL is not set. Set it to the URL of the server.")
    return ModelConnection(
        provider=provider,
        model=model,
        key=settings.AGENT_MODEL_KEY,
        base_url=settings.AGENT_MODEL_URL,
        allow_private=True,
        timeout=settings.AGENT_MODEL_TIMEOUT,
    )
