"""Whether an upgrade is safe: while it runs, processes of the release before still use the database (docs/howto/upgrade.md)."""
