"""A Git server for tests: git's own `http-backend` behind Python's HTTP server, and a folder to push commits from."""

from __future__ import annotations

import base64
import os
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import urlsplit

ENVIRONMENT = {
    "PATH": os.environ["PATH"],
    "GIT_CONFIG_NOSYSTEM": "1",
    "GIT_AUTHOR_NAME": "Ada Author",
    "GIT_AUTHOR_EMAIL": "ada@example.com",
    "GIT_COMMITTER_NAME": "Ada Author",
    "GIT_COMMITTER_EMAIL": "ada@example.com",
}


@dataclass
class GitServer:
    """A server of the bare repository `repo.git`. If `token` is set, the server requires it as the password."""

    folder: Path
    port: int = 0
    token: str = ""
    requested_paths: list[str] = field(default_factory=list)
    redirect: str = ""  # if set, the base URL to which every request is redirected

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/repo.git"

    def git(self, *arguments: str) -> str:
        completed = subprocess.run(
            ["git", *arguments],
            cwd=self.folder / "work",
            env={**ENVIRONMENT, "HOME": str(self.folder)},
            check=True,
            capture_output=True,
            text=True,
        )
        return completed.stdout.strip()

    def commit(self, message: str = "A change", **files: str | bytes | None) -> str:
        """Write files, commit and push them, and return the commit's id.

        In a file's name `__` means a slash and `_py` the extension. Content of None deletes the file.
        """
        for name, content in files.items():
            path = self.folder / "work" / name.replace("__", "/").replace("_py", ".py")
            if content is None:
                path.unlink()
                continue
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content.encode() if isinstance(content, str) else content)
        return self.push(message)

    def push(self, message: str = "A change") -> str:
        self.git("add", "-A")
        self.git("commit", "-q", "--allow-empty", "-m", message)
        self.git("push", "-q", "origin", "HEAD:main")
        return self.git("rev-parse", "HEAD")


@contextmanager
def git_server(folder: Path) -> Iterator[GitServer]:
    server = GitServer(folder)
    (folder / "work").mkdir()
    subprocess.run(
        ["git", "init", "-q", "--bare", "-b", "main", str(folder / "repo.git")], check=True
    )
    server.git("init", "-q", "-b", "main")
    # Compressing large random files would take a minute.
    server.git("config", "core.compression", "0")
    server.git("remote", "add", "origin", str(folder / "repo.git"))
    http_server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(server))
    server.port = http_server.server_address[1]
    threading.Thread(target=http_server.serve_forever, args=(0.05,), daemon=True).start()
    try:
        yield server
    finally:
        http_server.shutdown()
        http_server.server_close()


def _handler(server: GitServer) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self._serve()

        do_POST = do_GET  # noqa: N815 - http.server's names

        def _serve(self) -> None:
            server.requested_paths.append(self.path)
            if server.redirect:
                self._respond(302, {"Location": server.redirect + self.path})
            elif server.token and not self._has_token():
                self._respond(401, {"WWW-Authenticate": 'Basic realm="git"'})
            else:
                self._run_backend()

        def _has_token(self) -> bool:
            scheme_and_value = self.headers.get("Authorization", "").split()
            credentials = (
                base64.b64decode(scheme_and_value[1]).decode() if len(scheme_and_value) == 2 else ""
            )
            return credentials.partition(":")[2] == server.token

        def _respond(self, status: int, headers: dict[str, str], body: bytes = b"") -> None:
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def _run_backend(self) -> None:
            parts = urlsplit(self.path)
            length = self.headers.get("Content-Length")
            body = self.rfile.read(int(length)) if length else self._read_chunks()
            environment = {
                **ENVIRONMENT,
                "GIT_PROJECT_ROOT": str(server.folder),
                "GIT_HTTP_EXPORT_ALL": "1",
                "REQUEST_METHOD": self.command,
                "PATH_INFO": parts.path,
                "QUERY_STRING": parts.query,
                "CONTENT_TYPE": self.headers.get("Content-Type", ""),
                "CONTENT_LENGTH": str(len(body)),
                "HTTP_CONTENT_ENCODING": self.headers.get("Content-Encoding", ""),
                "GIT_PROTOCOL": self.headers.get("Git-Protocol", ""),
                "GIT_CONFIG_COUNT": "1",
                "GIT_CONFIG_KEY_0": "safe.directory",
                "GIT_CONFIG_VALUE_0": "*",
            }
            completed = subprocess.run(
                ["git", "http-backend"],
                input=body,
                env=environment,
                capture_output=True,
                check=True,
            )
            head, _, content = completed.stdout.partition(b"\r\n\r\n")
            headers = dict(line.split(": ", 1) for line in head.decode().split("\r\n") if line)
            status = int(headers.pop("Status", "200 OK").split()[0])
            self._respond(status, headers, content)

        def _read_chunks(self) -> bytes:
            if self.headers.get("Transfer-Encoding", "").lower() != "chunked":
                return b""
            body = b""
            while size := int(self.rfile.readline(), 16):
                body += self.rfile.read(size)
                self.rfile.readline()
            return body

        def log_message(self, *args: object) -> None:
            return

    return Handler
