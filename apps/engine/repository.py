"""Read the files of a Git repository, in a child of the fork server, without running them.

The arguments and results are JSON objects.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from apps.egress import allowlist
from apps.engine.authoring.bundles import MAX_FILES, add_reports, replace_nul
from apps.engine.connect import open_source
from apps.engine.contract import SandboxSpec
from apps.engine.failures import ConfigurationError
from apps.engine.sandbox.limits import BrokenOutput, Limits
from apps.engine.sources.base import RowsIteration

Payload = Mapping[str, Any]
Answer = dict[str, Any]

_COMMIT_ID = re.compile(r"[0-9a-f]{40}([0-9a-f]{24})?")  # SHA-1 or SHA-256
# Our own code, which runs in the sandbox because the repository is untrusted.
READER_CODE = "from drover import _git\n\n\nclass Repository(_git.Repository):\n    pass\n"
LIMITS = {
    "wall_seconds": 120.0,
    "silence_seconds": 110.0,
    "cpu_seconds": 60,
    "network": 100 * 1024 * 1024,  # bytes
    "page": 16 * 1024 * 1024,  # bytes
}


def read_repository(payload: Payload) -> Answer:
    """Return `{"files", "commit", "author", "subject", "committed_at"}` of a branch. Raises EngineError.

    `payload` is `{"config": {url, branch, path, username, token}, "sandbox", ...}`.
    """
    host = allowlist.host_of(payload["config"]["url"])
    if host is None or allowlist.entry_problem(host) is not None:
        raise ConfigurationError("the address has no valid host")
    sandbox = SandboxSpec(**payload.get("sandbox") or {})
    limits = Limits.from_json({**sandbox.limits, **LIMITS}).to_json()
    source_payload = {
        **payload,
        "kind": "repository",
        "stream": "files",
        "code": {"text": READER_CODE, "hosts": [host], "secret_names": ["token"]},
        "sandbox": {"home": sandbox.home, "min_isolation": sandbox.min_isolation, "limits": limits},
    }
    with open_source(source_payload) as source:
        page = source.get()
    if not isinstance(page, RowsIteration):
        raise BrokenOutput("The repository reader returned something other than files.")
    if len(page.rows) > MAX_FILES:
        raise BrokenOutput("The repository reader returned more files than allowed.")
    return {**parse_commit(page.next_state), "files": list(add_reports(page.rows))}


def parse_commit(state: Mapping[str, Any] | None) -> Answer:
    """Return `{commit, author, subject, committed_at}` from the reader's output.

    `committed_at` is None if the output has no valid time. Raises BrokenOutput if it has no commit.
    """
    fields = state or {}
    if not isinstance(fields.get("commit"), str) or not _COMMIT_ID.fullmatch(fields["commit"]):
        raise BrokenOutput("The repository reader returned no commit.")
    return {
        "commit": fields["commit"],
        **{name: replace_nul(fields.get(name))[:200] for name in ("author", "subject")},
        "committed_at": _utc_time(fields.get("committed_at")),
    }


def _utc_time(value: Any) -> str | None:
    try:
        return datetime.fromisoformat(value).astimezone(UTC).isoformat()
    except (TypeError, ValueError, OverflowError):
        return None
