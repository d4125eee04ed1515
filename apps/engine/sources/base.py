"""The contract of our sources: bizon's `AbstractSource`, plus frames, plain rows, named checks and discovery."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, ClassVar

import polars as pl
from bizon.source.config import SourceConfig
from bizon.source.models import SourceIteration
from bizon.source.source import AbstractSource
from pydantic import BaseModel, ConfigDict

from apps.engine.contract import CheckStep, SourceSpec, StorageRoot, StreamInfo


class FrameIteration(SourceIteration):
    """A page as a typed frame: straight to the destination, no per-record work. `records` stays empty."""

    model_config = ConfigDict(arbitrary_types_allowed=True)
    frame: pl.DataFrame


class RowsIteration(SourceIteration):
    """A page as plain JSON-able dicts, without a `SourceRecord` per row. `records` stays empty."""

    rows: list[dict[str, Any]]


class StreamSource(AbstractSource):
    """One source kind, bound to one stream.

    `get(pagination)` answers the page at `pagination` (None or {} is the first) as a `FrameIteration`,
    `RowsIteration` or bizon's own `SourceIteration`; `next_pagination == {}` ends the stream. A page must
    be repeatable from its pagination token: that is what resuming relies on. Incremental sources answer
    `get_records_after(state, pagination)` and hand `next_state` with their last page.
    Failures are raised as `apps.engine.failures` exceptions.
    """

    Config: ClassVar[type[BaseModel]]  # the settings as a person writes them

    def __init__(
        self,
        config: SourceConfig,
        *,
        spec: SourceSpec,
        files: StorageRoot,
        allow_private_networks: bool = False,
    ) -> None:
        self.spec = spec
        self.files = files
        self.allow_private_networks = allow_private_networks
        super().__init__(config)

    @staticmethod
    def streams() -> list[str]:
        """Names known without connecting; empty when they depend on what is connected to."""
        return []

    @property
    def repeats(self) -> bool:
        """Whether a sync gives rows again that an earlier one gave, so that appending would double them."""
        return False

    def check(self) -> Iterator[CheckStep]:
        """Yield named steps (resolve, connect, authenticate, read, ...), stopping after the first that fails."""
        raise NotImplementedError

    def discover(self) -> list[StreamInfo]:
        """The streams behind this connection with their fields, keys and possible cursor fields."""
        raise NotImplementedError

    def conclude(self) -> None:
        """After the last page: raise what makes all of them worthless, if anything does."""

    def close(self) -> None:
        """Release connections, after the last page. Safe to call twice."""
        self.session.close()
