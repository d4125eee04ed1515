"""Shared by the file destinations: staging as Parquet parts, and a manifest that lists the visible files."""
