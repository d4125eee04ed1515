"""The system prompts: one file per graph. Each turn stores which version it used."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

from apps.agent.tools.base import ToolContext

FOLDER = Path(__file__).parent / "prompts"


@dataclass(frozen=True, slots=True)
class Prompt:
    """A prompt. `version` is its name with the first digits of the file's SHA-256."""

    text: str
    version: str


def load(name: str, context: ToolContext) -> Prompt:
    """Return the prompt of this graph."""
    content = (FOLDER / f"{name}.md").read_text()
    digest = hashlib.sha256(content.encode()).hexdigest()[:8]
    return Prompt(content, f"{name}@{digest}")


def with_page(prompt: str, page: str) -> str:
    """Return the prompt with the page of the dashboard that the user sees. Turns store only such paths as pages."""
    if not page:
        return prompt
    return f'{prompt}\n- The user is on the page {page} of the dashboard. "This run" or "it" may mean that page.'
