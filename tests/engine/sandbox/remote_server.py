"""An HTTP server on loopback, with or without TLS, which sandboxed code connects to."""

from __future__ import annotations

import contextlib
import datetime
import gzip
import ipaddress
import json
import ssl
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

LARGE_PAGE_BYTES = 8 << 20


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        self.server.requests_received.append(self.path)  # type: ignore[attr-defined]
        path, _, target = self.path.partition("?to=")
        if path == "/redirect":
            self._respond(302, b"", {"Location": target})
        elif path == "/large":
            self._respond(
                200, json.dumps([{"text": "x" * 1000}] * (LARGE_PAGE_BYTES // 1000)).encode()
            )
        elif path == "/bomb":
            self._respond(200, gzip.compress(bytes(1 << 20)) * 400, {"Content-Encoding": "gzip"})
        else:
            self._respond(200, json.dumps([{"id": 1, "path": self.path}]).encode())

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self.server.requests_received.append(f"{self.path} {len(body)}")  # type: ignore[attr-defined]
        self._respond(200, json.dumps([{"received": len(body)}]).encode())

    def _respond(self, status: int, body: bytes, headers: dict[str, str] | None = None) -> None:
        self.send_response(status)
        for name, value in {"Content-Length": str(len(body)), **(headers or {})}.items():
            self.send_header(name, value)
        self.end_headers()
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            self.wfile.write(body)

    def log_message(self, *args: object) -> None:
        return


class RemoteServer:
    def __init__(self, server: ThreadingHTTPServer) -> None:
        self.port: int = server.server_address[1]
        self.requests_received: list[str] = server.requests_received  # type: ignore[attr-defined]


@contextlib.contextmanager
def run_server(certificate: Path | None = None) -> Iterator[RemoteServer]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.requests_received = []  # type: ignore[attr-defined]
    if certificate is not None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate)
        server.socket = context.wrap_socket(server.socket, server_side=True)
    threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
    try:
        yield RemoteServer(server)
    finally:
        server.shutdown()
        server.server_close()


def write_certificate(name: str, path: Path) -> str:
    """Write a self-signed certificate and its key to `path`. Return the certificate as PEM."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
    now = datetime.datetime.now(tz=datetime.UTC)
    names = [x509.DNSName(name), x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]
    certificate = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(minutes=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(key, hashes.SHA256())
    )
    pem = certificate.public_bytes(serialization.Encoding.PEM)
    private_pem = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    path.write_bytes(private_pem + pem)
    return pem.decode()
