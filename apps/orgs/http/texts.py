"""Serializer fields for names, texts of several lines, and e-mail addresses."""

from __future__ import annotations

from typing import Any

from rest_framework import serializers

from apps.auth import names


class NameField(serializers.CharField):
    """A name, label or note on one line, see `apps.auth.names`. `max_length` is in characters."""

    multiline = False

    def __init__(self, *, max_length: int, **options: Any) -> None:
        super().__init__(max_length=max_length, **options)

    def to_internal_value(self, data: Any) -> str:
        text = super().to_internal_value(data)
        # Refuse very long texts before the slower check. Unicode normalization makes a text at most four times shorter.
        if len(text) > 4 * (self.max_length or 0):
            self.fail("max_length", max_length=self.max_length)
        try:
            text = names.parse_name(text, multiline=self.multiline)
        except names.InvalidName as error:
            raise serializers.ValidationError(str(error), code="characters") from None
        if not text and not self.allow_blank:
            self.fail("blank")
        return text


class MultilineTextField(NameField):
    """A description, which may have several lines. It allows the same characters as a name."""

    multiline = True


class AsciiEmailField(serializers.EmailField):
    """An ASCII address; an international domain is written in its xn-- form."""

    def to_internal_value(self, data: Any) -> str:
        address = str(super().to_internal_value(data)).strip().lower()
        if not address.isascii():
            raise serializers.ValidationError("Enter the address in ASCII.", code="invalid")
        if not names.is_plain_address(address):
            message = "Addresses with quotes or control characters are not accepted."
            raise serializers.ValidationError(message, code="invalid")
        return address
