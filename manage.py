#!/usr/bin/env python
"""Drover's command line: `.venv/bin/python manage.py help` lists the commands."""

import os
import sys


def main() -> None:
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
    try:
        from django.core.management import execute_from_command_line
    except ModuleNotFoundError:
        sys.exit("Django is not installed here: `make up` installs it, then use .venv/bin/python.")

    from config.env import SettingMissing, adopt_installation

    try:
        adopt_installation()
        execute_from_command_line(sys.argv)
    except SettingMissing as missing:
        sys.exit(str(missing))


if __name__ == "__main__":
    main()
