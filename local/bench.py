"""`make bench`: `manage.py bench` on a fresh database of its own."""

import tempfile
from pathlib import Path

from local.errors import LocalError
from local.home import Home
from local.installation import Installation
from local.postgres import free_port
from local.supervisor import Stopped, Supervisor
from local.terminal import complain


def bench() -> None:
    """Make an installation in a temporary home, print the figures, remove it."""
    with tempfile.TemporaryDirectory(prefix="drover-bench-") as folder:
        Path(folder).chmod(0o711)
        home = Home(Path(folder))
        home.make()
        with Supervisor() as supervisor:
            installation = Installation(home, supervisor, database_url="", port=free_port())
            installation.make_ready()
            installation.manage("bench")
        if supervisor.server:
            supervisor.server.delete()


def main() -> int:
    """One sentence and exit code 1 when a figure cannot be taken."""
    try:
        bench()
    except LocalError as failure:
        complain(str(failure))
        return 1
    except Stopped:
        return 130
    return 0
