"""The pages of the dashboard with many pipelines, runs, streams and log lines, in a real browser."""
