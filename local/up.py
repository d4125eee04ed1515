"""`make up`: start all processes that Drover needs, in order, and watch them until Drover is stopped."""

import json
import os
import shutil
import sys
import time
import urllib.error
import urllib.request
from dataclasses import dataclass

from local import web
from local.demo import locations as demo_locations
from local.errors import LocalError
from local.home import Home
from local.installation import Installation
from local.lock_file import HomeLock
from local.ports import refuse_port_in_use
from local.supervision.children import Child
from local.supervision.supervisor import Stopped, Supervisor
from local.terminal import complain, phase, say

SPACE_NEEDED = 1 << 30  # bytes for the database cluster, its log and the demo
WEB_SECONDS = 90.0


@dataclass(frozen=True)
class StartOptions:
    """The options of this start."""

    home: Home
    port: int
    database_url: str

    @classmethod
    def from_environment(cls) -> "StartOptions":
        """Read PORT, DATABASE_URL and DROVER_HOME. Raises LocalError."""
        port = os.environ.get("PORT") or "8000"
        if not port.isascii() or not port.isdigit() or not 1 <= int(port) <= 65535:
            raise LocalError(f"PORT is {port!r}: use a number from 1 to 65535, such as PORT=8000.")
        return cls(Home.from_environment(), int(port), os.environ.get("DATABASE_URL", ""))


def up(options: StartOptions) -> None:
    """Start all processes, run the demo, and watch the processes until Drover is stopped."""
    options.home.create_folders()
    require_disk_space(options.home)
    with HomeLock(options.home.runtime_folder / "lock"):
        refuse_port_in_use(options.port)
        try:
            with Supervisor() as supervisor:
                Startup(options, supervisor).run()
                supervisor.keep_running()
        except Stopped:
            say("\nDrover has stopped. `make up` starts it again with the same data.")


def require_disk_space(home: Home) -> None:
    """Raise LocalError if less than SPACE_NEEDED is free."""
    free = shutil.disk_usage(home.root).free
    if free < SPACE_NEEDED:
        raise LocalError(
            f"The disk of {home.root} has {free >> 20} MB left, and 1 GB is needed: free some "
            "space, or set DROVER_HOME to a folder on another disk."
        )


class Startup:
    """Runs the phases of one start."""

    def __init__(self, options: StartOptions, supervisor: Supervisor) -> None:
        self.supervisor = supervisor
        self.home = options.home
        self.installation = Installation(
            options.home, supervisor, database_url=options.database_url, port=options.port
        )

    def run(self) -> None:
        """Run every phase. At the end Drover is running, and the results of the demo are checked."""
        say("Drover is starting; Ctrl-C stops it.")
        self.installation.prepare_all()
        api_port = self.installation.reserve_port("demo_api")
        web_process = self._start_processes(api_port)
        with phase("Demo data"):
            self.installation.run_prepare("demo")
        with phase("Web"):
            self._wait_for_web(web_process)
        say("  Demo pipelines")
        self.installation.run_manage(
            "demo",
            *("--report", str(self.home.report_file)),
            env=demo_locations.environment(
                self.home, database_url=self.installation.admin_url, api_port=api_port
            ),
        )
        self._print_summary()

    def _start_processes(self, api_port: int) -> Child:
        """Start the web process, the worker and the demo's API. Returns the web process."""
        web_process = self._add_child(
            "web",
            *web.command(port=self.installation.port)[1:],
            *("--log-level", "warning"),
        )
        self._add_child("worker", "manage.py", "worker")
        self._add_child("demo-api", "-m", "local.demo.api", "--port", str(api_port))
        return web_process

    def _add_child(self, name: str, *arguments: str) -> Child:
        command = (sys.executable, *arguments)
        log = self.home.logs / f"{name}.log"
        env = self.installation.environment()
        return self.supervisor.add(Child(name=name, command=command, env=env, log=log))

    def _wait_for_web(self, web_process: Child) -> None:
        deadline = time.monotonic() + WEB_SECONDS
        while not _is_responding(self.installation.port):
            if time.monotonic() > deadline:
                raise LocalError(f"The web process does not respond: see {web_process.log}.")
            self.supervisor.require_no_repeated_deaths(web_process)
            self.supervisor.watch()
            self.supervisor.sleep_until_event(0.1)

    def _print_summary(self) -> None:
        report = json.loads(self.home.report_file.read_text())
        say("")
        say(f"  Open      {report['url']}")
        say(f"  Log in    {report['email']}  {report['password'] or '(the password you chose)'}")
        say(f"  Org       {report['organization']}")
        say(f"  Files     {self.home.root}   (this summary is in demo.json, the logs are in logs/)")
        if not _has_mail_server():
            say(
                f"  Mail      {self.home.root / 'mail'}   (no mail server is set, so mails are files here)"
            )
        say("")


def _has_mail_server() -> bool:
    return any(os.environ.get(name) for name in ("DROVER_MAIL_URL", "DROVER_MAIL_URL_FILE"))


def _is_responding(port: int) -> bool:
    """Whether the web process responds, even if the response is an error."""
    try:
        urllib.request.urlopen(f"http://127.0.0.1:{port}/api/v1/health/live", timeout=2).close()
    except urllib.error.HTTPError:
        return True
    except OSError:
        return False
    return True


def main() -> int:
    """Start Drover. Returns the exit code. If Drover cannot start, it prints one sentence."""
    try:
        up(StartOptions.from_environment())
    except LocalError as failure:
        complain(str(failure))
        return 1
    except OSError as failure:
        complain(
            f"Drover cannot continue ({failure}): free some space or correct the folder, then try again."
        )
        return 1
    return 0
