"""Read a Git repository: JSON in, JSON out, in a child of the fork server. None of its code is run."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from apps.egress import allowlist
from apps.engine.authoring.bundles import MOST_FILES, reported, storable
from apps.engine.connect import opened_source
from apps.engine.contract import SandboxSpec
from apps.engine.failures import ConfigurationError
from apps.engine.sandbox.limits import BrokenOutput, Limits
from apps.engine.sources.base import RowsIteration

Payload = Mapping[str, Any]
Answer = dict[str, Any]

_COMMIT = re.compile(r"[0-9a-f]{40}([0-9a-f]{24})?")  # SHA-1, or SHA-256
# Our own reader, in the sandbox because of what it reads.
READER = "from drover import _git\n\n\nclass Repository(_git.Repository):\n    pass\n"
LIMITS = {
    "wall_seconds": 120.0,
    "silence_seconds": 110.0,
    "cpu_seconds": 60,
    "network": 100 * 1024 * 1024,
    "page": 16 * 1024 * 1024,
}


def read_repository(payload: Payload) -> Answer:
    """`{"config": {url, branch, path, username, token}, "sandbox", ...}` to `{"files"}` and `{"commit", "author",
    "subject", "committed_at"}` of the branch. Raises EngineError."""
    host = allowlist.host_of(payload["config"]["url"])
    if host is None or allowlist.problem(host) is not None:
        raise ConfigurationError("the address names no host")
    sandbox = SandboxSpec(**payload.get("sandbox") or {})
    limits = Limits.from_json({**sandbox.limits, **LIMITS}).to_json()
    asked = {
        **payload,
        "kind": "repository",
        "stream": "files",
        "code": {"text": READER, "hosts": [host], "secret_names": ["token"]},
        "sandbox": {"home": sandbox.home, "least": sandbox.least, "limits": limits},
    }
    with opened_source(asked) as source:
        page = source.get()
    if not isinstance(page, RowsIteration):
        raise BrokenOutput("The reader of repositories answered something else than files.")
    if len(page.rows) > MOST_FILES:
        raise BrokenOutput("The reader of repositories answered more files than it may read.")
    return {**commit_of(page.next_state), "files": list(reported(page.rows))}


def commit_of(state: Mapping[str, Any] | None) -> Answer:
    """`{commit, author, subject, committed_at}` of what the reader says; the time is None where it says none.

    Raises BrokenOutput when it names no commit.
    """
    found = state or {}
    if not isinstance(found.get("commit"), str) or not _COMMIT.fullmatch(found["commit"]):
        raise BrokenOutput("The reader of repositories names no commit.")
    return {
        "commit": found["commit"],
        **{name: storable(found.get(name))[:200] for name in ("author", "subject")},
        "committed_at": _moment(found.get("committed_at")),
    }


def _moment(value: Any) -> str | None:
    try:
        return datetime.fromisoformat(value).astimezone(UTC).isoformat()
    except (TypeError, ValueError, OverflowError):
        return None
