"""The results per file of an upload or a repository sync."""

from __future__ import annotations

from typing import TypedDict

from apps.auth import names
from apps.connectors.custom_sources.texts import Text
from apps.connectors.models import CustomSource
from apps.engine.answers import File

OUTCOMES = ("created", "updated", "unchanged", "archived", "failed")
MESSAGE = 500  # characters
PATH = 500


class Outcome(TypedDict):
    """The result for one file: `outcome` is one of OUTCOMES, `source_id` its custom source."""

    path: str
    outcome: str
    message: str
    source_id: str | None
    version: int | None


def outcome(
    path: str, word: str, *, message: str = "", source: CustomSource | None = None
) -> Outcome:
    """Return the result for the file at `path`. `word` is one of OUTCOMES."""
    return {
        "path": names.clean_name(path, longest=PATH),
        "outcome": word,
        "message": names.clean_name(message, longest=MESSAGE),
        "source_id": str(source.pk) if source else None,
        "version": source.latest if source else None,
    }


def problem(file: File) -> str | None:
    """Return why the file is not a valid custom source, with the line; None if it is valid."""
    try:
        if not names.parse_name(name_of(file["path"])):
            return "Its name has no visible characters."
        names.parse_name(file["path"])
    except names.InvalidName as error:
        return f"Its path is not plain text. {error}"
    if "report" not in file:
        return str(file["problem"])
    errors = file["report"]["errors"]
    return f"Line {errors[0]['line']}: {errors[0]['message']}" if errors else None


def name_of(path: str) -> str:
    """Return the name of the custom source in this file: the file's name without `.py`."""
    return names.clean_name(path.rpartition("/")[2].removesuffix(".py"), longest=120)


def text_of(file: File, *, note: str, commit: str = "", author: str = "") -> Text:
    """Return the code of a valid file with its validation report."""
    return Text(
        file["text"],
        file["report"],
        note=names.clean_name(note, longest=200),
        commit=commit,
        author=names.clean_name(author, longest=200),
    )
