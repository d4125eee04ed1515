"""Replace `socket`: the egress broker opens each connection and passes one end of a socket pair to this process.

This process never has an INET socket. Code that bypasses this module cannot connect, because the broker decides
about connections and the kernel rejects everything else. This module does not resolve names. It gives each name a
placeholder address from 198.18.0.0/16 (RFC 2544) and maps the address back to the name.
"""

from __future__ import annotations

import _socket
import array
import ipaddress
import json
import os
import socket
import threading
from collections.abc import Iterable
from typing import Any

from drover._failures import EgressRefused

Address = tuple[Any, ...]

_OriginalSocket = socket.socket
_lock = threading.Lock()
_names: dict[str, str] = {}  # address -> name
_addresses: dict[str, str] = {}  # name -> address
_broker: socket.socket | None = None

PORTS = {"http": 80, "https": 443}
INTERNET_LEVELS = {socket.IPPROTO_IP, socket.IPPROTO_TCP, socket.IPPROTO_IPV6}
BUFFER_SIZE_OPTIONS = {socket.SO_SNDBUF, socket.SO_RCVBUF}
MAX_NAMES = 65_000


class _JoiningSocket(_OriginalSocket):
    """Implements `sendmsg` as one `send`, because the kernel rejects sendmsg, which can also pass descriptors."""

    def sendmsg(
        self, buffers: Iterable[Any], ancdata: Any = (), flags: int = 0, address: Any = None
    ) -> int:
        if ancdata or address is not None:
            raise PermissionError(1, "a custom source cannot pass descriptors")
        return self.send(b"".join(buffers), flags)


class BrokeredSocket(_JoiningSocket):
    """Behaves like a TCP socket, but its descriptor is one end of a UNIX socket pair."""

    _peer: Address | None = None
    _is_internet = False

    def __init__(
        self, family: int = -1, type: int = -1, proto: int = -1, fileno: int | None = None
    ) -> None:
        if fileno is not None or family == socket.AF_UNIX:
            super().__init__(family, type, proto, fileno)
            return
        if type != -1 and type & 0xF != socket.SOCK_STREAM:
            raise PermissionError(1, "a custom source can only use TCP")
        own_end, other_end = _socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
        other_end.close()
        super().__init__(socket.AF_UNIX, socket.SOCK_STREAM, 0, own_end.detach())
        self._is_internet = True

    @property
    def family(self) -> int:  # type: ignore[override]
        return socket.AF_INET if self._is_internet else super().family

    def connect(self, address: Any) -> None:
        if not self._is_internet:
            raise PermissionError(1, "a custom source can only use TCP")
        host, port = str(address[0]), int(address[1])
        fd = _request_connection(_names.get(host, host), port)
        timeout = self.gettimeout()
        os.dup2(fd, self.fileno(), inheritable=False)
        os.close(fd)
        self.settimeout(timeout)
        self._peer = (host, port)

    def connect_ex(self, address: Any) -> int:
        try:
            self.connect(address)
        except OSError as error:
            return error.errno or 111
        return 0

    def bind(self, address: Any) -> None:
        raise PermissionError(1, "a custom source cannot listen")

    def getpeername(self) -> Any:
        return self._peer or super().getpeername()

    def getsockname(self) -> Any:
        return ("198.18.0.0", 0) if self._is_internet else super().getsockname()

    def setsockopt(self, level: int, *options: Any) -> None:
        # The kernel rejects options of the internet levels and buffer sizes, so ignore them.
        is_buffer_size = level == socket.SOL_SOCKET and options[0] in BUFFER_SIZE_OPTIONS
        if level not in INTERNET_LEVELS and not is_buffer_size:
            super().setsockopt(level, *options)


def _request_connection(host: str, port: int) -> int:
    """Let the broker open a connection, and return its descriptor. Raises ConnectionRefusedError with the reason."""
    if _broker is None:
        raise ConnectionRefusedError(111, "this code has no network access")
    with _lock:
        _broker.sendall(json.dumps({"host": host, "port": port}).encode())
        data, ancillary, _, _ = _broker.recvmsg(4096, socket.CMSG_SPACE(4))
    if not data:
        raise ConnectionRefusedError(111, "the network was closed")
    response = json.loads(data)
    if "refused" in response:
        raise EgressRefused(111, f"{host}:{port} was refused: {response['refused']}")
    if "unreachable" in response:
        raise ConnectionRefusedError(111, f"{host}:{port}: {response['unreachable']}")
    fds = array.array("i")
    fds.frombytes(ancillary[0][2][:4])
    return fds[0]


def getaddrinfo(
    host: Any, port: Any, family: int = 0, type: int = 0, proto: int = 0, flags: int = 0
) -> list[Any]:
    name = host.decode("ascii") if isinstance(host, bytes) else str(host or "localhost")
    number = int(port) if str(port).isdigit() else PORTS.get(str(port), 0)
    return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (_placeholder_address(name), number))]


def _placeholder_address(name: str) -> str:
    name = name.lower().rstrip(".")
    try:
        return str(ipaddress.ip_address(name))
    except ValueError:
        pass
    with _lock:
        address = _addresses.get(name)
        if address is None:
            if len(_addresses) >= MAX_NAMES:
                raise socket.gaierror(socket.EAI_MEMORY, "too many host names")
            number = len(_addresses) + 1
            address = f"198.18.{number >> 8}.{number & 255}"
            _addresses[name] = address
            _names[address] = name
    return address


def _socketpair(
    family: int | None = None, type: int = socket.SOCK_STREAM, proto: int = 0
) -> tuple[socket.socket, socket.socket]:
    first, second = _socket.socketpair(socket.AF_UNIX, type, proto)
    return (
        _JoiningSocket(socket.AF_UNIX, type, proto, first.detach()),
        _JoiningSocket(socket.AF_UNIX, type, proto, second.detach()),
    )


def install(control_fd: int | None) -> None:
    """Patch the module `socket`. Without a control descriptor all connections fail."""
    global _broker
    if control_fd is not None:
        _broker = _OriginalSocket(fileno=control_fd)
    replacements: dict[str, Any] = {
        "socket": BrokeredSocket,
        "SocketType": BrokeredSocket,
        "socketpair": _socketpair,
        "getaddrinfo": getaddrinfo,
        "gethostbyname": lambda name: getaddrinfo(name, 0)[0][4][0],
        "gethostname": lambda: "sandbox",
        "getfqdn": lambda name="": name or "sandbox",
    }
    for name, value in replacements.items():
        setattr(socket, name, value)
