"""Validate the code of transforms in a child process before it is stored, outside every transaction.

An action raises `CodeUnchecked` for code that was not validated yet, before it changes anything. Its caller leaves the
transaction, calls `check`, and calls the action again with the result. The action then repeats all its work: it locks,
compares versions, and validates the definition against the data stored by then.
"""

from __future__ import annotations

from dataclasses import dataclass
from uuid import UUID

from apps.connectors import engine
from apps.connectors.schemas import Error
from apps.orgs.exceptions import CheckFirst, Invalid
from apps.pipelines import definition
from apps.pipelines.definition import Definition

FIELD = "streams.0.transforms.0.code"


@dataclass(frozen=True)
class CheckedCode:
    """The code of a transform, and its errors."""

    code: str
    errors: tuple[Error, ...] = ()


class CodeUnchecked(CheckFirst):
    """The code of this transform has to be validated first, outside the transaction."""

    def __init__(self, org_id: UUID, code: str) -> None:
        super().__init__(self.__doc__)
        self.org_id, self.code = org_id, code

    def check(self) -> CheckedCode:
        """Validate the code, as the function `check` does."""
        return check(org_id=self.org_id, code=self.code)


def check(*, org_id: UUID, code: str, field: str = FIELD) -> CheckedCode:
    """Return the errors of the code of `field`; uses a child process, which does not run the code.

    Raises Unavailable.
    """
    try:
        report = engine.validate_transform(org_id=org_id, code=code, field=field)
    except Invalid as error:
        return CheckedCode(code, tuple(error.errors))
    found = [f"Line {one['line']}: {one['message']}" for one in report["errors"]]
    return CheckedCode(code, tuple((field, message, "invalid_code") for message in found))


def new_code(built: Definition, before: Definition | None) -> str | None:
    """Return the code of a definition if it differs from the code before."""
    code = definition.python_of(built)
    return None if before and code == definition.python_of(before) else code


def errors_of(
    org_id: UUID, built: Definition, before: Definition | None, checked: CheckedCode | None
) -> list[Error]:
    """Return the errors of new code. Raises CodeUnchecked for code that was not validated."""
    code = new_code(built, before)
    if code is None:
        return []
    if checked is None or checked.code != code:
        raise CodeUnchecked(org_id, code)
    return list(checked.errors)
