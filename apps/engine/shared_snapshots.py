"""A snapshot of a source that several streams of a run share. The module has only frozen dataclasses and JSON."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from apps.json import JsonObject


@dataclass(frozen=True, slots=True)
class SharedSnapshot:
    """One committed state of a source, which several streams of a run read.

    `token` is what the source needs to read that state, such as PostgreSQL's identifier of a snapshot. `at` is its time
    (RFC 3339, UTC). With `rereads_finished`, a stream that an earlier attempt of the run has published is read again.
    `table` is the source's description of the stream in that state, if the source has read it for all streams.
    """

    token: str
    at: str
    rereads_finished: bool = False
    table: JsonObject | None = None


@dataclass(frozen=True, slots=True)
class HeldSnapshot:
    """The answer of a source that was asked to keep a snapshot for several streams.

    Without a token there is none, and `reason` says why, after "because". `streams` are the streams that can be read in it,
    and `tables` the descriptions of some of them.
    """

    token: str = ""
    at: str = ""
    reason: str = ""
    streams: tuple[str, ...] = ()
    tables: Mapping[str, JsonObject] = field(default_factory=dict)

    @classmethod
    def from_json(cls, value: JsonObject) -> HeldSnapshot:
        fields: dict[str, Any] = dict(value)
        return cls(**{**fields, "streams": tuple(fields["streams"])})
