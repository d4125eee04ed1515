"""Divide the files that match a pattern into streams. The name of a file alone decides to which stream it belongs."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import PurePosixPath
from typing import Literal

from apps.engine.sources.files.locations import FoundFile
from apps.engine.sources.files.patterns import (
    COMPRESSIONS,
    FORMATS_BY_EXTENSION,
    fixed_folder,
    stream_name,
)

Grouping = Literal["pattern", "file", "folder", "name"]
# A number, or a date or version of several numbers, with what separates it from the words.
NUMBERS = re.compile(r"[-_. ]*\d+(?:[-_. :T]*\d+)*Z?")


def groups(files: Iterable[FoundFile], pattern: str, by: Grouping) -> dict[str, list[FoundFile]]:
    """Return the files of each stream, in the given order, by the name of the stream."""
    found: dict[str, list[FoundFile]] = {}
    for file in files:
        found.setdefault(name_of(file.path, pattern, by), []).append(file)
    return dict(sorted(found.items()))


def name_of(path: str, pattern: str, by: Grouping) -> str:
    """Return the name of the stream to which a file that matches the pattern belongs.

    Names do not contain the folder that the pattern names without wildcards. With `file`, the extension is left out;
    with `name`, also numbers and dates. With `folder`, the first folder counts, with everything below it.
    """
    if by == "pattern":
        return stream_name(pattern)
    inside = path.removeprefix(f"{fixed_folder(pattern)}/")
    if by == "folder":
        folder, slash, _ = inside.partition("/")
        return folder if slash else stream_name(pattern)
    folder, slash, name = _without_extensions(inside).rpartition("/")
    if by == "name":
        name = NUMBERS.sub("", name).strip("-_. ") or "files"
    return f"{folder}{slash}{name}"


def _without_extensions(path: str) -> str:
    """Return the path without the extensions of compressed files and of the formats."""
    name = PurePosixPath(path)
    while name.suffix.lower() in COMPRESSIONS and name.stem != name.name:
        name = name.with_suffix("")
    return str(name.with_suffix("") if name.suffix.lower() in FORMATS_BY_EXTENSION else name)
