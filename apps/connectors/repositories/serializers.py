"""The request and response schemas of /repositories and of uploads."""

from __future__ import annotations

import re
from typing import Any
from urllib.parse import urlsplit

from django.conf import settings
from rest_framework import serializers

from apps.connectors.custom_sources import outcomes
from apps.connectors.models import SyncStatus
from apps.egress import allowlist
from apps.orgs.http.texts import NameField

MAX_UPLOAD_BYTES = 1024 * 1024  # bytes; as base64 it fits into an API request
BRANCH_PATTERN = re.compile(r"[\w.+@-]+(/[\w.+@-]+)*")
FILE_NAME_PATTERN = re.compile(r"[^/\\]+\.(py|zip)", re.IGNORECASE)
PATH_PATTERN = re.compile(r"[^/\\\0]+(/[^/\\\0]+)*")


class UrlField(NameField):
    """An https URL for cloning; http only if private networks are allowed."""

    def to_internal_value(self, data: Any) -> str:
        text = str(super().to_internal_value(data)).strip().rstrip("/")
        schemes = {"https", "http"} if settings.ALLOW_PRIVATE_NETWORKS else {"https"}
        try:
            parts = urlsplit(text)
            host = allowlist.host_of(text)
        except ValueError:
            host = None
        if (
            host is None
            or "*" in host
            or parts.scheme not in schemes
            or allowlist.entry_problem(host) is not None
        ):
            message = "Enter the https clone URL, like https://git.example.com/team/sources.git."
            raise serializers.ValidationError(message, code="invalid")
        if parts.username or parts.password or parts.query or parts.fragment or not text.isascii():
            message = "Enter the URL without user, token, query and fragment: the token has its own field."
            raise serializers.ValidationError(message, code="invalid")
        return text


class BranchField(NameField):
    """The name of a branch."""

    def to_internal_value(self, data: Any) -> str:
        text = str(super().to_internal_value(data)).removeprefix("refs/heads/")
        if not BRANCH_PATTERN.fullmatch(text) or ".." in text:
            raise serializers.ValidationError("Not a valid branch name.", code="invalid")
        return text


class PathField(NameField):
    """A path of a folder or file below the repository's root."""

    def to_internal_value(self, data: Any) -> str:
        text = str(super().to_internal_value(data)).strip("/")
        if text and (not PATH_PATTERN.fullmatch(text) or {".", ".."} & set(text.split("/"))):
            message = "Enter a path relative to the repository's root, like sources/shop."
            raise serializers.ValidationError(message, code="invalid")
        return text


class FileNameField(NameField):
    """The name of a file that can contain sources."""

    def to_internal_value(self, data: Any) -> str:
        text = super().to_internal_value(data)
        if not FILE_NAME_PATTERN.fullmatch(text):
            message = "Enter the name of a .py or .zip file, without a folder."
            raise serializers.ValidationError(message, code="invalid")
        return text


class RepositoryUpdate(serializers.Serializer[Any]):
    url = UrlField(max_length=500, required=False)
    branch = BranchField(max_length=200, required=False)
    path = PathField(
        max_length=300, allow_blank=True, required=False, help_text="Folder; empty means the root."
    )
    username = NameField(
        max_length=100,
        allow_blank=True,
        required=False,
        help_text="The user name to send with the token.",
    )
    token = serializers.CharField(
        max_length=1000,
        allow_blank=True,
        required=False,
        write_only=True,
        help_text="A token with read access to the repository. It is required again when the URL changes.",
    )
    approves = serializers.BooleanField(
        required=False,
        help_text="Approve new versions automatically if they need no new hosts.",
    )


class RepositoryCreate(RepositoryUpdate):
    url = UrlField(max_length=500)
    branch = BranchField(max_length=200, default="main")
    path = PathField(max_length=300, allow_blank=True, default="")
    username = NameField(max_length=100, allow_blank=True, default="git")
    approves = serializers.BooleanField(default=False)


class TokenHint(serializers.Serializer[Any]):
    set = serializers.BooleanField()
    last4 = serializers.CharField(allow_blank=True)


class FileOutcome(serializers.Serializer[Any]):
    path = serializers.CharField()
    outcome = serializers.ChoiceField([(outcome, outcome) for outcome in outcomes.OUTCOMES])
    message = serializers.CharField(allow_blank=True)
    source_id = serializers.UUIDField(allow_null=True)
    version = serializers.IntegerField(allow_null=True)


class SyncedCommit(serializers.Serializer[Any]):
    id = serializers.CharField()
    author = serializers.CharField(allow_blank=True)
    subject = serializers.CharField(allow_blank=True)
    committed_at = serializers.DateTimeField(allow_null=True)


class RepositoryRow(serializers.Serializer[Any]):
    id = serializers.UUIDField()
    url = serializers.CharField()
    branch = serializers.CharField()
    path = serializers.CharField(allow_blank=True)
    username = serializers.CharField(allow_blank=True)
    token = TokenHint()
    approves = serializers.BooleanField()
    status = serializers.ChoiceField(SyncStatus.choices, help_text="Status of the newest sync.")
    message = serializers.CharField(allow_blank=True, help_text="Why the newest sync failed.")
    synced_at = serializers.DateTimeField(allow_null=True)
    commit = SyncedCommit(allow_null=True)
    outcomes = FileOutcome(many=True)
    webhook_url = serializers.CharField()
    created_at = serializers.DateTimeField()
    updated_at = serializers.DateTimeField()


class RepositoryConnected(RepositoryRow):
    webhook_secret = serializers.CharField(help_text="Shown only once.")


class WebhookSecret(serializers.Serializer[Any]):
    webhook_secret = serializers.CharField(help_text="Shown only once.")


class HookAnswer(serializers.Serializer[Any]):
    sync = serializers.BooleanField(
        help_text="Whether the push concerns the branch, so that a sync was requested."
    )


class UploadRequest(serializers.Serializer[Any]):
    filename = FileNameField(max_length=200, help_text="File name, ending with .py or .zip.")
    content = serializers.CharField(
        max_length=MAX_UPLOAD_BYTES * 4 // 3 + 4,
        trim_whitespace=False,
        help_text="The content of the file as base64.",
    )
    approve = serializers.BooleanField(
        default=False, help_text="Approve the sources at once, with the hosts they name."
    )


class UploadAnswer(serializers.Serializer[Any]):
    results = FileOutcome(many=True)
