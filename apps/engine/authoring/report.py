"""The result of a validation: messages with line numbers, and the declarations of the source."""

from __future__ import annotations

import ast
from dataclasses import asdict, dataclass, field
from typing import Any, Literal, cast

from apps.engine import answers

Severity = Literal["error", "warning"]
MAX_MESSAGES = 100
MAX_MESSAGE_LENGTH = 500  # characters; a message may quote names from the code


@dataclass(frozen=True, slots=True)
class Message:
    """A message about one place in the code. `line` and `column` count from 1."""

    line: int
    column: int
    message: str
    severity: Severity


@dataclass(slots=True)
class Report:
    """The messages, and the declarations of the source. If there are errors, some declarations may be missing.

    A stream is `{name, sync_modes, primary_key, cursor_field}`. `config_schema` is a JSON Schema in which secrets are
    `writeOnly`. `hosts` is the allow-list that the code declares.
    """

    messages: list[Message] = field(default_factory=list)
    source_name: str = ""
    description: str = ""
    contract: str = ""  # the kind of class that the source implements: rest, source or bizon
    streams: list[dict[str, Any]] = field(default_factory=list)
    config_schema: dict[str, Any] = field(default_factory=dict)
    secret_names: list[str] = field(default_factory=list)
    auth_type: str = ""
    hosts: list[str] = field(default_factory=list)

    @property
    def is_full(self) -> bool:
        """Whether the report has the greatest allowed number of messages."""
        return len(self.messages) >= MAX_MESSAGES

    @property
    def is_valid(self) -> bool:
        return not self._with_severity("error")

    def error(self, node: ast.AST | None, message: str) -> None:
        self._add(node, message, "error")

    def warn(self, node: ast.AST | None, message: str) -> None:
        self._add(node, message, "warning")

    def to_json(self) -> answers.Report:
        body = asdict(self)
        messages: list[answers.Message] = body.pop("messages")
        body["valid"] = self.is_valid
        body["errors"] = [message for message in messages if message["severity"] == "error"]
        body["warnings"] = [message for message in messages if message["severity"] == "warning"]
        return cast(answers.Report, body)

    def _with_severity(self, severity: Severity) -> list[Message]:
        return [message for message in self.messages if message.severity == severity]

    def _add(self, node: ast.AST | None, message: str, severity: Severity) -> None:
        line = getattr(node, "lineno", 1) or 1
        column = (getattr(node, "col_offset", 0) or 0) + 1
        entry = Message(line, column, message[:MAX_MESSAGE_LENGTH], severity)
        if not self.is_full and entry not in self.messages:
            self.messages.append(entry)
