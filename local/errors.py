"""What can go wrong on one machine. The message is one sentence for the person at the terminal."""


class LocalError(Exception):
    """Drover cannot start here; the message says what is wrong and what to do."""


class DatabaseAway(LocalError):
    """A program lost the database; the message is its own last line."""


class ServerRunning(LocalError):
    """A PostgreSQL server already runs on this data directory."""

    def __init__(self, data_dir: object, pid: int) -> None:
        super().__init__(
            f"PostgreSQL (process {pid}) already runs on {data_dir}: stop the Drover that started "
            "it, or choose another DROVER_HOME."
        )
        self.pid = pid


class ServerFailed(LocalError):
    """PostgreSQL could not be created or started; the message carries its own reason."""
