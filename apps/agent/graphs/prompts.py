"""The prompts: one file each, in the folder `prompts`. Each turn stores which versions it used."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import cache
from pathlib import Path

FOLDER = Path(__file__).parent / "prompts"
MAX_VERSIONS = 60  # characters, see models.Turn


@dataclass(frozen=True, slots=True)
class Prompt:
    """A prompt. `version` is its name with the first digits of the SHA-256 of its files."""

    text: str
    version: str


def load(name: str) -> Prompt:
    """Return the prompt of this graph. Its version covers the parts that `with_place` and `with_notes` add too."""
    return _prompt(name, "page", "timezone", "earlier_messages")


def load_summary() -> Prompt:
    """Return the prompt for the notes that replace old messages."""
    return _prompt("summary")


def add_version(versions: str, prompt: Prompt) -> str:
    """Return the versions that a turn has used, with the version of one more prompt."""
    used = versions.split()
    if prompt.version in used:
        return versions
    return " ".join([*used, prompt.version])[:MAX_VERSIONS]


def with_place(prompt: str, page: str, timezone: str) -> str:
    """Return the prompt with the page of the dashboard that the user sees and the user's time zone, if they are known.

    Messages have only paths of the dashboard as pages, and only names of the list of time zones.
    """
    if page:
        prompt += _read("page").replace("{page}", page)
    if timezone:
        prompt += _read("timezone").replace("{timezone}", timezone)
    return prompt


def with_notes(message: str, notes: str) -> str:
    """Return the user's message after the notes about earlier messages. `notes` must be marked as data."""
    return _read("earlier_messages").replace("{notes}", notes) + message


def _prompt(name: str, *parts: str) -> Prompt:
    content = "".join(map(_read, (name, *parts)))
    digest = hashlib.sha256(content.encode()).hexdigest()[:8]
    return Prompt(_read(name), f"{name}@{digest}")


@cache
def _read(name: str) -> str:
    return (FOLDER / f"{name}.md").read_text()
