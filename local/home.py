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
        named = os.environ.get("DROVER_HOME") or CHECKOUT / ".drover"
        return cls(Path(named).expanduser().absolute())

    @property
    def keys(self) -> Path:
        """Generated secrets, mode 0700."""
        return self.root / "keys"

    @property
    def cluster(self) -> Path:
        """The embedded PostgreSQL's data, or a link to it."""
        return self.root / "pg"

    @property
    def run(self) -> Path:
        """The lock of the running supervisor, and the ports of its parts."""
        return self.root / "run"

    @property
    def addresses(self) -> Path:
        """The URLs of database and dashboard, for manually started commands. No secrets."""
        return self.run / "addresses.json"

    @property
    def logs(self) -> Path:
        """One file per process."""
        return self.root / "logs"

    @property
    def report(self) -> Path:
        """The output of `make up` for programs."""
        return self.root / "demo.json"

    @property
    def unfinished(self) -> Path:
        """Exists while a restore is running, and after one that was interrupted."""
        return self.root / "restore-unfinished.json"

    def make(self, *, restoring: bool = False) -> None:
        """Create missing folders. Raises LocalError if that is not possible."""
        if self.unfinished.exists() and not restoring:
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
