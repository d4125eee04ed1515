"""Read a request from a message of the user. docs/howto/agent.md has the grammar."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace

from apps.agent.guided import vocabulary
from apps.agent.guided.renaming import read_rename
from apps.agent.guided.requests import (
    ChangeSchedule,
    ChangeState,
    ConnectSystem,
    Consent,
    DeleteConnector,
    Explain,
    Help,
    ListObjects,
    MakePipelines,
    MakeSource,
    NotUnderstood,
    Request,
    ShowPipeline,
    Thanks,
    Undo,
)
from apps.agent.guided.sentences import Sentence, read
from apps.agent.guided.stream_reading import (
    read_added_streams,
    read_backfill,
    read_field_change,
    read_removed_streams,
    read_source_changes,
)
from apps.pipelines.schedules.english import ScheduleWords

_ADDRESS = re.compile(r"https?://[^\s<>\"']{1,1000}", re.IGNORECASE)
_BEFORE_SOURCE = ("from",)
_BEFORE_DESTINATION = ("to", "into", "in", "onto")
_BEFORE_EXCLUDED = ("except", "excluding", "without", "but")
_BEFORE_OPTIONS = ("as", "called", "named", "using", "with", "by", "incrementally", "incremental")


def read_request(text: str) -> Request:
    """Return the request of a message. Never raises."""
    sentence = read(text)
    for rule in _RULES:
        if (request := rule(text, sentence)) is not None:
            return request
    return NotUnderstood()


def _small_talk(text: str, sentence: Sentence) -> Request | None:
    words = " ".join(re.findall(r"[a-z]+", text[:40].lower()))
    if words in vocabulary.CONSENT:
        return Consent()
    return Thanks() if words in vocabulary.THANKS else None


def _undo(text: str, sentence: Sentence) -> Request | None:
    """Read "undo the last change" and "change it back"."""
    words = sentence.words
    if words[:1] and (words[0] in vocabulary.UNDO or words[:2] in vocabulary.UNDO_PHRASES):
        return Undo()
    is_back = sentence.first in vocabulary.UNDO_VERBS and words[-1:] == ("back",)
    return Undo() if is_back and vocabulary.PRONOUNS.issuperset(words[1:-1]) else None


def _help(text: str, sentence: Sentence) -> Request | None:
    words = " ".join(sentence.words)
    is_greeting = len(sentence.tokens) <= 2 and sentence.has(vocabulary.HELP)
    if not sentence.tokens or is_greeting or words.startswith("help"):
        return Help()
    lowered = " ".join(text[:300].lower().split())
    return Help() if any(phrase in lowered for phrase in vocabulary.HELP_PHRASES) else None


def _make_source(text: str, sentence: Sentence) -> Request | None:
    address = _ADDRESS.search(text)
    names_document = sentence.has(vocabulary.API_DOCUMENTS) or (
        sentence.has(("document", "documentation")) and sentence.has(("source",))
    )
    asks_for_source = bool(address) and sentence.has(
        ("source", "connector", "api", "documentation")
    )
    if not names_document and not asks_for_source:
        return None
    return MakeSource(address[0].rstrip(".,;)") if address else "")


def _explain(text: str, sentence: Sentence) -> Request | None:
    position = sentence.position(*vocabulary.EXPLAIN)
    if position is None or (position > 4 and sentence.words[position] != "why"):
        return None
    start = position + 1
    words = sentence.words
    if words[position] in ("wrong", "happened") and sentence.first not in ("what", "what's"):
        return None
    end = len(words)
    while end > start and words[end - 1] and _is_symptom(words[end - 1]):
        end -= 1
    name = sentence.name(start, end) or _name_before_symptom(sentence, position)
    return Explain(name, wants_change=words[position] in vocabulary.FIX)


def _complain(text: str, sentence: Sentence) -> Request | None:
    """Read "weather failed" and "flights is late"."""
    words = [word for word in sentence.words if word.isalnum()]
    if not words or words[-1] not in vocabulary.COMPLAINTS or sentence.schedule is not None:
        return None
    name = _name_before_symptom(sentence, len(sentence.tokens))
    return Explain(name) if name else None


def _name_before_symptom(sentence: Sentence, end: int) -> str:
    while end > 0 and sentence.words[end - 1] and _is_symptom(sentence.words[end - 1]):
        end -= 1
    return sentence.name(0, end)


def _is_symptom(word: str) -> bool:
    return word in vocabulary.SYMPTOMS or not word.isalnum()


def _list(text: str, sentence: Sentence) -> Request | None:
    noun = next((word for word in sentence.words if word in vocabulary.NOUNS), "")
    status = next(
        (vocabulary.RUN_STATES[w] for w in sentence.words if w in vocabulary.RUN_STATES), ""
    )
    is_question = sentence.first in vocabulary.LIST
    if not noun:
        only_state = is_question and status and len(sentence.tokens) <= 5
        return ListObjects("runs", status=status) if only_state else None
    is_singular = noun == "pipeline"
    if is_singular and not (status and is_question) and sentence.first not in ("which", "list"):
        return None
    if not is_question and len(sentence.tokens) > 2:
        return None
    position = sentence.position(noun) or 0
    return ListObjects(vocabulary.NOUNS[noun], _owner(sentence, position), status)


def _owner(sentence: Sentence, noun: int) -> str:
    """Return the name after "of", "from", "in", "for" or "does" in a request for a list."""
    position = sentence.position("of", "from", "in", "for", "does", start=noun + 1)
    if position is None:
        return ""
    end = sentence.position("have", "has", "offer", "contain", "there", start=position)
    return sentence.name(position + 1, end)


def _schedule(text: str, sentence: Sentence) -> Request | None:
    schedule = sentence.schedule
    mentions_schedule = sentence.has(("schedule", "unschedule"))
    if schedule is None or sentence.position("from") is not None:
        return None
    if sentence.first not in vocabulary.CHANGE | vocabulary.UNSCHEDULE and not mentions_schedule:
        return None
    end = sentence.position("to", "run", "runs", "start", "on", start=1)
    if end is not None and not mentions_schedule and sentence.name(end + 1):
        return None  # "move orders to Warehouse every hour" makes a pipeline
    return ChangeSchedule(
        sentence.name(1, end if end and sentence.name(1, end) else None), schedule
    )


def _schedule_of_name(text: str, sentence: Sentence) -> Request | None:
    """Read "flights should run every 2 hours" and "flights every 2 hours"."""
    marks = (*_BEFORE_SOURCE, *_BEFORE_DESTINATION)
    if sentence.schedule is None or sentence.position(*marks) is not None:
        return None
    end = sentence.position("should", "must", "has", "needs", "run", "runs")
    name = sentence.name(0, end)
    return ChangeSchedule(name, sentence.schedule) if name else None


def _unschedule(text: str, sentence: Sentence) -> Request | None:
    if sentence.first not in vocabulary.UNSCHEDULE or sentence.schedule is not None:
        return None
    if sentence.first != "unschedule" and sentence.position("schedule", "scheduling") is None:
        return None
    start = 2 if sentence.words[1:2] == ("scheduling",) else 1
    return ChangeSchedule(sentence.name(start), ScheduleWords(0, 0))


def _connect(text: str, sentence: Sentence) -> Request | None:
    start = 2 if sentence.words[:2] == ("connect", "to") else 0
    marks = sentence.position("from", "to", "into", start=start)
    if sentence.first not in vocabulary.MAKE or marks is not None:
        return None
    kind = next((vocabulary.KINDS[w] for w in sentence.words if w in vocabulary.KINDS), "")
    nouns = ("connector", "connection", "source", "destination")
    if sentence.first != "connect" and not sentence.has(nouns):
        return None
    role = "destination" if sentence.has(("destination",)) else "source"
    start = start or 1
    names_kind = sentence.name(start).lower() in vocabulary.KINDS
    named = sentence.first == "connect" and not names_kind
    return ConnectSystem(kind, role, sentence.part(start) if named else "")


def _delete_connector(text: str, sentence: Sentence) -> Request | None:
    """Read "delete the connector Shop" and "delete the source Shop"."""
    start = 3 if sentence.words[:3] == ("get", "rid", "of") else 1
    if sentence.first not in vocabulary.DELETE and start == 1:
        return None
    words = (word for word in sentence.words[start:] if word not in ("the", "my", "our", "a"))
    first = next(words, "")
    role = first if first in ("source", "destination") else ""
    if not role and not sentence.has(("connector", "connection")):
        return None
    return DeleteConnector(sentence.name(start), role)


def _change_state(text: str, sentence: Sentence) -> Request | None:
    words = sentence.words
    for phrase, action in vocabulary.ACTIONS.items():
        if words[: len(phrase)] == phrase:
            return ChangeState(action, _name_after_state(sentence, len(phrase)))
    if words[:1] == ("try",) and words[-1:] == ("again",):
        return ChangeState("retry", sentence.name(1, -1))
    if words[:1] in (("turn",), ("switch",), ("run",)) and words[-1:] in (("on",), ("off",)):
        return ChangeState("enable" if words[-1] == "on" else "disable", sentence.name(1, -1))
    return None


def _name_after_state(sentence: Sentence, start: int) -> str:
    """Return the name without words before it such as "the last failed run of"."""
    skipped = vocabulary.FILLERS | vocabulary.RUN_STATES.keys()
    end = len(sentence.tokens)
    while start < end - 1 and sentence.words[start] and sentence.words[start] in skipped:
        start += 1
    return sentence.name(start)


def _make(text: str, sentence: Sentence) -> Request | None:
    has_both = (
        sentence.position("from") is not None
        and sentence.position(*_BEFORE_DESTINATION) is not None
    )
    is_fetch = sentence.first in vocabulary.FETCH and sentence.position("into", "to") is not None
    is_copy = sentence.first in vocabulary.COPY or is_fetch
    if not has_both and not is_copy and not _builds_pipeline(sentence):
        return None
    return _read_make(sentence)


def _builds_pipeline(sentence: Sentence) -> bool:
    return sentence.first in vocabulary.BUILD and sentence.has(("pipeline", "pipelines"))


def _read_make(sentence: Sentence) -> MakePipelines:
    """Read "VERB STREAMS from SOURCE to DESTINATION as TABLE", in which the parts may be in another order."""
    parts = _split_at_prepositions(sentence)
    options = _read_options(sentence)
    streams = parts.get("streams", (0, 0))
    names, patterns = sentence.names(*streams)
    all_streams = _is_whole(sentence, *streams, has_source="source" in parts)
    left_out = parts.get("excluded", (0, 0))
    excluded = [name for found in sentence.names(*left_out) for name in found]
    source = sentence.name(*parts["source"]) if "source" in parts else ""
    if all_streams and not source:
        source = _owner_of_all(sentence, *streams)
    destination = sentence.name(*parts["destination"]) if "destination" in parts else ""
    return replace(
        options,
        streams=() if all_streams else tuple(map(_without_whole, names)),
        patterns=tuple(each for each in patterns if not each.startswith("!")),
        excluded=(*excluded, *(each[1:] for each in patterns if each.startswith("!"))),
        all_streams=all_streams,
        separate=sentence.has(vocabulary.SEPARATE),
        source=source,
        destination=destination,
        schedule=sentence.schedule,
    )


def _is_whole(sentence: Sentence, start: int, end: int, *, has_source: bool) -> bool:
    """Whether all streams are meant: "all tables" and "the whole database", but not "the whole table orders"."""
    words = sentence.words[start:end]
    if not vocabulary.ALL.isdisjoint(words):
        return True
    if vocabulary.WHOLE.isdisjoint(words) or not vocabulary.ONE_STREAM.isdisjoint(words):
        return False
    rest = _without_whole(sentence.name(start, end))
    return not has_source or not rest


def _without_whole(name: str) -> str:
    """Return the name of a stream without "whole" before it, and an empty text for "whole database"."""
    words = name.split()
    if words and words[0].lower() in vocabulary.WHOLE:
        words = [word for word in words[1:] if word.lower() not in vocabulary.SOURCE_WORDS]
    return " ".join(words)


def _owner_of_all(sentence: Sentence, start: int, end: int) -> str:
    """Return the source in "all tables of SOURCE" and "the whole SOURCE"."""
    position = sentence.position("of", start=start)
    if position is None or position >= end:
        position = sentence.position(*vocabulary.WHOLE, start=start)
    return sentence.name(position + 1, end) if position is not None and position < end else ""


def _split_at_prepositions(sentence: Sentence) -> dict[str, tuple[int, int]]:
    """Return the positions of the streams, the source and the destination."""
    marks: list[tuple[int, str]] = []
    is_separate = sentence.has(vocabulary.SEPARATE)
    is_pipeline = sentence.has(("pipeline", "pipelines")) and not is_separate
    after_verb = 1 if sentence.first in vocabulary.MAKE | vocabulary.FETCH else 0
    if sentence.words[after_verb : after_verb + 1] == ("up",):
        after_verb += 1
    after_verb = _after_copy_noun(sentence, after_verb)
    marks.append((after_verb - 1, "" if is_pipeline else "streams"))
    for position, word in enumerate(sentence.words):
        if word in _BEFORE_SOURCE:
            marks.append((position, "source"))
        elif word in _BEFORE_DESTINATION and position >= after_verb:
            is_separation = (
                sentence.words[position + 1 : position + 2] in vocabulary.BEFORE_PIPELINES
            )
            marks.append((position, "" if is_separation else "destination"))
        elif word in _BEFORE_EXCLUDED:
            marks.append((position, "excluded"))
        elif word in _BEFORE_OPTIONS:
            marks.append((position, ""))
        elif word in ("for", "that", "which") and is_pipeline and position >= after_verb:
            marks.append((position, "streams"))
    ends = [position for position, _ in marks[1:]] + [len(sentence.tokens)]
    parts: dict[str, tuple[int, int]] = {}
    for (position, label), end in zip(marks, ends, strict=True):
        if label and label not in parts:
            parts[label] = (position + 1, end)
    return parts


def _after_copy_noun(sentence: Sentence, start: int) -> int:
    """Return the position after words such as "a sync of", or `start` if there are none."""
    of = sentence.position("of", start=start)
    nouns = sentence.words[start:of] if of is not None else ()
    is_noun = bool(nouns) and nouns[-1] in vocabulary.COPY_NOUNS
    is_short = all(word in vocabulary.FILLERS for word in nouns[:-1])
    return of + 1 if of is not None and is_noun and is_short else start


def _read_options(sentence: Sentence) -> MakePipelines:
    """Read the modes, the table ("as X") and the name ("called X")."""
    words = sentence.words
    write_mode = next((vocabulary.WRITE_MODES[w] for w in words if w in vocabulary.WRITE_MODES), "")
    sync_mode = next((vocabulary.SYNC_MODES[w] for w in words if w in vocabulary.SYNC_MODES), "")
    table, name = sentence.position("as"), sentence.position("called", "named")
    return MakePipelines(
        sync_mode=sync_mode,
        write_mode=write_mode,
        table=_until_preposition(sentence, table),
        name=_until_preposition(sentence, name),
    )


def _until_preposition(sentence: Sentence, position: int | None) -> str:
    if position is None:
        return ""
    marks = (*_BEFORE_SOURCE, *_BEFORE_DESTINATION, *_BEFORE_EXCLUDED, *_BEFORE_OPTIONS, "for", ",")
    return sentence.name(position + 1, sentence.position(*marks, start=position + 1))


def _show(text: str, sentence: Sentence) -> Request | None:
    if sentence.first == "is":
        return _asked_state(sentence)
    if sentence.first not in vocabulary.SHOW and sentence.first != "pipeline":
        return None
    end = len(sentence.tokens)
    while end > 1 and sentence.words[end - 1] in vocabulary.AFTER_SHOWN_NAME:
        end -= 1
    start = 1
    while start < end and sentence.words[start] in (
        "me",
        "is",
        "does",
        "next",
        "status",
        "of",
        "the",
    ):
        start += 1
    return ShowPipeline(sentence.name(start, end))


def _asked_state(sentence: Sentence) -> Request | None:
    """Read "is flights enabled?"."""
    words = [word for word in sentence.words if word.isalnum()]
    if words[-1] not in vocabulary.ASKED_STATES:
        return None
    return ShowPipeline(sentence.name(1, sentence.position(words[-1], start=1)))


_RULES: tuple[Callable[[str, Sentence], Request | None], ...] = (
    _small_talk,
    _undo,
    read_rename,
    _help,
    _make_source,
    read_source_changes,
    read_field_change,
    read_backfill,
    _explain,
    _list,
    _unschedule,
    _schedule,
    read_added_streams,
    read_removed_streams,
    _connect,
    _delete_connector,
    _change_state,
    _make,
    _show,
    _complain,
    _schedule_of_name,
)
