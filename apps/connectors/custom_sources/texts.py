"""The code of a custom source with its validation report."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from uuid import UUID

from apps.connectors import engine
from apps.engine.answers import Report
from apps.orgs.exceptions import CheckFirst, Invalid


@dataclass(frozen=True)
class Text:
    """Code with its report (`apps.engine.authoring.report`) and its origin."""

    code: str
    report: Report
    note: str = ""
    commit: str = ""
    author: str = ""

    @property
    def sha256(self) -> str:
        return hashlib.sha256(self.code.encode()).hexdigest()


class CodeUnchecked(CheckFirst):
    """The code has to be validated first, outside the transaction."""

    def __init__(self, org_id: UUID, code: str) -> None:
        super().__init__(self.__doc__)
        self.org_id, self.code = org_id, code

    def check(self) -> Text:
        """Validate the code, as `validated` does."""
        return validated(org_id=self.org_id, code=self.code)


def require_checked(org_id: UUID, code: str, note: str, checked: Text | None) -> Text:
    """Return the validated text of this code, with a note. Raises CodeUnchecked."""
    if checked is None or checked.code != code:
        raise CodeUnchecked(org_id, code)
    return replace(checked, note=note)


def validated(*, org_id: UUID, code: str) -> Text:
    """Validate the code in a child process: call this outside every transaction.

    Raises Invalid with the messages for invalid code, and Unavailable.
    """
    report = engine.validate(org_id=org_id, code=code)
    if not report["valid"]:
        raise Invalid(
            [
                ("code", f"Line {one['line']}: {one['message']}", "invalid_code")
                for one in report["errors"]
            ]
        )
    return Text(code, report)
