"""A lock for one supervisor per home. The kernel releases the lock when its holder dies, so it is never stale."""

import fcntl
import os
from pathlib import Path
from types import TracebackType
from typing import Self

from local.errors import LocalError


class HomeLock:
    """Held while Drover runs on a home; the file contains the id of the process that holds it."""

    def __init__(self, path: Path, *, busy: str = "") -> None:
        self.path = path
        self._busy = busy
        self._handle: int | None = None

    def __enter__(self) -> Self:
        """Take the lock. Raises LocalError naming the process that has it."""
        while self._handle is None:
            handle = os.open(self.path, os.O_RDWR | os.O_CREAT, 0o600)
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                holder = os.read(handle, 32).decode(errors="replace").strip() or "unknown"
                os.close(handle)
                busy = self._busy or (
                    f"Drover is already running on {self.path.parents[1]} (process {holder}): stop it, "
                    "or set DROVER_HOME and PORT for a second one."
                )
                raise LocalError(busy) from None
            if self._is_still_the_file(handle):
                self._handle = handle
            else:  # Its holder removed the file between our open and our lock.
                os.close(handle)
        os.ftruncate(self._handle, 0)
        os.write(self._handle, f"{os.getpid()}\n".encode())
        return self

    def _is_still_the_file(self, handle: int) -> bool:
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
