"""The sizes of stored values, for queries."""

from __future__ import annotations

from django.db.models import Func, IntegerField


class StoredSize(Func):
    """The bytes that a value needs in the database, after compression. PostgreSQL knows it without reading the value."""

    function = "pg_column_size"
    output_field = IntegerField()


class TextSize(Func):
    """The bytes of a value as text. It may be a hundred times as large as the stored value."""

    template = "octet_length(%(expressions)s::text)"
    output_field = IntegerField()
