"""The code of a custom source with what validation read from it."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from apps.connectors import engine
from apps.orgs.exceptions import Invalid


@dataclass(frozen=True)
class Text:
    """Code with its report (`apps.engine.authoring.report`), and where it comes from."""

    code: str
    report: Mapping[str, Any]
    note: str = ""
    commit: str = ""
    author: str = ""

    @property
    def sha256(self) -> str:
        return hashlib.sha256(self.code.encode()).hexdigest()


def validated(*, org_id: UUID, code: str, note: str = "") -> Text:
    """The code with its report. It asks a child process: call it outside every transaction.

    Raises Invalid with the messages of code that is not valid, and Unavailable.
    """
    report = engine.validate(org_id=org_id, code=code)
    if not report["valid"]:
        raise Invalid(
            [
                ("code", f"Line {one['line']}: {one['message']}", "invalid_code")
                for one in report["errors"]
            ]
        )
    return Text(code, report, note=note)
