"""Validate the code of custom sources and read its declarations, without running the code."""
