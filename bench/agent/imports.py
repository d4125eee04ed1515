"""`python -m bench.agent.imports PROCESS`: print the memory that the agent's imports add to a process, as JSON.

PROCESS is `worker` (the graph and guided mode), `provider` (also the package of one provider) or `web` (Channels, and
the MCP server of the first request). Everything else that the process uses is imported before.
"""

from __future__ import annotations

import gc
import os
import re
import sys
from importlib import import_module
from pathlib import Path

import django
import orjson


def main(process: str) -> None:
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
    os.environ["DROVER_PROCESS"] = "web" if process == "web" else "worker"
    django.setup()
    before, add = (_web, _add_to_web) if process == "web" else (_worker, _add_to_worker)
    before()
    megabytes = _resident_megabytes()
    add()
    if process == "provider":
        import_module("langchain_openai")
    output = {"megabytes": _resident_megabytes() - megabytes}
    sys.stdout.write(orjson.dumps(output).decode())


def _worker() -> None:
    import_module("apps.background.workers")
    import_module("apps.agent.tasks")


def _add_to_worker() -> None:
    from apps.agent import chat_models
    from apps.agent.turns import loop

    loop.import_packages()
    chat_models._build_guided()


def _web() -> None:
    from django.core.wsgi import get_wsgi_application
    from django.urls import get_resolver

    get_wsgi_application()
    for module in ("a2wsgi", "uvicorn.server", "apps.live.streams", "apps.live.tickets"):
        import_module(module)
    len(get_resolver().url_patterns)  # imports all views


def _add_to_web() -> None:
    from apps.agent.mcp.application import McpApplication

    import_module("config.asgi")
    McpApplication()._build_manager()


def _resident_megabytes() -> float:
    gc.collect()
    status = Path("/proc/self/status").read_text()
    match = re.search(r"^VmRSS:\s+(\d+) kB", status, re.MULTILINE)
    return int(match[1]) / 1024 if match else 0.0


if __name__ == "__main__":
    main(sys.argv[1])
