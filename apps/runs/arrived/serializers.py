"""The request and response schemas of the API that shows records at a destination."""

from __future__ import annotations

from typing import Any

from rest_framework import serializers

from apps.connectors.serializers import ConnectionFailure
from apps.runs.arrived.reading import CELL_CHARACTERS, COLUMN_CHARACTERS
from apps.web.paging import DEFAULT_LIMIT, MAX_LIMIT

MAX_OFFSET = 100_000


class RowsQuery(serializers.Serializer[Any]):
    stream = serializers.CharField(
        required=False,
        max_length=200,
        trim_whitespace=False,
        help_text="The stream whose records to show; the first one by default.",
    )
    offset = serializers.IntegerField(
        default=0,
        min_value=0,
        max_value=MAX_OFFSET,
        help_text="Number of the first record, from 0.",
    )
    limit = serializers.IntegerField(
        default=DEFAULT_LIMIT,
        min_value=1,
        max_value=MAX_LIMIT,
        help_text="Large records are returned in smaller pages.",
    )
    column = serializers.CharField(
        required=False,
        max_length=1_000,
        trim_whitespace=False,
        help_text=f"Return only this column, with up to {COLUMN_CHARACTERS:,} characters of a value instead of"
        f" {CELL_CHARACTERS:,}.",
    )
    look = serializers.CharField(
        required=False,
        allow_blank=True,
        default="",
        max_length=300,
        help_text="The token of the first page. With it, further pages are not in the audit log again.",
    )


class StoredColumnSerializer(serializers.Serializer[Any]):
    name = serializers.CharField()
    type = serializers.CharField(
        help_text="string, integer, number, boolean, timestamp, date or json."
    )
    stored_as = serializers.CharField(help_text="The type as the destination names it.")


class RowsSerializer(serializers.Serializer[Any]):
    ok = serializers.BooleanField(help_text="Whether the destination could be read.")
    stream = serializers.CharField(help_text="Empty if no run has written records yet.")
    table = serializers.CharField()
    destination = serializers.CharField(help_text="The kind of the destination.")
    run_id = serializers.UUIDField(
        allow_null=True, help_text="The run that has written the table; null if none has yet."
    )
    written_at = serializers.DateTimeField(allow_null=True)
    columns = StoredColumnSerializer(many=True)
    records = serializers.ListField(
        child=serializers.ListField(child=serializers.CharField(allow_null=True)),
        help_text="A text or null for each column, so that numbers keep their digits. In the order in which they are stored.",
    )
    cut = serializers.ListField(
        child=serializers.ListField(child=serializers.IntegerField()),
        help_text="The values that are cut: the numbers of the record in this page and of the column.",
    )
    total = serializers.IntegerField(
        allow_null=True, help_text="How many records the table has, if that is known."
    )
    next_offset = serializers.IntegerField(
        allow_null=True, help_text=f"Null after the last record, and after {MAX_OFFSET:,} records."
    )
    look = serializers.CharField(help_text="A token for the next pages.")
    streams = serializers.ListField(
        child=serializers.CharField(),
        help_text="The streams whose records can be shown. Empty after the first page.",
    )
    failure = ConnectionFailure(allow_null=True)
