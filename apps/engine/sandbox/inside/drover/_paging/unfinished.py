"""What says that the result of a response is not there yet, or that records are missing in it.

APIs that compute a result answer with a state until it is ready, and with status 200.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from drover._paging.forms import MESSAGE, Form, plain_name, walk_fields
from drover._paging.values import is_number, only_letters

# Names and words in lower case and without other characters than letters.
_THINGS = (
    r"(job|query|report|export|execution|request|search|results?|data|async|all(data|results)?)*"
)
STATE = re.compile(r"(status|state|phase)$")
PENDING = re.compile(
    rf"(state|status|{_THINGS})*(not(ready|started|finished)|pending|running|queued|enqueued|inqueue|waiting|processing|inprogress|executing|started|starting"
    r"|submitted|accepted|creating|generating|preparing|initializing|scheduled|gathering\w*|building|computing|calculating|working"
    r"|loading|polling)"
)
FINISHED_FLAG = re.compile(
    rf"(is|has|are)?{_THINGS}(is)?(complete|completed|ready|finished|available|returned)"
)
RUNNING_FLAG = re.compile(
    rf"(is)?{_THINGS}(is)?(pending|running|queued|processing|inprogress|loading)"
)
RETRY = re.compile(r"retryafter(s|ms|seconds|milliseconds)?")
NOT_YET = re.compile(
    r"try again|not (yet )?(ready|available|finished|complete)|in progress|(being|still) (generat|prepar|process|creat|comput|runn)"
)
# Objects that repeat what was requested.
REQUESTS = frozenset(
    {
        *("filter", "filters", "query", "params", "parameters", "request", "criteria", "search"),
        *("args", "arguments", "where", "input"),
    }
)
# Fields that are true if the records of a response are not all that were asked for.
INCOMPLETE = frozenset(
    {
        *("timedout", "incomplete", "incompleteresults", "incompletesearch", "incompletedata"),
        *("partial", "ispartial", "partialresult", "partialresults", "partialdata"),
        *("partialresponse", "partialfailure", "partialfailureerror", "partialerror"),
        *("terminatedearly", "isincomplete"),
    }
)
# Fields that are false then.
COMPLETE = frozenset({"alldatareturned", "allresultsreturned", "jobcomplete", "resultcomplete"})
# Lists and objects of what was left out.
LEFT_OUT = frozenset({"unreachable", "unprocessedkeys", "unprocesseditems", "unprocessedids"})
LEFT_OUT_COUNTS = re.compile(r"_shards\.failed|_clusters\.(failed|partial|skipped)")
RESULT_STATES = frozenset({"status", "state", "completeness", "resultstatus", "responsestatus"})
INCOMPLETE_STATE = re.compile(
    r"partial(success|data|content|results?|response|ly\w*)?|incomplete|timeout|timedout|truncated"
)
ABOUT_RESULT = re.compile(r"(meta|metadata|response|result|results|header|info|status)$")
CUT = re.compile(r"partial|incomplete|truncat|timed[ -]?out|time-?out|omitted|not all")


def find_unfinished(
    document: Any, records: Any, *, known: Form, has_list: bool, is_child: bool
) -> str:
    """Return what says that the records come later, or an empty text. The response has no records.

    A state that all responses had is that of something else, and so is that of a resource that has an empty list of
    its own.
    """
    for place, value in walk_fields(document, records):
        if set(re.sub(r"[^a-z.]", "", place.lower()).split(".")[:-1]) & REQUESTS:
            continue
        if (is_child and has_list) or known.has_value(place, value):
            continue
        if _says_later(plain_name(place), value):
            return f"`{place}` is {str(value)[:80]}"
    return ""


def find_incomplete(document: Mapping[str, Any], records: Any) -> str:
    """Return what says that records are missing, or an empty text. Elasticsearch counts the shards that failed."""
    for place, value in walk_fields(document, records):
        name = plain_name(place)
        if name in INCOMPLETE and _is_set(value):
            return f"`{place}` is {str(value).lower()[:80]}"
        if name in COMPLETE and str(value).lower() == "false":
            return f"`{place}` is false"
        if name in LEFT_OUT and value and isinstance(value, list | dict):
            return f"`{place}` is not empty"
        if LEFT_OUT_COUNTS.fullmatch(place) and is_number(value) and value > 0:
            return f"`{place}` is {value}"
        if name in ("warning", "warnings") and any(CUT.search(text) for text in _texts(value)):
            return f"`{place}` says so"
    return _incomplete_state(document, records)


def _incomplete_state(document: Mapping[str, Any], records: Any) -> str:
    """Return a state of the result, not that of a resource to which the list belongs."""
    if "id" in document:
        return ""
    for place, value in walk_fields(document, records, depth=2):
        parent, _, _ = place.rpartition(".")
        is_of_result = not parent or ABOUT_RESULT.search(parent.lower()) is not None
        is_state = plain_name(place) in RESULT_STATES and isinstance(value, str)
        if is_of_result and is_state and INCOMPLETE_STATE.fullmatch(only_letters(value)):
            return f"`{place}` is {value[:80]}"
    return ""


def _says_later(name: str, value: Any) -> bool:
    if isinstance(value, str) and STATE.search(name):
        return PENDING.fullmatch(only_letters(value)) is not None
    if FINISHED_FLAG.fullmatch(name):
        return str(value).lower() == "false"
    if RUNNING_FLAG.fullmatch(name):
        return str(value).lower() == "true"
    if RETRY.fullmatch(name):
        return is_number(value) and bool(value > 0)
    is_message = isinstance(value, str) and MESSAGE.search(name) is not None
    return is_message and NOT_YET.search(value.lower()) is not None


def _is_set(value: Any) -> bool:
    return str(value).lower() == "true" or (isinstance(value, Mapping) and bool(value))


def _texts(value: Any) -> Iterator[str]:
    for item in value if isinstance(value, list) else [value]:
        if isinstance(item, str):
            yield item.lower()
