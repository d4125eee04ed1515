"""Texts in the arguments of tools that are stored as names, see `apps.auth.names`. They are checked as in the API."""

from __future__ import annotations

from typing import Annotated

from pydantic import AfterValidator

from apps.auth import names


def _parse_line(text: str) -> str:
    return names.parse_name(text)


def _parse_lines(text: str) -> str:
    return names.parse_name(text, multiline=True)


def _parse_visible_line(text: str) -> str:
    if not (line := _parse_line(text)):
        raise ValueError("It has no visible characters")
    return line


Line = Annotated[str, AfterValidator(_parse_line)]
VisibleLine = Annotated[str, AfterValidator(_parse_visible_line)]
Lines = Annotated[str, AfterValidator(_parse_lines)]
