"""The faulty source, as a source whose pages never change."""

from __future__ import annotations

from typing import ClassVar

from tests.engine.faulty_source import FaultySource

TITLE = "Unchanging"


class UnchangingSource(FaultySource):
    pages_never_change: ClassVar[bool] = True


Source = UnchangingSource
