"""How a language model is reached. This module imports neither Django nor a provider's package."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from urllib.parse import urlsplit


class Provider(StrEnum):
    OPENAI = "openai"
    ANTHROPIC = "anthropic"
    GOOGLE = "google"
    OPENAI_COMPATIBLE = "openai_compatible"  # such as Ollama or vLLM


DEFAULT_URLS = {
    Provider.OPENAI: "https://api.openai.com/v1",
    Provider.ANTHROPIC: "https://api.anthropic.com",
    Provider.GOOGLE: "https://generativelanguage.googleapis.com",
}


@dataclass(frozen=True, slots=True)
class ModelConnection:
    """A model with everything that is needed to call it. `base_url` is empty for the provider's own address."""

    provider: Provider
    model: str
    key: str = field(default="", repr=False)
    base_url: str = ""
    temperature: float | None = None
    allow_private: bool = False  # whether the egress policy allows private addresses
    is_of_operator: bool = False  # if true, members must not see the URL
    timeout: float = 120.0  # seconds between two parts of an answer

    @property
    def label(self) -> str:
        return f"{self.provider.value}:{self.model}"

    @property
    def url(self) -> str:
        return self.base_url or DEFAULT_URLS[self.provider]

    @property
    def secrets(self) -> tuple[str, ...]:
        """Return the texts that no error message may contain: the key, and the host of the operator's model."""
        host = urlsplit(self.base_url).hostname if self.is_of_operator else None
        return tuple(text for text in (self.key, host) if text)
