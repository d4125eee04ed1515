"""File paths as users write them: relative paths, patterns and web addresses."""

from __future__ import annotations

import re
from pathlib import PurePosixPath
from typing import Literal

from apps.engine.file_patterns import WILDCARD, compile_pattern, is_address, is_pattern, matches

__all__ = [
    "check_path",
    "detect_format",
    "fixed_folder",
    "is_address",
    "is_pattern",
    "matches",
    "stream_name",
    "stream_of_file",
]

MAX_WILDCARDS = 10  # Each wildcard multiplies the time that a hostile pattern can take.
FORMATS_BY_EXTENSION = {
    ".csv": "csv",
    ".tsv": "csv",
    ".tab": "csv",
    ".txt": "csv",
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".json": "json",
    ".parquet": "parquet",
    ".pq": "parquet",
    ".xlsx": "excel",
    ".xlsm": "excel",
}
# What the files of one stream have in common.
Grouping = Literal["pattern", "file", "folder", "name"]
# A number, or a date or version of several numbers, with what separates it from the words. Without the first condition,
# a name of many dashes would be searched once from each of them.
NUMBERS = re.compile(r"(?<![-_. ])[-_. ]*\d+(?:[-_. :T]*\d+)*Z?")
COMPRESSIONS = (".gz", ".gzip", ".bz2", ".zst", ".zstd", ".zip")


def check_path(path: str) -> str:
    """Return the path if it is a safe relative path, a pattern or a web address. Raises ValueError."""
    if is_address(path):
        if not path.startswith("https://") and not path.startswith("http://"):
            raise ValueError("an address must start with https:// or http://")
        return path
    parts = path.split("/")
    if path.startswith(("/", "~")) or "\\" in path or any(ord(char) < 32 for char in path):
        raise ValueError("must be a relative path with forward slashes")
    if ".." in parts or "." in parts or "" in parts:
        raise ValueError("must not contain empty, `.` or `..` parts")
    if len(WILDCARD.findall(path)) > MAX_WILDCARDS:
        raise ValueError(f"has more than {MAX_WILDCARDS} wildcards")
    try:
        compile_pattern(path)
    except re.error as error:
        raise ValueError(
            "contains a range of characters whose end comes before its start"
        ) from error
    return path


def fixed_folder(pattern: str) -> str:
    """Return the deepest folder that the pattern names without wildcards, or an empty text if there is none."""
    parts = pattern.split("/")[:-1]
    fixed_parts: list[str] = []
    for part in parts:
        if WILDCARD.search(part):
            break
        fixed_parts.append(part)
    return "/".join(fixed_parts)


def detect_format(path: str) -> str | None:
    """Return the format for the extension of the file name. None if the extension is unknown."""
    return FORMATS_BY_EXTENSION.get(PurePosixPath(without_compression(path)).suffix)


def without_compression(path: str) -> str:
    """Return the path in lower case, without the extensions of compressed files and without a query."""
    name = PurePosixPath((path.partition("?")[0] if is_address(path) else path).lower())
    while name.suffix in COMPRESSIONS:
        name = name.with_suffix("")
    return str(name)


def stream_name(path: str) -> str:
    """Return the stream name for a path: the file's stem, or a pattern's folder."""
    bare_path = path.partition("?")[0].rstrip("/") if is_address(path) else path
    if is_pattern(path):
        folder = fixed_folder(path).rpartition("/")[2]
        return folder or "files"
    name = bare_path.rpartition("/")[2]
    return name.partition(".")[0] or name or "files"


def stream_of_file(path: str, pattern: str, by: Grouping) -> str:
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
