"""Patterns that choose streams by their names: validate them, and match them with the streams of a source.

`*` stands for any characters, also dots, and `?` for one. A pattern that begins with `!` excludes. A stream is chosen if
one of the patterns includes its full name and none excludes it; the order does not matter.
"""

from __future__ import annotations

import fnmatch
import re
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any, cast, get_args

from apps.connectors import schemas
from apps.connectors.schemas import Error, join_path
from apps.json import JsonObject
from apps.pipelines.definition.document import (
    NewStreams,
    Offer,
    PatternsDocument,
    RequestDocument,
    StreamDocument,
    TransformDocument,
)
from apps.pipelines.definition.fields import rules_of
from apps.pipelines.definition.names import full_name
from apps.pipelines.definition.streams import StreamBuilder, build_transforms

PATTERNS = "patterns"  # the path of the patterns
NEW_STREAMS: tuple[str, ...] = get_args(NewStreams)
MAX_PATTERNS = 100
MAX_PATTERN_LENGTH = 200  # characters
FIELDS = tuple(PatternsDocument.__annotations__)


def matches(patterns: Sequence[str], kind: str, stream: str) -> bool:
    """Return whether the patterns choose the stream of a source of this kind."""
    name = full_name(kind, stream)
    excluding = [pattern[1:] for pattern in patterns if pattern.startswith("!")]
    including = [pattern for pattern in patterns if not pattern.startswith("!")]
    return _is_any(including, name) and not _is_any(excluding, name)


def _is_any(patterns: Sequence[str], name: str) -> bool:
    return any(_compile(pattern).fullmatch(name) for pattern in patterns)


@lru_cache(maxsize=1024)
def _compile(pattern: str) -> re.Pattern[str]:
    # Brackets have no special meaning. The expressions of fnmatch do not backtrack from one star to another.
    return re.compile(fnmatch.translate(pattern.replace("[", "[[]")))


class PatternsBuilder:
    """Validates the patterns of a document and converts them to their stored form. With `patch`, missing fields keep
    the values of `previous`."""

    def __init__(self, previous: PatternsDocument | None, *, patch: bool) -> None:
        self._previous = previous
        self._patch = patch
        self.errors: list[Error] = []

    def add_error(self, name: str, message: str, code: str) -> None:
        self.errors.append((join_path(PATTERNS, name), message, code))

    def build(self, request: Any) -> dict[str, Any] | None:
        """Return the stored patterns, or None if they are invalid."""
        if not isinstance(request, Mapping):
            self.add_error("", "Must be an object with the patterns in match.", "type")
            return None
        self.errors += schemas.unknown_fields(request, FIELDS, PATTERNS)
        values = {**self._previous, **request} if self._previous and self._patch else request
        # The defaults are validated like the settings of a stream.
        defaults = StreamBuilder(PATTERNS, (), None, patch=False)
        modes = defaults.build_modes(values)
        stored = {
            "match": self._parse_match(values.get("match")),
            **modes,
            **defaults.build_limits(values),
            **defaults.build_contract(values),
            **defaults.build_fields(values, (), modes["cursor_field"]),
            **self._build_transforms(values),
        }
        self.errors += defaults.errors
        return stored

    def _build_transforms(self, values: RequestDocument) -> dict[str, list[TransformDocument]]:
        transforms, errors = build_transforms(
            values.get("transforms"), join_path(PATTERNS, "transforms")
        )
        self.errors += errors
        return {"transforms": transforms} if transforms else {}

    def _parse_match(self, patterns: Any) -> list[str]:
        is_list = isinstance(patterns, list) and all(isinstance(each, str) for each in patterns)
        if not is_list or len(patterns) > MAX_PATTERNS:
            self.add_error("match", f"Must be a list of at most {MAX_PATTERNS} patterns.", "type")
            return []
        for number, pattern in enumerate(patterns):
            if not pattern.removeprefix("!").strip() or len(pattern) > MAX_PATTERN_LENGTH:
                message = f"Must be a pattern of at most {MAX_PATTERN_LENGTH} characters, such as public.* or !*_tmp."
                self.add_error(f"match.{number}", message, "invalid")
        if all(pattern.startswith("!") for pattern in patterns):
            message = "Needs a pattern that includes streams, such as public.*, or * for all."
            self.add_error("match", message, "required")
        return list(dict.fromkeys(pattern.strip() for pattern in patterns))


def matched_stream(
    patterns: PatternsDocument, name: str, table: str, offer: Offer
) -> StreamDocument:
    """Return the stored form of a stream that the patterns have chosen, with their defaults as far as they fit.

    `offer` has the primary key, the cursor fields and the sync modes that the source reports. A stream that cannot be
    read incrementally, or that has no primary key to merge by, is read completely and replaced. A key does not count if
    the rules for fields drop or redact a part of it. The write mode remains None if it depends on the destination.
    """
    wanted = patterns["write_mode"]
    primary_key = _key_that_arrives(patterns, offer)
    is_incremental = _can_be_incremental(patterns, offer) and (wanted != "merge" or primary_key)
    if not is_incremental and "full_refresh" not in offer["sync_modes"]:
        is_incremental = True
    fits = is_incremental == (patterns["sync_mode"] == "incremental")
    stream: dict[str, Any] = {
        "stream": name,
        "table": table,
        "sync_mode": "incremental" if is_incremental else "full_refresh",
        "cursor_field": patterns["cursor_field"] if is_incremental else None,
        "primary_key": primary_key,
        "write_mode": wanted if fits and (wanted != "merge" or primary_key) else None,
        "transforms": patterns.get("transforms", []),
        **{name: patterns[name] for name in OPTIONAL_SETTINGS if name in patterns},  # type: ignore[literal-required]
    }
    return stream  # type: ignore[return-value]


OPTIONAL_SETTINGS = ("allow_empty", "max_rejected_share", "contract", "fields")
# The same for all streams of the patterns, and possibly long.
SHARED_SETTINGS = ("fields", "transforms")


def without_shared_settings(stream: StreamDocument) -> JsonObject:
    """Return the settings of a matched stream that differ from those of other streams."""
    settings = cast(JsonObject, stream)
    return {name: value for name, value in settings.items() if name not in SHARED_SETTINGS}


def with_shared_settings(patterns: PatternsDocument | None, settings: JsonObject) -> StreamDocument:
    """Return the stream of which `without_shared_settings` has returned the settings."""
    defaults: Mapping[str, Any] = patterns or {}
    shared = {name: defaults[name] for name in SHARED_SETTINGS if name in defaults}
    stream: Any = {"transforms": [], **settings, **shared}
    return cast(StreamDocument, stream)


def _key_that_arrives(patterns: PatternsDocument, offer: Offer) -> list[str]:
    rules = rules_of(patterns)
    redacted = {rule.field for rule in rules.rules if rule.protect == "redact"}
    arrives = all(
        rules.may_arrive(rules.final_name(name)) and name not in rules.dropped | redacted
        for name in offer["primary_key"]
    )
    return list(offer["primary_key"]) if arrives else []


def _can_be_incremental(patterns: PatternsDocument, offer: Offer) -> bool:
    if patterns["sync_mode"] != "incremental" or "incremental" not in offer["sync_modes"]:
        return False
    cursor, offered = patterns["cursor_field"], offer["cursor_fields"]
    return cursor is None or not offered or cursor in offered


def new_streams_error(value: Any, *, has_patterns: bool) -> Error | None:
    if value is None:
        return None
    if value not in NEW_STREAMS:
        return ("new_streams", f"Must be one of {', '.join(NEW_STREAMS)}.", "choice")
    if not has_patterns:
        message = "Only patterns find new streams: set patterns, or leave this field out."
        return ("new_streams", message, "unsupported")
    return None


def describe(request: RequestDocument) -> str:
    """Return the patterns of a stored document in one line."""
    patterns = request.get(PATTERNS)
    return ", ".join(patterns["match"]) if isinstance(patterns, Mapping) else ""
