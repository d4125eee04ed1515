"""Traces and metrics of OpenTelemetry, sent to the collector of DROVER_OTLP_URL. Without this setting nothing is imported."""
