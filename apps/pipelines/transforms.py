"""Validate the code of transforms before it is stored, in a child process and outside of transactions.

An action raises `CodeUnchecked` for code that is not validated yet, before it changes anything. The caller of the
action leaves the transaction, calls `check_code`, and calls the action again with the result. The action then repeats all its
work: it locks rows, compares versions, and validates the definition against the current data.
"""

from __future__ import annotations

from dataclasses import dataclass
from uuid import UUID

from apps.connectors import engine
from apps.connectors.schemas import Error
from apps.orgs.exceptions import CheckFirst, Invalid
from apps.pipelines.definition import Definition, python_code

CODE_FIELD = "streams.0.transforms.0.code"


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
        """Validate the code, and return it with its errors."""
        return check_code(org_id=self.org_id, code=self.code)


def check_code(*, org_id: UUID, code: str, field: str = CODE_FIELD) -> CheckedCode:
    """Validate the code of `field` in a child process, which does not run the code.

    Raises Unavailable.
    """
    try:
        report = engine.validate_transform(org_id=org_id, code=code, field=field)
    except Invalid as error:
        return CheckedCode(code, tuple(error.errors))
    messages = [f"Line {error['line']}: {error['message']}" for error in report["errors"]]
    return CheckedCode(code, tuple((field, message, "invalid_code") for message in messages))


def changed_code(definition: Definition, before: Definition | None) -> str | None:
    """Return the code of the definition, or None if it equals the code of `before`."""
    code = python_code(definition)
    return None if before and code == python_code(before) else code


def code_errors(
    org_id: UUID, definition: Definition, before: Definition | None, checked: CheckedCode | None
) -> list[Error]:
    """Return the errors of changed code. Raises CodeUnchecked for code that is not validated."""
    code = changed_code(definition, before)
    if code is None:
        return []
    if checked is None or checked.code != code:
        raise CodeUnchecked(org_id, code)
    return list(checked.errors)
