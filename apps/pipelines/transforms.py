"""Validate the code of transforms before it is stored, in a child process and outside of transactions.

An action raises `CodeUnchecked` for code that is not validated yet, before it changes anything. The caller of the
action leaves the transaction, calls `check`, and calls the action again with the result. The action then repeats all its
work: it locks rows, compares versions, and validates the definition against the current data.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from uuid import UUID

from apps.connectors import engine
from apps.connectors.schemas import Error
from apps.orgs.exceptions import CheckFirst, Invalid
from apps.pipelines.definition import Definition, python_code

MAX_TRANSFORMS = 100  # different transforms of one pipeline


@dataclass(frozen=True)
class CheckedCode:
    """The errors of each code that was validated, by code. A code without errors has an empty tuple."""

    errors: Mapping[str, tuple[Error, ...]]


class CodeUnchecked(CheckFirst):
    """The code of transforms has to be validated first, outside the transaction."""

    def __init__(self, org_id: UUID, fields: Mapping[str, str]) -> None:
        super().__init__(self.__doc__)
        self.org_id, self.fields = org_id, fields

    def check(self) -> CheckedCode:
        """Validate the codes, and return them with their errors."""
        return check_codes(org_id=self.org_id, fields=self.fields)


def check_codes(*, org_id: UUID, fields: Mapping[str, str]) -> CheckedCode:
    """Validate codes in a child process, which does not run them. `fields` has the field of each code.

    Raises Unavailable.
    """
    return CheckedCode({code: _code_errors(org_id, code, field) for code, field in fields.items()})


def _code_errors(org_id: UUID, code: str, field: str) -> tuple[Error, ...]:
    try:
        report = engine.validate_transform(org_id=org_id, code=code, field=field)
    except Invalid as error:
        return tuple(error.errors)
    messages = [f"Line {error['line']}: {error['message']}" for error in report["errors"]]
    return tuple((field, message, "invalid_code") for message in messages)


def changed_codes(definition: Definition, before: Definition | None) -> dict[str, str]:
    """Return the codes that the streams of the same names and the patterns did not have in `before`, each with its field.

    A stream that the patterns have chosen before may keep their code when it gets settings of its own.
    """
    fields: dict[str, str] = {}
    code_of_patterns = python_code(before.patterns if before else None)
    for number, stream in enumerate(definition.streams):
        code = python_code(stream)
        earlier = before.stream(stream["stream"]) if before else None
        if code is not None and code not in {python_code(earlier), code_of_patterns}:
            fields.setdefault(code, f"streams.{number}.transforms.0.code")
    code = python_code(definition.patterns)
    if code is not None and code != code_of_patterns:
        fields.setdefault(code, "patterns.transforms.0.code")
    return fields


def code_errors(
    org_id: UUID, definition: Definition, before: Definition | None, checked: CheckedCode | None
) -> list[Error]:
    """Return the errors of changed code. Raises CodeUnchecked for code that is not validated."""
    fields = changed_codes(definition, before)
    if not fields:
        return []
    if len(fields) > MAX_TRANSFORMS:
        message = f"A pipeline has at most {MAX_TRANSFORMS} different transforms."
        return [("streams", message, "max_length")]
    checked_errors = checked.errors if checked else {}
    if not fields.keys() <= checked_errors.keys():
        raise CodeUnchecked(org_id, fields)
    return [error for code in fields for error in checked_errors[code]]
