"""The language model of the installation, read from DROVER_MODEL and the variables that belong to it.

A mistake in them ends each process when it starts. Otherwise users would notice it at their first message.
"""

from __future__ import annotations

from typing import TypedDict
from urllib.parse import urlsplit

from apps.agent.chat_models.connections import Provider
from config import env
from config.env import SettingInvalid

MAX_NAME_LENGTH = 120  # characters; a turn stores which model it has used


class LanguageModel(TypedDict):
    """All three are empty if the installation has no model."""

    model: str  # provider:name
    key: str
    url: str  # empty for the provider's own address


def read() -> LanguageModel:
    """Return the language model of the installation. Raises SettingInvalid."""
    model = env.text("DROVER_MODEL", "")
    if not model:
        return {"model": "", "key": "", "url": ""}
    provider = _provider_of(model)
    key = env.text("DROVER_MODEL_KEY", "")
    url = env.text("DROVER_MODEL_URL", "").rstrip("/")
    _require_key(provider, key)
    _require_url(provider, url)
    return {"model": model, "key": key, "url": url}


def _provider_of(model: str) -> Provider:
    provider, _, name = model.partition(":")
    if provider not in set(Provider) or not name.strip() or len(model) > MAX_NAME_LENGTH:
        raise SettingInvalid(
            f"DROVER_MODEL must be provider:name, such as anthropic:claude-sonnet-4-5, not {model!r}."
            f" The provider is one of {', '.join(Provider)}. At most {MAX_NAME_LENGTH} characters."
        )
    return Provider(provider)


def _require_key(provider: Provider, key: str) -> None:
    if not key and provider != Provider.OPENAI_COMPATIBLE:
        raise SettingInvalid(
            f"DROVER_MODEL_KEY is not set. Set it, or DROVER_MODEL_KEY_FILE, to a key of {provider}."
        )
    if not key.isascii() or not key.isprintable():
        raise SettingInvalid(
            "DROVER_MODEL_KEY contains line breaks or special characters: set it to the key alone."
        )


def _require_url(provider: Provider, url: str) -> None:
    if not url and provider == Provider.OPENAI_COMPATIBLE:
        raise SettingInvalid(
            "DROVER_MODEL_URL is not set. Set it to the URL of the server, such as http://127.0.0.1:11434/v1."
        )
    if url and not _is_base_url(url):
        raise SettingInvalid(
            "DROVER_MODEL_URL must look like https://models.example.com/v1, without a user, query or fragment."
        )


def _is_base_url(url: str) -> bool:
    try:
        parts = urlsplit(url)
        is_valid = parts.scheme in {"https", "http"} and bool(parts.hostname) and parts.port != 0
    except ValueError:
        return False
    return is_valid and url.isascii() and not (parts.query or parts.fragment or parts.username)
