"""Migration operation for the database functions in `.sql` files, next to the Python code that calls them.

Each file has the newest definition of its functions. A change of a file needs a migration that installs it
again; a guard test fails until there is one, and shows the digest it has to name.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path

from django.db.migrations.operations import RunSQL

APPS = Path(__file__).resolve().parents[2]


class InstallFunctions(RunSQL):
    """Create the functions of these files, or replace those of the same name and arguments.

    `files` maps paths below `apps` to the `digest` that each file has when the migration is written. A file that
    has changed since is left to the later migration that names its new digest: the new functions may need columns
    that do not exist yet. A migration that changes the arguments or the result of a function drops the earlier
    one first (`DROP FUNCTION IF EXISTS`).
    """

    def __init__(self, files: Mapping[str, str]) -> None:
        self.files = files
        newest = [path for path, written_for in files.items() if digest(text(path)) == written_for]
        super().__init__("\n".join(text(path) for path in newest), RunSQL.noop)


def text(path: str) -> str:
    return (APPS / path).read_text()


def digest(content: str) -> str:
    return hashlib.sha256(content.encode()).hexdigest()[:12]
