"""A real DNS server on loopback with the records of a test; other names do not exist."""

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
    """`texts` and `aliases` by name; a name in `silent` gets no response, one in `broken` an error."""

    texts: dict[str, list[str]] = field(default_factory=dict)
    aliases: dict[str, str] = field(default_factory=dict)
    silent: set[str] = field(default_factory=set)
    broken: set[str] = field(default_factory=set)
    asked: list[str] = field(default_factory=list)
    address: str = ""

    def forget(self) -> None:
        for known in (self.texts, self.aliases, self.silent, self.broken, self.asked):
            known.clear()

    def answer(self, question: dns.message.Message) -> dns.message.Message | None:
        name = question.question[0].name.to_text(omit_final_dot=True)
        self.asked.append(name)
        if name in self.silent:
            return None
        answer = dns.message.make_response(question)
        answer.flags |= dns.flags.AA
        if name in self.broken:
            answer.set_rcode(dns.rcode.SERVFAIL)
            return answer
        if name in self.aliases:
            target = self.aliases[name]
            answer.answer.append(dns.rrset.from_text(f"{name}.", 60, "IN", "CNAME", f"{target}."))
            name = target
        if name in self.texts:
            quoted = [f'"{text}"' for text in self.texts[name]]
            answer.answer.append(dns.rrset.from_text_list(f"{name}.", 60, "IN", "TXT", quoted))
        else:
            answer.set_rcode(dns.rcode.NXDOMAIN)
        return answer


class _Server(socketserver.ThreadingUDPServer):
    daemon_threads = True
    knows: NameServer


class _Handler(socketserver.BaseRequestHandler):
    def handle(self) -> None:
        data, socket = self.request
        answer = cast("_Server", self.server).knows.answer(dns.message.from_wire(data))
        if answer is not None:
            socket.sendto(answer.to_wire(), self.client_address)


@contextmanager
def running() -> Iterator[NameServer]:
    with _Server(("127.0.0.1", 0), _Handler) as server:
        server.knows = NameServer()
        server.knows.address = f"127.0.0.1:{server.server_address[1]}"
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server.knows
        server.shutdown()
