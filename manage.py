#!/usr/bin/env python
"""Drover's command line: `.venv/bin/python manage.py help` lists the commands."""

import os
import sys
from typing import NoReturn

from apps.background.private import restrict_umask

NOT_STARTED = 2  # as run_pipeline says it; what a command itself found out is 1


def main() -> None:
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
    restrict_umask()
    try:
        from django.core.management import execute_from_command_line
        from django.db.utils import InterfaceError, OperationalError
        from psycopg import Error as DriverError

        asked = sys.argv[2:] if sys.argv[1:2] == ["help"] else sys.argv[1:]
        if asked[:1] in (["backup"], ["restore"]):  # they make servers, databases and roles
            from local.backups.command import main as backups

            sys.exit(backups(asked if asked == sys.argv[1:] else [asked[0], "--help"]))
    except ModuleNotFoundError:
        refuse("Django is not installed here: `make up` installs it, then use .venv/bin/python.")

    from config.env import SettingMissing, adopt_installation, do_without_installation

    try:
        if sys.argv[1:2] in (["test_source"], ["help"], ["--help"], ["-h"], []):
            do_without_installation()
        if sys.argv[1:2] == ["worker"]:
            os.environ["DROVER_PROCESS"] = "worker"
        adopt_installation()
        execute_from_command_line(sys.argv)
        if sys.argv[1:] in (["help"], ["--help"], ["-h"], []):
            sys.stdout.write("\nAnd of Drover itself, with --help: backup, restore\n")
    except SettingMissing as missing:
        refuse(str(missing))
    except (InterfaceError, OperationalError, DriverError) as lost:
        from local.lost_database import DATABASE_LOST, is_lost

        if not is_lost(lost):
            raise
        reason = str(lost).splitlines()[0]
        if "connection failed" not in reason:
            refuse(
                f"The connection to the database was lost ({reason}): run this again.",
                code=DATABASE_LOST,
            )
        refuse(
            f"The database cannot be used ({reason}): does `make up` run, is DATABASE_URL right?"
        )


def refuse(sentence: str, *, code: int = NOT_STARTED) -> NoReturn:
    """One sentence instead of a traceback."""
    sys.stderr.write(f"{sentence}\n")
    sys.exit(code)


if __name__ == "__main__":
    main()
