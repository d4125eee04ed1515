"""Hide record values in texts for the model, unless an admin of the org allows record values.

Logs and failures contain messages of Drover, of databases and of the pipeline's own code. The secrets in them are
masked when they are written; this module hides parts that are copied from records.
"""

from __future__ import annotations

import re

from apps.agent.tools.base import ToolContext
from apps.engine.failures import TOO_MANY_REJECTED, USER_CODE_PREFIXES

HIDDEN = "[record values hidden]"
CODE_LINE = "[line of the pipeline's own code hidden: it may contain record values]"
SAMPLE_LINES = ("Sample row: ", "Rejected a record: ")  # messages of Drover that contain values
# Messages of PostgreSQL, such as "Key (email)=(a@b.c) already exists." A value may contain parentheses: it ends at the
# first one before white space, on the same line.
KEY = re.compile(r"\([^()]*\)=\(")
VALUE_END = re.compile(r"\)(?=\s|$)|\n")
# Messages of PostgreSQL, such as "Failing row contains (1, a@b.c)."
PATTERNS = (
    (re.compile(r"(row contains )\(.*"), rf"\1({HIDDEN})"),
    (
        re.compile(rf"({TOO_MANY_REJECTED}, [^:]*; [^:]*\. The first: ).*", re.DOTALL),
        rf"\1{HIDDEN}",
    ),
    (re.compile(r"(invalid input (?:syntax|value) for [^:]*: ).*"), rf"\1{HIDDEN}"),
    # An address is looked for once in each word: otherwise a long word without "@" needs quadratic time.
    (re.compile(r"(?<![\w.+-])[\w.+-]++@[\w-]++(?:\.[\w-]++)+"), HIDDEN),
)
# What surrounds the saved position of a stream in messages of the source PostgreSQL.
AROUND_POSITIONS = (
    (" may end at ", " at the latest, its saved position"),
    ("must be before the saved position (", "), where a window"),
    ("the saved position ", " hides all rows"),
    ("the saved position ", " is not a value of the type"),
    ("since the last sync, and its greatest ", ", so its rows would not be read"),
)
QUOTED_TEXT = re.compile(r"'[^']*'|\"[^\"]*\"")


def hide_values(context: ToolContext, text: str) -> str:
    """Return the text of a failure without record values, or unchanged if the org allows them."""
    if context.values_allowed:
        return text
    for start in SAMPLE_LINES:
        if text.startswith(start):
            return start + HIDDEN
    if text.startswith(USER_CODE_PREFIXES):
        text = QUOTED_TEXT.sub(HIDDEN, text)
    text = hide_values_of_keys(text)
    for pattern, replacement in PATTERNS:
        text = pattern.sub(replacement, text)
    for before, after in AROUND_POSITIONS:
        text = _hide_between(text, before, after)
    return text


def hide_values_of_keys(text: str) -> str:
    """Hide the value of `(email)=(a@b.c)`. One pattern for all of it would need quadratic time for a hostile text."""
    parts, copied, searched = [], 0, 0
    end: re.Match[str] | None = None
    while key := KEY.search(text, searched):
        if end is None or end.start() < key.end():
            end = VALUE_END.search(text, key.end())
        if end is None:
            break
        if end[0] == "\n":
            searched = key.end() - 1  # the parenthesis of the value may open another key
            continue
        parts += [text[copied : key.end()], HIDDEN, ")"]
        copied = searched = end.end()
    return "".join(parts) + text[copied:]


def _hide_between(text: str, before: str, after: str) -> str:
    """Hide what is between the first `before` and the last `after`. A pattern would need cubic time for a hostile text."""
    start, end = text.find(before) + len(before), text.rfind(after)
    return text[:start] + HIDDEN + text[end:] if before in text and start <= end else text


def hide_position(context: ToolContext, position: object) -> object:
    """Return the position of a stream, which is made of values of records, or a note that it is hidden."""
    return position if context.values_allowed or position is None else HIDDEN


def hide_values_of_line(context: ToolContext, message: str, *, by_code: bool) -> str:
    """Return a line of a log without record values. `by_code` is set for lines that the pipeline's own code wrote."""
    if by_code and not context.values_allowed:
        return CODE_LINE
    return hide_values(context, message)
