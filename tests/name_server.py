"""A real DNS server on loopback. A test sets its records; all other names do not exist."""

from __future__ import annotations

import socketserver
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import cast

import dns.flags
import dns.message
import dns.rcode
import dns.rrset


@dataclass
class NameServer:
    """TXT records in `texts` and CNAME records in `aliases`, by name.

    A query for a name in `silent_names` gets no response, and a query for a name in `broken_names` gets an error.
    """

    texts: dict[str, list[str]] = field(default_factory=dict)
    aliases: dict[str, str] = field(default_factory=dict)
    silent_names: set[str] = field(default_factory=set)
    broken_names: set[str] = field(default_factory=set)
    queried_names: list[str] = field(default_factory=list)
    address: str = ""

    def clear(self) -> None:
        for names in (
            self.texts,
            self.aliases,
            self.silent_names,
            self.broken_names,
            self.queried_names,
        ):
            names.clear()

    def respond(self, query: dns.message.Message) -> dns.message.Message | None:
        name = query.question[0].name.to_text(omit_final_dot=True)
        self.queried_names.append(name)
        if name in self.silent_names:
            return None
        response = dns.message.make_response(query)
        response.flags |= dns.flags.AA
        if name in self.broken_names:
            response.set_rcode(dns.rcode.SERVFAIL)
            return response
        if name in self.aliases:
            target = self.aliases[name]
            response.answer.append(dns.rrset.from_text(f"{name}.", 60, "IN", "CNAME", f"{target}."))
            name = target
        if name in self.texts:
            quoted = [f'"{text}"' for text in self.texts[name]]
            response.answer.append(dns.rrset.from_text_list(f"{name}.", 60, "IN", "TXT", quoted))
        else:
            response.set_rcode(dns.rcode.NXDOMAIN)
        return response


class _Server(socketserver.ThreadingUDPServer):
    daemon_threads = True
    name_server: NameServer


class _Handler(socketserver.BaseRequestHandler):
    def handle(self) -> None:
        data, socket = self.request
        response = cast("_Server", self.server).name_server.respond(dns.message.from_wire(data))
        if response is not None:
            socket.sendto(response.to_wire(), self.client_address)


@contextmanager
def run_name_server() -> Iterator[NameServer]:
    with _Server(("127.0.0.1", 0), _Handler) as server:
        server.name_server = NameServer()
        server.name_server.address = f"127.0.0.1:{server.server_address[1]}"
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server.name_server
        server.shutdown()
