"""Settings shared by the file destinations: the bucket and its credentials."""

from __future__ import annotations

from typing import Self
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, Field, SecretStr, model_validator

BUCKET_URL = r"^(s3|gs)://[a-z0-9][a-z0-9._-]{1,220}[a-z0-9](/[^\x00-\x1f\\]*)?$"


class BucketSettings(BaseModel):
    """Settings of a bucket. Without `bucket_url`, the files are stored in Drover's own storage."""

    model_config = ConfigDict(extra="forbid")

    bucket_url: str | None = Field(
        default=None,
        pattern=BUCKET_URL,
        max_length=1000,
        title="Bucket",
        description="Your own bucket and folder. Leave it empty to keep the files in Drover.",
        examples=["s3://acme-data/exports", "gs://acme-data/exports"],
    )
    access_key_id: str | None = Field(
        default=None,
        max_length=256,
        title="Access key ID",
        description="S3: an access key that may list, read, write and delete objects in the folder.",
        examples=["AKIAIOSFODNN7EXAMPLE"],
    )
    secret_access_key: SecretStr | None = Field(
        default=None,
        title="Secret access key",
        description="S3: the secret of the access key.",
    )
    session_token: SecretStr | None = Field(
        default=None,
        title="Session token",
        description="S3: only for temporary credentials.",
    )
    region: str | None = Field(
        default=None,
        pattern=r"^[a-z0-9-]{1,40}$",
        title="Region",
        description="S3: the bucket's region; us-east-1 if empty.",
        examples=["eu-west-1"],
    )
    endpoint_url: str | None = Field(
        default=None,
        pattern=r"^https?://[^\s/?#@]+/?$",
        max_length=300,
        title="Endpoint",
        description="Only for S3-compatible or GCS-compatible servers that are not Amazon's or Google's.",
        examples=["https://minio.example.com:9000"],
    )
    service_account_key: SecretStr | None = Field(
        default=None,
        title="Service account key",
        description="Google Cloud Storage: the JSON key of a service account.",
    )

    @model_validator(mode="after")
    def _check_bucket_settings(self) -> Self:
        if self.bucket_url is None:
            self._refuse_settings_without_bucket()
            return self
        if self.bucket_url.startswith("s3://") and not (
            self.access_key_id and self.secret_access_key
        ):
            raise ValueError("an s3:// bucket needs access_key_id and secret_access_key")
        if self.bucket_url.startswith("gs://") and not (
            self.service_account_key or self.endpoint_url
        ):
            raise ValueError("a gs:// bucket needs service_account_key")
        if ".." in self.bucket_url.split("/"):
            raise ValueError("bucket_url cannot contain ..")
        return self

    def _refuse_settings_without_bucket(self) -> None:
        set_names = [
            name for name in BucketSettings.model_fields if getattr(self, name) is not None
        ]
        if set_names:
            raise ValueError(f"{set_names[0]} needs bucket_url")

    def endpoint(self) -> tuple[str, int]:
        """Return the host and port to which requests are sent."""
        parts = urlsplit(self.endpoint_url or "")
        if parts.hostname:
            return parts.hostname, parts.port or (443 if parts.scheme == "https" else 80)
        if (self.bucket_url or "").startswith("gs://"):
            return "storage.googleapis.com", 443
        return f"s3.{self.region or 'us-east-1'}.amazonaws.com", 443
