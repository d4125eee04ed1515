"""Validate the code of a custom source before a transaction saves it."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from uuid import UUID

from apps.connectors import engine
from apps.engine.answers import Report
from apps.orgs.exceptions import CheckFirst, Invalid


@dataclass(frozen=True)
class CheckedCode:
    """Validated code with its report (`apps.engine.authoring.report`), note, commit and author."""

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

    def check(self) -> CheckedCode:
        """Validate the code, and return it with its report."""
        return validate_code(org_id=self.org_id, code=self.code)


def require_checked(org_id: UUID, code: str, note: str, checked: CheckedCode | None) -> CheckedCode:
    """Return `checked` with a note, if it is the validation result of this code. Raises CodeUnchecked."""
    if checked is None or checked.code != code:
        raise CodeUnchecked(org_id, code)
    return replace(checked, note=note)


def validate_code(*, org_id: UUID, code: str) -> CheckedCode:
    """Validate the code in a child process. Call this outside of transactions, because it is slow.

    Raises Unavailable, and Invalid with the validation messages if the code is invalid.
    """
    report = engine.validate(org_id=org_id, code=code)
    if not report["valid"]:
        raise Invalid(
            [
                ("code", f"Line {error['line']}: {error['message']}", "invalid_code")
                for error in report["errors"]
            ]
        )
    return CheckedCode(code, report)
