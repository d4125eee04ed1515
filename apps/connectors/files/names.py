"""The names of uploaded files. A name is one line of visible text (`apps.auth.names`) without folders."""

from __future__ import annotations

from typing import Any

from rest_framework import serializers

from apps.orgs.http.texts import NameField

MAX_LENGTH = 200  # characters
MAX_BYTES = 240  # in UTF-8; file systems accept 255
# Separators of folders, and the wildcards of patterns: a connector could not name such a file.
REFUSED_CHARACTERS = "/\\*?[]"


class FileNameField(NameField):
    """The name of an uploaded file, normalized (NFC)."""

    def __init__(self, **options: Any) -> None:
        super().__init__(max_length=MAX_LENGTH, **options)

    def to_internal_value(self, data: Any) -> str:
        name = super().to_internal_value(data)
        if (problem := _problem_of(name)) is not None:
            raise serializers.ValidationError(problem, code="file_name")
        return name


def _problem_of(name: str) -> str | None:
    """Return why a file cannot have this name, or None."""
    if found := [char for char in REFUSED_CHARACTERS if char in name]:
        return f"A file name must not contain {' '.join(found)}: folders and patterns are written with it."
    if name.startswith((".", "~")):
        return f"A file name must not start with {name[0]}: such files are hidden or have a special meaning."
    if len(name.encode()) > MAX_BYTES:
        return f"A file name may have at most {MAX_BYTES} bytes."
    return None
