"""What a custom source says about itself, read from its text without running any of it."""
