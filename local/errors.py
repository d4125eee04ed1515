"""The exceptions of local commands. Each message is for the user at the terminal."""


class LocalError(Exception):
    """A local command cannot continue."""


class DatabaseLost(LocalError):
    """A program lost its connection to the database. The message is the last line of the program's log."""


class ServerRunning(LocalError):
    """A PostgreSQL server is already running on this data directory."""

    def __init__(self, data_dir: object, pid: int) -> None:
        super().__init__(
            f"PostgreSQL (process {pid}) already runs on {data_dir}: stop the Drover process that started "
            "it, or choose another DROVER_HOME."
        )
        self.pid = pid


class ServerFailed(LocalError):
    """The PostgreSQL cluster could not be created or started. The message has PostgreSQL's reason."""
