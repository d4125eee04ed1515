"""Read what a custom source declares from its source text, without running any of it."""
