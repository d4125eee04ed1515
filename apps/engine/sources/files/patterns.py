"""Validate file paths as users write them: safe relative paths, patterns, web addresses."""

from __future__ import annotations

import re
from functools import lru_cache
from pathlib import PurePosixPath

MAX_WILDCARDS = 10  # Each wildcard multiplies the time that a hostile pattern can take.
WILDCARD = re.compile(r"[*?\[]")
FORMATS = {
    ".csv": "csv",
    ".tsv": "csv",
    ".txt": "csv",
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".parquet": "parquet",
    ".pq": "parquet",
}


def is_address(path: str) -> bool:
    return "://" in path


def is_pattern(path: str) -> bool:
    return not is_address(path) and WILDCARD.search(path) is not None


def check_path(path: str) -> str:
    """Return the path if it is inside the area or an https address. Raises ValueError."""
    if is_address(path):
        if not path.startswith("https://") and not path.startswith("http://"):
            raise ValueError("an address must start with https://")
        return path
    parts = path.split("/")
    if path.startswith(("/", "~")) or "\\" in path or any(ord(char) < 32 for char in path):
        raise ValueError("must be a relative path with forward slashes")
    if ".." in parts or "." in parts or "" in parts:
        raise ValueError("must not contain empty, `.` or `..` parts")
    if len(WILDCARD.findall(path)) > MAX_WILDCARDS:
        raise ValueError(f"has more than {MAX_WILDCARDS} wildcards")
    try:
        _compiled(path)
    except re.error as error:
        raise ValueError("holds a range of characters that ends before it begins") from error
    return path


def fixed_folder(pattern: str) -> str:
    """Return the deepest folder that the pattern names without wildcards; empty for the area itself."""
    parts = pattern.split("/")[:-1]
    fixed: list[str] = []
    for part in parts:
        if WILDCARD.search(part):
            break
        fixed.append(part)
    return "/".join(fixed)


def matches(pattern: str, path: str) -> bool:
    """Whether the path matches: `*` and `?` stay within a folder, `**` crosses folders, `[ab]` is one of."""
    return _compiled(pattern).fullmatch(path) is not None


def format_of(path: str) -> str | None:
    """Return the format by the name's extension, ignoring `.gz`; None if it is unknown."""
    name = PurePosixPath(path.partition("?")[0].lower())
    suffix = PurePosixPath(name.stem).suffix if name.suffix == ".gz" else name.suffix
    return FORMATS.get(suffix)


def stream_name(path: str) -> str:
    """Return the stream name for a path: the file's stem, or a pattern's folder."""
    bare = path.partition("?")[0].rstrip("/") if is_address(path) else path
    if is_pattern(path):
        folder = fixed_folder(path).rpartition("/")[2]
        return folder or "files"
    name = bare.rpartition("/")[2]
    return name.partition(".")[0] or name or "files"


@lru_cache(maxsize=64)
def _compiled(pattern: str) -> re.Pattern[str]:
    written = ""
    rest = pattern
    while rest:
        token, rest = _token(rest)
        written += token
    return re.compile(written)


def _token(rest: str) -> tuple[str, str]:
    if rest.startswith("**/"):
        return "(?:[^/]+/)*", rest[3:]
    if rest.startswith("**"):
        return ".*", rest[2:]
    if rest[0] == "*":
        return "[^/]*", rest[1:]
    if rest[0] == "?":
        return "[^/]", rest[1:]
    closing = rest.find("]", 2)
    if rest[0] == "[" and closing > 0:
        chosen = rest[1:closing]
        negated = "^/" if chosen.startswith(("!", "^")) else ""
        return f"[{negated}{re.escape(chosen.lstrip('!^'))}]".replace(r"\-", "-"), rest[
            closing + 1 :
        ]
    return re.escape(rest[0]), rest[1:]
