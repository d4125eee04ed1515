#!/usr/bin/env python
"""Drover's command line: `.venv/bin/python manage.py help` lists the commands."""

import os
import sys
from typing import NoReturn

from apps.background.memory import collect_garbage_less_often
from apps.background.private import restrict_umask

NOT_STARTED = 2  # exit code of a command that could not start, as in run_pipeline; a failed command exits with 1
# Commands that use neither the keys nor the database of an installation, so that they also run where none was made.
WITHOUT_INSTALLATION = ("test_source", "export_openapi", "print_tools", "help", "--help", "-h")


def main() -> None:
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
    restrict_umask()
    collect_garbage_less_often()
    try:
        from django.core.management import execute_from_command_line
        from django.db.utils import InterfaceError, OperationalError
        from psycopg import Error as DriverError

        arguments = sys.argv[2:] if sys.argv[1:2] == ["help"] else sys.argv[1:]
        # These two commands create servers, databases and roles, so they are not Django commands.
        if arguments[:1] in (["backup"], ["restore"]):
            from local.backups.command import main as run_backup_command

            sys.exit(
                run_backup_command(
                    arguments if arguments == sys.argv[1:] else [arguments[0], "--help"]
                )
            )
    except ModuleNotFoundError:
        exit_with_error(
            "Django is not installed for this Python: run `make install`, then use .venv/bin/python."
        )

    from config.env import SettingInvalid, set_placeholder_settings, use_installation

    try:
        if len(sys.argv) == 1 or sys.argv[1] in WITHOUT_INSTALLATION:
            set_placeholder_settings()
        if sys.argv[1:2] == ["worker"]:
            os.environ["DROVER_PROCESS"] = "worker"
        use_installation()
        execute_from_command_line(sys.argv)
        if sys.argv[1:] in (["help"], ["--help"], ["-h"], []):
            sys.stdout.write("\nMore commands of Drover: backup, restore (see their --help)\n")
    except SettingInvalid as error:
        exit_with_error(str(error))
    except (InterfaceError, OperationalError, DriverError) as lost:
        from local.lost_database import DATABASE_LOST_CODE, is_database_lost

        if not is_database_lost(lost):
            raise
        reason = str(lost).splitlines()[0]
        if "connection failed" not in reason:
            exit_with_error(
                f"The connection to the database was lost ({reason}): run the command again.",
                code=DATABASE_LOST_CODE,
            )
        exit_with_error(
            f"The database cannot be used ({reason}): check that `make up` is running, or correct DATABASE_URL."
        )


def exit_with_error(sentence: str, *, code: int = NOT_STARTED) -> NoReturn:
    """Print one sentence instead of a traceback, and exit."""
    sys.stderr.write(f"{sentence}\n")
    sys.exit(code)


if __name__ == "__main__":
    main()
