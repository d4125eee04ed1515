"""The request and response schemas of /files."""

from __future__ import annotations

from typing import Any, TypedDict

from rest_framework import serializers

from apps.connectors.files.names import FileNameField


class UploadName(TypedDict):
    name: str


class UploadQuery(serializers.Serializer[UploadName]):
    name = FileNameField(
        help_text="The name under which connectors read the file, such as orders.csv."
    )


class FileFilter(serializers.Serializer[Any]):
    q = serializers.CharField(
        max_length=120, required=False, allow_blank=True, help_text="A part of the name."
    )


class FileUserSerializer(serializers.Serializer[Any]):
    type = serializers.ChoiceField(["connector", "pipeline"])
    id = serializers.UUIDField()
    name = serializers.CharField()
    by_pattern = serializers.BooleanField(
        help_text="Whether it reads the file by a pattern such as orders-*.csv, and not by its name."
    )


class DataFile(serializers.Serializer[Any]):
    id = serializers.UUIDField()
    name = serializers.CharField()
    bytes = serializers.IntegerField()
    version = serializers.IntegerField(help_text="Increases when the content is replaced.")
    uploaded_by = serializers.CharField(allow_null=True)
    created_at = serializers.DateTimeField()
    updated_at = serializers.DateTimeField(help_text="When the content was stored.")
    used_by = FileUserSerializer(many=True, help_text="The connectors and pipelines that read it.")


class FileLimits(serializers.Serializer[Any]):
    max_file_bytes = serializers.IntegerField(help_text="Size of the largest file.")
    max_bytes = serializers.IntegerField(help_text="Size of all files of the organization.")
    used_bytes = serializers.IntegerField()
