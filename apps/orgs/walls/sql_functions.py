"""Migration operation for the database functions in `.sql` files, which are next to the Python code that calls them.

Each file contains the newest definition of its functions. After a file has changed, a new migration must install it
again. A guard test fails until this migration exists, and shows the digest to use.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path

from django.db.migrations.operations import RunSQL

APPS_FOLDER = Path(__file__).resolve().parents[2]


class InstallFunctions(RunSQL):
    """Create the functions of these files, or replace those of the same name and arguments.

    `files` maps paths in `apps` to the `digest` that each file had when the migration was written. A file that has
    changed since is skipped, because its new functions may need columns that do not exist yet. A later migration with
    the new digest installs it. A migration that changes the arguments or the result of a function first drops
    the old function (`DROP FUNCTION IF EXISTS`).
    """

    def __init__(self, files: Mapping[str, str]) -> None:
        self.files = files
        unchanged_files = [
            path
            for path, written_digest in files.items()
            if digest(read_sql(path)) == written_digest
        ]
        super().__init__("\n".join(read_sql(path) for path in unchanged_files), RunSQL.noop)


def read_sql(path: str) -> str:
    return (APPS_FOLDER / path).read_text()


def digest(content: str) -> str:
    return hashlib.sha256(content.encode()).hexdigest()[:12]
