"""The sizes of stored values, for queries."""

from __future__ import annotations

from django.db.models import Func, IntegerField


class TextSize(Func):
    """The bytes of a value as text. It may be a hundred times as large as the stored value."""

    template = "octet_length(%(expressions)s::text)"
    output_field = IntegerField()
