"""Read the requests that are about the streams of a pipeline."""

from __future__ import annotations

import re

from apps.agent.guided import vocabulary
from apps.agent.guided.requests import (
    AddStreams,
    Backfill,
    ChangeField,
    RemoveStreams,
    SourceChanges,
)
from apps.agent.guided.sentences import Sentence

_VALUE = (
    r"(\d{4}-\d\d-\d\d(?:[T ]\d\d:\d\d(?::\d\d)?(?:Z|[+-]\d\d(?::?\d\d)?)?)?|\d{1,18})(?![\w-])"
)
_START = re.compile(rf"\b(?:from|since|after)\s+{_VALUE}", re.IGNORECASE)
_END = re.compile(rf"\b(?:to|until|till|before)\s+{_VALUE}", re.IGNORECASE)
_BEFORE_OWNER = ("of", "in", "from", "for")


def read_added_streams(text: str, sentence: Sentence) -> AddStreams | None:
    """Read "add airlines to flights" and "include log_* in Shop"."""
    to = sentence.position("to", "in", "into")
    is_about_streams = sentence.first in ("add", "include") and to is not None
    if to is None or not is_about_streams or sentence.position("from") is not None:
        return None
    if sentence.has(("called", "named")) or sentence.words[1:3] in (
        ("a", "pipeline"),
        ("pipeline",),
    ):
        return None
    streams, patterns = sentence.names(1, to)
    if not streams and not patterns:
        return None
    return AddStreams(streams, sentence.name(to + 1), patterns)


def read_removed_streams(text: str, sentence: Sentence) -> RemoveStreams | None:
    """Read "stop copying customers", "remove orders from Shop" and "exclude logs from Shop"."""
    stops = sentence.first in vocabulary.STOP and sentence.words[1:2] in vocabulary.COPYING
    of = sentence.position("from", "in", "of", "with", start=2)
    if not stops and (sentence.first not in vocabulary.REMOVE or of is None):
        return None
    streams, patterns = sentence.names(2 if stops else 1, of or len(sentence.tokens))
    if not streams and not patterns:
        return None
    return RemoveStreams(streams, sentence.name(of + 1) if of else "", patterns)


def read_field_change(text: str, sentence: Sentence) -> ChangeField | None:
    """Read "hash the email column of customers in Shop" and "drop the column note of orders"."""
    treatment = vocabulary.TREATMENTS.get(sentence.first)
    names_field = sentence.has(vocabulary.FIELD_WORDS)
    if treatment is None or (sentence.first in vocabulary.DELETE and not names_field):
        return None
    marks = [n for n, word in enumerate(sentence.words) if word in _BEFORE_OWNER and n > 1]
    ends = [*marks, len(sentence.tokens)]
    fields, _ = sentence.names(1, ends[0])
    owners = [sentence.name(start + 1, end) for start, end in zip(marks, ends[1:], strict=True)]
    cleaned = tuple(filter(None, map(_without_field_words, fields)))
    if not cleaned:
        return None
    stream = owners[0] if len(owners) > 1 else ""
    return ChangeField(treatment, cleaned, stream, owners[-1] if owners else "")


def _without_field_words(name: str) -> str:
    words = [word for word in name.split() if word.lower() not in vocabulary.FIELD_WORDS]
    return " ".join(words)


def read_backfill(text: str, sentence: Sentence) -> Backfill | None:
    """Read "backfill orders in Shop from 2026-01-01 to 2026-02-01"."""
    if sentence.first not in ("backfill", "reload"):
        return None
    start, end = _START.search(text), _END.search(text)
    stop = sentence.position("from", "since", "after", "to", "until", "till", "before")
    of = sentence.position("in", "of", start=1)
    if of is not None and (stop is None or of < stop):
        stream, pipeline = sentence.name(1, of), sentence.name(of + 1, stop)
    else:
        stream, pipeline = "", sentence.name(1, stop)
    return Backfill(stream, pipeline, start[1] if start else "", end[1] if end else "")


def read_source_changes(text: str, sentence: Sentence) -> SourceChanges | None:
    """Read "what has changed at the source of Shop?" and "accept the changes of Shop"."""
    decision = vocabulary.DECISIONS.get(sentence.first, "")
    is_question = sentence.first in vocabulary.LIST and sentence.has(("source", "changes"))
    if not sentence.has(("changes", "change", "changed")) or not (decision or is_question):
        return None
    of = sentence.position("of", "in", "for", start=1)
    return SourceChanges(sentence.name(of + 1) if of is not None else "", decision)
