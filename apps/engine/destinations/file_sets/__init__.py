"""What the file destinations share: staging as Parquet parts, and one manifest that says what is visible."""
