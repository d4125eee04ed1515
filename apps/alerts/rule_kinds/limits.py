"""The limits of an org, as events name them, and the page Usage too."""

from __future__ import annotations

from apps.alerts.models import SubjectKind
from apps.alerts.payloads import Subject, page_address
from apps.alerts.rule_kinds.texts import bytes_in_words, count_in_words
from apps.alerts.rule_kinds.watched import FoundSubject

# Not the runs at once: it is usual that they reach their limit, and others wait.
NAMES = {
    "rows_month": "Records this month",
    "bytes_month": "Bytes this month",
    "pipelines": "Pipelines",
    "members": "Members",
    "file_bytes": "Uploaded files",
}


def subject(found: FoundSubject) -> Subject:
    return {
        "kind": SubjectKind.LIMIT.value,
        "id": found.key,
        "name": NAMES[found.key],
        "url": page_address("settings/usage"),
    }


def share(found: FoundSubject) -> float:
    """Return the used share of the limit, 1 if nothing is allowed."""
    used, limit = found.facts["used"], found.facts["limit"]
    return used / limit if limit else 1.0


def used_in_words(found: FoundSubject) -> str:
    in_words = bytes_in_words if "bytes" in found.key else count_in_words
    return f"{in_words(found.facts['used'])} of {in_words(found.facts['limit'])}"
