"""A lock that one process at a time can hold, for example the supervisor of a home.

The kernel releases the lock when the process that holds it dies.
"""

import fcntl
import os
from pathlib import Path
from types import TracebackType
from typing import Self

from local.errors import LocalError


class HomeLock:
    """A lock on a file. The file contains the id of the process that holds the lock."""

    def __init__(self, path: Path, *, busy_message: str = "") -> None:
        self.path = path
        self._busy_message = busy_message
        self._handle: int | None = None

    def __enter__(self) -> Self:
        """Take the lock. Raises LocalError if another process holds it."""
        while self._handle is None:
            handle = os.open(self.path, os.O_RDWR | os.O_CREAT, 0o600)
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                holder = os.read(handle, 32).decode(errors="replace").strip() or "unknown"
                os.close(handle)
                message = self._busy_message or (
                    f"Drover is already running on {self.path.parents[1]} (process {holder}): stop it, "
                    "or set DROVER_HOME and PORT to start a second Drover."
                )
                raise LocalError(message) from None
            if self._is_current_file(handle):
                self._handle = handle
            else:  # The previous holder has removed the file since it was opened here.
                os.close(handle)
        os.ftruncate(self._handle, 0)
        os.write(self._handle, f"{os.getpid()}\n".encode())
        return self

    def _is_current_file(self, handle: int) -> bool:
        try:
            return os.path.samestat(os.fstat(handle), self.path.stat())
        except FileNotFoundError:
            return False

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.path.unlink(missing_ok=True)
        if self._handle is not None:
            os.close(self._handle)
