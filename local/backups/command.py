"""The arguments and exit codes of `manage.py backup` and `manage.py restore`."""

import argparse
import os
from pathlib import Path

import psycopg

from config.env import SettingInvalid
from local.errors import LocalError
from local.home import Home
from local.terminal import complain

COMMAND_NAMES = ("backup", "restore")
FAILED_CODE = 1
INTERRUPTED_CODE = 130  # the exit code of a shell after Ctrl-C


def main(arguments: list[str]) -> int:
    """Run one of the commands, and return its exit code. If it fails, print one sentence."""
    options = _parser().parse_args(arguments)
    home = Home.from_environment()
    try:
        if options.command == "backup":
            from local.backups.make import backup

            backup(options.file.absolute(), options.keys.absolute(), home=home)
        else:
            from local.backups.restore import restore

            admin_url = os.environ.get("DATABASE_URL", "")
            restore(
                options.file.absolute(), options.keys.absolute(), home=home, admin_url=admin_url
            )
    except (LocalError, SettingInvalid, psycopg.Error, OSError) as failure:
        complain(f"The {options.command} failed: {_failure_sentence(failure)}")
        return FAILED_CODE
    except KeyboardInterrupt:
        complain(f"\nThe {options.command} was interrupted: run it again.")
        return INTERRUPTED_CODE
    return 0


def _failure_sentence(failure: Exception) -> str:
    if isinstance(failure, OSError) and failure.filename and failure.strerror:
        return f"{failure.filename}: {failure.strerror}."
    return str(failure).strip().splitlines()[0]


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="manage.py")
    commands = parser.add_subparsers(dest="command", required=True)
    for name, description in (
        ("backup", "write this installation to FILE and its keys to KEYS; Drover may keep running"),
        ("restore", "restore a backup to an empty DROVER_HOME and an empty database"),
    ):
        command = commands.add_parser(name, help=description, description=description)
        command.add_argument(
            "file",
            type=Path,
            metavar="FILE",
            help="the backup: a file with the database and the stored files",
        )
        keys_help = "file with the keys, without which FILE cannot be restored; store FILE and KEYS in different places"
        command.add_argument("--keys", type=Path, metavar="KEYS", required=True, help=keys_help)
    return parser
