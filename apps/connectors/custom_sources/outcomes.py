"""The result for each file of an upload or a repository sync."""

from __future__ import annotations

from typing import TypedDict

from apps.auth import names
from apps.connectors.custom_sources.checked_code import CheckedCode
from apps.connectors.models import CustomSource
from apps.engine.answers import File

OUTCOMES = ("created", "updated", "unchanged", "archived", "failed")
MAX_MESSAGE_LENGTH = 500  # characters
MAX_PATH_LENGTH = 500


class Outcome(TypedDict):
    """The result for one file. `outcome` is one of OUTCOMES, `source_id` the id of the file's custom source."""

    path: str
    outcome: str
    message: str
    source_id: str | None
    version: int | None


def build_outcome(
    path: str, outcome: str, *, message: str = "", source: CustomSource | None = None
) -> Outcome:
    """Return the result for the file at `path`. `outcome` is one of OUTCOMES."""
    return {
        "path": names.clean_name(path, max_length=MAX_PATH_LENGTH),
        "outcome": outcome,
        "message": names.clean_name(message, max_length=MAX_MESSAGE_LENGTH),
        "source_id": str(source.pk) if source else None,
        "version": source.latest if source else None,
    }


def find_problem(file: File) -> str | None:
    """Return the reason why the file is not a valid custom source, or None if it is valid."""
    try:
        if not names.parse_name(source_name(file["path"])):
            return "Its name has no visible characters."
        names.parse_name(file["path"])
    except names.InvalidName as error:
        return f"Its path is not plain text. {error}"
    if "report" not in file:
        return str(file["problem"])
    errors = file["report"]["errors"]
    return f"Line {errors[0]['line']}: {errors[0]['message']}" if errors else None


def source_name(path: str) -> str:
    """Return the name of the custom source in this file: the file's name without `.py`."""
    return names.clean_name(path.rpartition("/")[2].removesuffix(".py"), max_length=120)


def checked_code_from_file(
    file: File, *, note: str, commit: str = "", author: str = ""
) -> CheckedCode:
    """Return the code of a valid file with its validation report."""
    return CheckedCode(
        file["text"],
        file["report"],
        note=names.clean_name(note, max_length=200),
        commit=commit,
        author=names.clean_name(author, max_length=200),
    )
