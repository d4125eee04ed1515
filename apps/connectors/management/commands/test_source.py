"""`manage.py test_source PATH`: check a custom source as the platform would, and read a few records."""

from __future__ import annotations

import getpass
import json
import sys
from argparse import ArgumentParser
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from uuid import UUID

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

from apps.connectors import engine, schemas
from apps.engine.answers import Failure, Report
from apps.engine.authoring.text import is_source_file
from apps.engine.contract import CodeSpec, SourceSpec
from apps.engine.reporting.terminal import printable_text

NOBODY = UUID(int=0)  # the org used for the run; it has no files
UNREADABLE = 2
SHOWN = 100  # records at most


class Command(BaseCommand):
    help = (
        "Test a custom source here, in the same sandbox as on the platform: validate it, check the connection, "
        "list its streams, read some records. A folder is validated file by file. Needs no database. "
        "Exit code 0: success, 1: a test failed, 2: the file or the settings"
        " cannot be used."
    )
    requires_system_checks = ()  # none: system checks need a database

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("path", type=Path, help="a .py file, or a folder of .py files")
        parser.add_argument("--stream", help="the stream to read; by default the first")
        parser.add_argument(
            "--config", help="file with the settings as JSON, - for standard input", metavar="FILE"
        )
        parser.add_argument(
            "--set",
            dest="pairs",
            action="append",
            default=[],
            metavar="NAME=VALUE",
            help="one setting, as JSON or text; secrets are prompted for, or put them into --config",
        )
        parser.add_argument(
            "--records", type=int, default=10, help=f"number of records to read, at most {SHOWN}"
        )
        parser.add_argument(
            "--private-networks", action="store_true", help="allow connections to private networks"
        )

    def handle(
        self,
        *args: Any,
        path: Path,
        stream: str | None,
        config: str | None,
        pairs: list[str],
        records: int,
        private_networks: bool,
        **options: Any,
    ) -> None:
        files = _files(path)
        reports = {file: self._validated(file) for file in files}
        if not all(report["valid"] for report in reports.values()):
            raise CommandError("The source is not valid.", returncode=1)
        if path.is_dir():
            return
        (report,) = reports.values()
        if private_networks:
            settings.ALLOW_PRIVATE_NETWORKS = True
        plain = _settings(report, config, pairs)
        code = CodeSpec(
            _text(path), tuple(report["hosts"]), tuple(report["secret_names"]), path.name
        )
        spec = SourceSpec("custom", plain, _stream(report, stream), code=code)
        try:
            self._check(spec)
            self._list_streams(spec)
            self._fetch(spec, max(1, min(records, SHOWN)))
        finally:
            engine.supervisor().close()

    def _validated(self, file: Path) -> Report:
        report = engine.validate(org_id=NOBODY, code=_text(file))
        for one in (*report["errors"], *report["warnings"]):
            self._say(f"{file}:{one['line']}:{one['column']}: {one['severity']}: {one['message']}")
        if report["valid"]:
            names = ", ".join(stream["name"] for stream in report["streams"]) or "none named"
            self._good("valid", f"{report['source_name']}, streams: {names}")
            self._good("reaches", ", ".join(report["hosts"]) or "no host")
        return report

    def _check(self, spec: SourceSpec) -> None:
        answer = engine.check(
            org_id=NOBODY, role="source", kind=spec.kind, config=spec.config, code=spec.code
        )
        for step in answer["steps"]:
            if step["ok"]:
                self._good(step["step"], f"{step['message']} ({step['ms']:.0f} ms)")
            else:
                message = printable_text(f"{step['step']}: {step['message']}")
                raise CommandError(message, returncode=1)

    def _list_streams(self, spec: SourceSpec) -> None:
        found = engine.discover(org_id=NOBODY, kind=spec.kind, config=spec.config, code=spec.code)
        if found["failure"]:
            raise _failed("streams", found["failure"])
        for one in found["streams"]:
            key = f", key {', '.join(one['primary_key'])}" if one["primary_key"] else ""
            self._good("stream", f"{one['name']}: {' and '.join(one['sync_modes'])}{key}")

    def _fetch(self, spec: SourceSpec, limit: int) -> None:
        answer = engine.try_source(org_id=NOBODY, source=spec, limit=limit)
        for line in answer["log"]:
            self._say(f"  log      {line['level']}: {line['message']}")
        for call in answer["requests"]:
            self._say(
                f"  request  {call['method']} {call['url']} {call['status']} in {call['ms']:.0f} ms"
            )
        for place in answer["network"]:
            if place["refused"]:
                self._say(f"  refused  {place['host']}:{place['port']}: {place['refused']}")
        if answer["failure"]:
            raise _failed("fetch", answer["failure"])
        self._good("fetch", f"{len(answer['records'])} records of {spec.stream}")
        if answer["rejected"]:
            self._say(f"  rejected {answer['rejected']} more records, which are empty or invalid")
        for record in answer["records"]:
            self._say(json.dumps(record, ensure_ascii=False))

    def _good(self, step: str, message: str) -> None:
        self.stdout.write(f"{self.style.SUCCESS('ok')} {step:<8} {_indented(message)}")

    def _say(self, text: str) -> None:
        self.stdout.write(_indented(text))


def _indented(text: str) -> str:
    """Indent further lines, so that the tested code cannot imitate lines of this command."""
    return printable_text(text).replace("\n", "\n    ")


def _files(path: Path) -> list[Path]:
    """Return the files that a repository sync would use. Raises CommandError."""
    if path.is_dir():
        found = [one for one in sorted(path.iterdir()) if is_source_file(one.name)]
        if not found:
            raise CommandError(f"There is no source in {path}.", returncode=UNREADABLE)
        return found
    if not path.is_file():
        raise CommandError(f"There is no file {path}.", returncode=UNREADABLE)
    return [path]


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise CommandError(f"{path} cannot be read: {error}", returncode=UNREADABLE) from None


def _settings(report: Report, config: str | None, pairs: Sequence[str]) -> dict[str, Any]:
    """Return the source's settings, prompting for secrets if possible.

    Raises CommandError naming each invalid one.
    """
    found = _from_file(config) if config else {}
    for pair in pairs:
        name, equals, value = pair.partition("=")
        if not equals:
            raise CommandError(f"--set takes NAME=VALUE, not {pair!r}.", returncode=UNREADABLE)
        found[name] = _value(value)
    schema = report["config_schema"]
    missing = [name for name in schema.get("required", ()) if name not in found]
    for name in missing:
        if name in report["secret_names"] and sys.stdin.isatty():
            found[name] = getpass.getpass(f"{name}: ")
    if errors := schemas.errors(schema, found):
        lines = "\n".join(f"  {name or 'settings'}: {message}" for name, message, _ in errors)
        raise CommandError(f"The settings are not valid:\n{lines}", returncode=UNREADABLE)
    return found


def _from_file(name: str) -> dict[str, Any]:
    text = sys.stdin.read() if name == "-" else _text(Path(name))
    try:
        found = json.loads(text)
    except ValueError as error:
        raise CommandError(f"{name} is not JSON: {error}", returncode=UNREADABLE) from None
    if not isinstance(found, dict):
        raise CommandError(f"{name} is not a JSON object.", returncode=UNREADABLE)
    return found


def _value(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return text


def _stream(report: Report, wanted: str | None) -> str:
    names = [stream["name"] for stream in report["streams"]]
    if wanted is None and names:
        return str(names[0])
    if wanted is None or (names and wanted not in names):
        known = ", ".join(names) or "none that can be read without running it; name one"
        message = printable_text(f"Name a --stream; it has {known}.")
        raise CommandError(message, returncode=UNREADABLE)
    return wanted


def _failed(step: str, failure: Failure) -> CommandError:
    lines = "".join(f"\n  {line}" for line in failure["evidence"])
    return CommandError(printable_text(f"{step}: {failure['message']}{lines}"), returncode=1)
