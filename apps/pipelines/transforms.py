"""The code of transforms: a child process of the engine reads it before it is stored, outside every transaction.

A verb that meets code nobody has read yet raises `CodeUnchecked` before it changes anything. Its caller leaves the
transaction, calls `check`, and calls the verb again with the answer. The verb then does all its work anew: it locks,
compares versions, and settles the definition against what is stored by then.
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
    """The text of a transform, and what is wrong with it."""

    code: str
    errors: tuple[Error, ...] = ()


class CodeUnchecked(CheckFirst):
    """The code of this transform must be checked first, outside the transaction."""

    def __init__(self, org_id: UUID, code: str) -> None:
        super().__init__(self.__doc__)
        self.org_id, self.code = org_id, code

    def check(self) -> CheckedCode:
        """As `check`."""
        return check(org_id=self.org_id, code=self.code)


def check(*, org_id: UUID, code: str, field: str = FIELD) -> CheckedCode:
    """What is wrong with the code of `field`; waits for a child process and runs nothing of it. Raises Unavailable."""
    try:
        report = engine.validate_transform(org_id=org_id, code=code, field=field)
    except Invalid as error:
        return CheckedCode(code, tuple(error.errors))
    found = [f"Line {one['line']}: {one['message']}" for one in report["errors"]]
    return CheckedCode(code, tuple((field, message, "invalid_code") for message in found))


def new_code(settled: Definition, before: Definition | None) -> str | None:
    """The code of a definition that is not the code it had before."""
    code = definition.python_of(settled)
    return None if before and code == definition.python_of(before) else code


def errors_of(
    org_id: UUID, settled: Definition, before: Definition | None, checked: CheckedCode | None
) -> list[Error]:
    """What is wrong with new code. Raises CodeUnchecked for code that is not the checked one."""
    code = new_code(settled, before)
    if code is None:
        return []
    if checked is None or checked.code != code:
        raise CodeUnchecked(org_id, code)
    return list(checked.errors)
