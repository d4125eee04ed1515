"""The files below DROVER_HOME."""

import os
from dataclasses import dataclass
from pathlib import Path

from apps.background.private import make_private
from local.errors import LocalError

CHECKOUT = Path(__file__).resolve().parents[1]


@dataclass(frozen=True)
class Home:
    """The folder that contains all of Drover's files on one machine."""

    root: Path

    @classmethod
    def from_environment(cls) -> "Home":
        """Return `DROVER_HOME`, or `.drover` in the checkout."""
        path = os.environ.get("DROVER_HOME") or CHECKOUT / ".drover"
        return cls(Path(path).expanduser().absolute())

    @property
    def keys(self) -> Path:
        """The folder of generated secrets, with mode 0700."""
        return self.root / "keys"

    @property
    def cluster(self) -> Path:
        """The data folder of the embedded PostgreSQL, or a link to it."""
        return self.root / "pg"

    @property
    def runtime_folder(self) -> Path:
        """The folder of the supervisor's lock, the ports and the addresses."""
        return self.root / "run"

    @property
    def addresses(self) -> Path:
        """The file with the URLs that manually started commands use. It contains no secrets."""
        return self.runtime_folder / "addresses.json"

    @property
    def logs(self) -> Path:
        """The folder of the logs, with one file per process."""
        return self.root / "logs"

    @property
    def report_file(self) -> Path:
        """The report of the demo as JSON, for programs."""
        return self.root / "demo.json"

    @property
    def restore_marker(self) -> Path:
        """The file that exists while a restore is running, and after a restore that was interrupted."""
        return self.root / "restore-unfinished.json"

    def create_folders(self, *, restoring: bool = False) -> None:
        """Create missing folders.

        Raises LocalError if a folder cannot be created, or if a restore was interrupted, unless `restoring` is set.
        """
        if self.restore_marker.exists() and not restoring:
            raise LocalError(
                f"A restore to {self.root} was interrupted: run `manage.py restore` with the same "
                "backup again, or remove the folder."
            )
        try:
            self.root.mkdir(parents=True, exist_ok=True)
            for folder in ("run", "storage", "files", "mail", "logs"):
                (self.root / folder).mkdir(exist_ok=True)
            self.keys.mkdir(mode=0o700, exist_ok=True)
            make_private(self.root)
        except OSError as refused:
            raise LocalError(
                f"DROVER_HOME {self.root} cannot be written ({refused.strerror}): free some space, "
                "change its owner, or set DROVER_HOME to another folder."
            ) from refused
