"""Made-up records: bizon's creatures and plants, and generated rows with configurable size, delays and failures."""

from apps.engine.sources.dummy.source import Config, DummySource

KIND = "dummy"
TITLE = "Dummy"
DESCRIPTION = "Made-up records for trying things out: a few creatures and plants, or millions of generated records."
DOCS_URL = "https://github.com/bizon-data/bizon-core"
ICON = "flask"

Source = DummySource

__all__ = ["DESCRIPTION", "DOCS_URL", "ICON", "KIND", "TITLE", "Config", "Source"]
