"""Sample data for the first pipeline: made-up flights and weather. It needs no settings and no network."""

from apps.engine.sources.samples.source import Config, SamplesSource

KIND = "samples"
TITLE = "Sample data"
DESCRIPTION = "Made-up flights and weather for a first pipeline. Needs no settings; new records appear every half hour."
DOCS_URL = "https://en.wikipedia.org/wiki/Sample_(statistics)"
ICON = "sparkles"

Source = SamplesSource

__all__ = ["DESCRIPTION", "DOCS_URL", "ICON", "KIND", "TITLE", "Config", "Source"]
