"""Settings of the JSON Lines destination."""

from __future__ import annotations

from pydantic import ConfigDict

from apps.engine.destinations.file_sets.config import BucketSettings


class JsonlConfig(BucketSettings):
    """The folder of the files."""

    model_config = ConfigDict(extra="forbid", title="JSON Lines files")
