"""`manage.py test_source PATH`: check a custom source in the same way as the platform, and read a few records."""

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

NO_ORG = UUID(int=0)  # used as the org's id, because this command needs no org
EXIT_UNUSABLE_INPUT = 2
MAX_RECORDS = 100


class Command(BaseCommand):
    help = (
        "Test a custom source on this machine, in the same sandbox as on the platform: validate it, check the "
        "connection, list its streams, read some records. If PATH is a folder, its sources are only validated. "
        "Needs no database. Exit code 0: success, 1: a test failed, 2: the file or the settings cannot be used."
    )
    requires_system_checks = ()  # System checks need a database.

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
            help="one setting, as JSON or text; secrets are prompted for, or read from --config",
        )
        parser.add_argument(
            "--records",
            type=int,
            default=10,
            help=f"number of records to read, at most {MAX_RECORDS}",
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
        files = _source_files(path)
        reports = {file: self._validate(file) for file in files}
        if not all(report["valid"] for report in reports.values()):
            raise CommandError("The source is not valid.", returncode=1)
        if path.is_dir():
            return
        (report,) = reports.values()
        if private_networks:
            settings.ALLOW_PRIVATE_NETWORKS = True
        source_config = _read_settings(report, config, pairs)
        code = CodeSpec(
            _read_text(path), tuple(report["hosts"]), tuple(report["secret_names"]), path.name
        )
        spec = SourceSpec("custom", source_config, _stream_name(report, stream), code=code)
        try:
            self._check(spec)
            self._list_streams(spec)
            self._fetch(spec, max(1, min(records, MAX_RECORDS)))
        finally:
            engine.supervisor().close()

    def _validate(self, file: Path) -> Report:
        report = engine.validate(org_id=NO_ORG, code=_read_text(file))
        for finding in (*report["errors"], *report["warnings"]):
            place = f"{file}:{finding['line']}:{finding['column']}"
            self._print(f"{place}: {finding['severity']}: {finding['message']}")
        if report["valid"]:
            names = (
                ", ".join(stream["name"] for stream in report["streams"])
                or "known only when it runs"
            )
            self._print_success("valid", f"{report['source_name']}, streams: {names}")
            self._print_success("hosts", ", ".join(report["hosts"]) or "none")
        return report

    def _check(self, spec: SourceSpec) -> None:
        answer = engine.check(
            org_id=NO_ORG, role="source", kind=spec.kind, config=spec.config, code=spec.code
        )
        for step in answer["steps"]:
            if step["ok"]:
                self._print_success(step["step"], f"{step['message']} ({step['ms']:.0f} ms)")
            else:
                message = printable_text(f"{step['step']}: {step['message']}")
                raise CommandError(message, returncode=1)

    def _list_streams(self, spec: SourceSpec) -> None:
        answer = engine.discover(org_id=NO_ORG, kind=spec.kind, config=spec.config, code=spec.code)
        if answer["failure"]:
            raise _failure_error("streams", answer["failure"])
        for stream in answer["streams"]:
            key = f", key {', '.join(stream['primary_key'])}" if stream["primary_key"] else ""
            self._print_success(
                "stream", f"{stream['name']}: {' and '.join(stream['sync_modes'])}{key}"
            )

    def _fetch(self, spec: SourceSpec, limit: int) -> None:
        answer = engine.try_source(org_id=NO_ORG, source=spec, limit=limit)
        for line in answer["log"]:
            self._print(f"  log      {line['level']}: {line['message']}")
        for call in answer["requests"]:
            self._print(
                f"  request  {call['method']} {call['url']} {call['status']} in {call['ms']:.0f} ms"
            )
        for place in answer["network"]:
            if place["refused"]:
                self._print(f"  refused  {place['host']}:{place['port']}: {place['refused']}")
        if answer["failure"]:
            raise _failure_error("fetch", answer["failure"])
        self._print_success("fetch", f"{len(answer['records'])} records of {spec.stream}")
        if answer["rejected"]:
            self._print(f"  rejected {answer['rejected']} more records, which are empty or invalid")
        if answer["skipped"]:
            self._print(f"  skipped  {answer['skipped']} more records")
        for record in answer["records"]:
            self._print(json.dumps(record, ensure_ascii=False))

    def _print_success(self, step: str, message: str) -> None:
        self.stdout.write(f"{self.style.SUCCESS('ok')} {step:<8} {_indent(message)}")

    def _print(self, text: str) -> None:
        self.stdout.write(_indent(text))


def _indent(text: str) -> str:
    """Indent all lines after the first, so that the tested code cannot imitate the output of this command."""
    return printable_text(text).replace("\n", "\n    ")


def _source_files(path: Path) -> list[Path]:
    """Return the files that a repository sync would use. Raises CommandError."""
    if path.is_dir():
        files = [file for file in sorted(path.iterdir()) if is_source_file(file.name)]
        if not files:
            raise CommandError(f"There is no source in {path}.", returncode=EXIT_UNUSABLE_INPUT)
        return files
    if not path.is_file():
        raise CommandError(f"There is no file {path}.", returncode=EXIT_UNUSABLE_INPUT)
    return [path]


def _read_text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise CommandError(
            f"{path} cannot be read: {error}", returncode=EXIT_UNUSABLE_INPUT
        ) from None


def _read_settings(report: Report, config: str | None, pairs: Sequence[str]) -> dict[str, Any]:
    """Return the source's settings, prompting for secrets if possible.

    Raises CommandError that names each invalid setting.
    """
    values = _read_settings_file(config) if config else {}
    for pair in pairs:
        name, equals, value = pair.partition("=")
        if not equals:
            raise CommandError(
                f"--set takes NAME=VALUE, not {pair!r}.", returncode=EXIT_UNUSABLE_INPUT
            )
        values[name] = _parse_value(value)
    schema = report["config_schema"]
    missing = [name for name in schema.get("required", ()) if name not in values]
    for name in missing:
        if name in report["secret_names"] and sys.stdin.isatty():
            values[name] = getpass.getpass(f"{name}: ")
    if errors := schemas.errors(schema, values):
        lines = "\n".join(f"  {name or 'settings'}: {message}" for name, message, _ in errors)
        raise CommandError(f"The settings are not valid:\n{lines}", returncode=EXIT_UNUSABLE_INPUT)
    return values


def _read_settings_file(name: str) -> dict[str, Any]:
    text = sys.stdin.read() if name == "-" else _read_text(Path(name))
    try:
        values = json.loads(text)
    except ValueError as error:
        raise CommandError(f"{name} is not JSON: {error}", returncode=EXIT_UNUSABLE_INPUT) from None
    if not isinstance(values, dict):
        raise CommandError(f"{name} is not a JSON object.", returncode=EXIT_UNUSABLE_INPUT)
    return values


def _parse_value(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return text


def _stream_name(report: Report, requested: str | None) -> str:
    names = [stream["name"] for stream in report["streams"]]
    if requested is None and names:
        return str(names[0])
    if requested is None or (names and requested not in names):
        known = ", ".join(names) or "known only when it runs"
        message = printable_text(
            f"Choose a stream with --stream. The streams of the source: {known}."
        )
        raise CommandError(message, returncode=EXIT_UNUSABLE_INPUT)
    return requested


def _failure_error(step: str, failure: Failure) -> CommandError:
    lines = "".join(f"\n  {line}" for line in failure["evidence"])
    return CommandError(printable_text(f"{step}: {failure['message']}{lines}"), returncode=1)
