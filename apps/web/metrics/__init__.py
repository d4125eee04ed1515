"""Metrics for Prometheus: of the whole installation, from its database, and of the web process that responds."""
