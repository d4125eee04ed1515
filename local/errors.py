"""The exceptions of local commands. The message is one sentence for the user at the terminal."""


class LocalError(Exception):
    """Drover cannot start here; the message says why and what to do."""


class DatabaseLost(LocalError):
    """A program lost the database; the message is the program's last line."""


class ServerRunning(LocalError):
    """A PostgreSQL server is already running on this data directory."""

    def __init__(self, data_dir: object, pid: int) -> None:
        super().__init__(
            f"PostgreSQL (process {pid}) already runs on {data_dir}: stop the Drover that started "
            "it, or choose another DROVER_HOME."
        )
        self.pid = pid


class ServerFailed(LocalError):
    """PostgreSQL could not be created or started; the message has PostgreSQL's reason."""
