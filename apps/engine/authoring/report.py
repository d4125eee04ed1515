"""The result of validation: messages with line numbers, and what the source declares."""

from __future__ import annotations

import ast
from dataclasses import asdict, dataclass, field
from typing import Any, Literal, cast

from apps.engine import answers

Severity = Literal["error", "warning"]
MAX_MESSAGES = 100
LONGEST_MESSAGE = 500  # characters; a message may quote names from the code


@dataclass(frozen=True, slots=True)
class Message:
    """`line` and `column` count from 1."""

    line: int
    column: int
    message: str
    severity: Severity


@dataclass(slots=True)
class Report:
    """Everything that was extracted; with errors some of it may be missing.

    `streams` are `{name, sync_modes, primary_key, cursor_field}`, `config_schema` is JSON Schema whose secrets
    are `writeOnly`, and `hosts` is the allow-list that the code declares.
    """

    messages: list[Message] = field(default_factory=list)
    source_name: str = ""
    description: str = ""
    contract: str = ""  # rest, source or bizon
    streams: list[dict[str, Any]] = field(default_factory=list)
    config_schema: dict[str, Any] = field(default_factory=dict)
    secret_names: list[str] = field(default_factory=list)
    auth_type: str = ""
    hosts: list[str] = field(default_factory=list)

    @property
    def full(self) -> bool:
        """Whether the limit of messages is reached."""
        return len(self.messages) >= MAX_MESSAGES

    @property
    def valid(self) -> bool:
        return not self._of("error")

    def error(self, node: ast.AST | None, message: str) -> None:
        self._add(node, message, "error")

    def warn(self, node: ast.AST | None, message: str) -> None:
        self._add(node, message, "warning")

    def to_json(self) -> answers.Report:
        shown = asdict(self)
        messages: list[answers.Message] = shown.pop("messages")
        shown["valid"] = self.valid
        shown["errors"] = [one for one in messages if one["severity"] == "error"]
        shown["warnings"] = [one for one in messages if one["severity"] == "warning"]
        return cast(answers.Report, shown)

    def _of(self, severity: Severity) -> list[Message]:
        return [one for one in self.messages if one.severity == severity]

    def _add(self, node: ast.AST | None, message: str, severity: Severity) -> None:
        line = getattr(node, "lineno", 1) or 1
        column = (getattr(node, "col_offset", 0) or 0) + 1
        made = Message(line, column, message[:LONGEST_MESSAGE], severity)
        if not self.full and made not in self.messages:
            self.messages.append(made)
