"""Common HTTP clients work through the sandbox's broker. Code can connect only to the allowed hosts."""

from __future__ import annotations

import os
import textwrap
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from apps.egress.allowlist import AllowList
from apps.egress.broker import ConnectionAttempt, EgressLimits
from apps.engine.failures import EngineError
from apps.engine.sandbox.limits import LimitExceeded, Limits
from apps.engine.sandbox.process import MAX_OPEN_FILES, SandboxSite
from apps.engine.sandbox.session import Callbacks, Request, Sandbox
from tests.engine.sandbox import modes, remote_server
from tests.engine.sandbox.attack_targets import SMALL_LIMITS, SOURCE_SETTINGS
from tests.engine.sandbox.remote_server import RemoteServer

MODES = modes.available_modes()


def resolve_to_loopback(host: str, port: int, *, allow_private: bool) -> list[str]:
    """Resolve every host to loopback, without checks. With this resolver the attacks below succeed."""
    return ["127.0.0.1"]


class NetworkTrial:
    """Run code that uses the network, and record its connections, requests and log lines."""

    def __init__(self, site: SandboxSite, port: int) -> None:
        self.site = site
        self.port = port
        self.connections: list[ConnectionAttempt] = []
        self.requests: list[Request] = []
        self.log_lines: list[str] = []

    def run_code(
        self,
        body: str,
        egress_limits: EgressLimits,
        *,
        limits: Limits = SMALL_LIMITS,
        preamble: str = "",
        **config: Any,
    ) -> list[Any]:
        code = (
            f"{preamble}\nfrom drover import Page, Source\n\nclass NetworkSource(Source):\n    streams = ['attack']\n\n"
            "    def get(self, pagination=None):\n"
            + textwrap.indent(textwrap.dedent(body), "        ")
        )
        callbacks = Callbacks(
            log=lambda level, message: self.log_lines.append(message),
            request=self.requests.append,
            connection=self.connections.append,
        )
        with Sandbox(
            code, site=self.site, limits=limits, egress_limits=egress_limits, callbacks=callbacks
        ) as sandbox:
            source_settings = {**SOURCE_SETTINGS, "config": {"port": self.port, **config}}
            return sandbox.call(
                "page", source_settings=source_settings, pagination=None, since=None, limit=None
            ).rows

    def egress_limits(self, *hosts: str, **options: Any) -> EgressLimits:
        entries = tuple(f"{host}:{self.port}" if host != "*" else host for host in hosts)
        return EgressLimits(AllowList(entries), **options)


@pytest.fixture
def server() -> Iterator[RemoteServer]:
    with remote_server.run_server() as server:
        yield server


@pytest.fixture
def trial(server: RemoteServer, make_site: Callable[[str], SandboxSite]) -> NetworkTrial:
    return NetworkTrial(make_site(MODES[-1]), server.port)


USUAL_CODE = {
    "requests": """
        import requests
        session = requests.Session()
        for _ in range(3):
            rows = session.get(f"http://shop.test:{self.config.port}/a").json()
        return Page(rows)
    """,
    "httpx": """
        import httpx
        with httpx.Client() as client:
            return Page(client.get(f"http://shop.test:{self.config.port}/a").json())
    """,
    "httpx async": """
        import asyncio, httpx
        async def several():
            async with httpx.AsyncClient() as client:
                url = f"http://shop.test:{self.config.port}/a"
                return [(await answer).json()[0] for answer in [client.get(url) for _ in range(3)]]
        return Page(asyncio.run(several())[:1])
    """,
    "a large upload by asyncio": """
        import asyncio, httpx
        async def upload():
            async with httpx.AsyncClient() as client:
                url = f"http://shop.test:{self.config.port}/in"
                return (await client.post(url, content=b"x" * 3_000_000)).json()
        assert asyncio.run(upload()) == [{"received": 3_000_000}]
        import socket
        first, second = socket.socketpair()
        assert first.sendmsg([b"ab", b"c"]) == 3  # as asyncio does from Python 3.12 on
        return Page([{"id": 1, "path": "/a"}])
    """,
    "urllib": """
        import json, urllib.request
        with urllib.request.urlopen(f"http://shop.test:{self.config.port}/a") as answer:
            return Page(json.load(answer))
    """,
    "threads": """
        import requests
        from concurrent.futures import ThreadPoolExecutor
        url = f"http://shop.test:{self.config.port}/a"
        with ThreadPoolExecutor(8) as pool:
            answers = list(pool.map(lambda _: requests.get(url).json(), range(24)))
        assert len(answers) == 24
        return Page(answers[0])
    """,
    "the session of the source": """
        return Page(self.session.get(f"http://shop.test:{self.config.port}/a").json())
    """,
    "files": """
        import json, tempfile, zipfile, sqlite3, csv
        with tempfile.NamedTemporaryFile("w+", newline="") as file:
            csv.writer(file).writerow(["1", "/a"])
            file.seek(0)
            row = next(csv.reader(file))
        with zipfile.ZipFile("a.zip", "w") as archive:
            archive.writestr("b", "c")
        import os, pathlib, shutil, tarfile
        shutil.copy2("a.zip", "copied.zip")
        shutil.copytree(os.path.dirname(json.__file__), "tree")
        with tarfile.open("a.tar", "w") as archive:
            archive.add("tree")
        with tarfile.open("a.tar") as archive:
            archive.extractall("out")
        pathlib.Path("a.zip").chmod(0o600)
        pathlib.Path("a.zip").touch()
        base = sqlite3.connect("base.db")
        base.execute("create table t (a)")
        return Page([{"id": int(row[0]), "path": row[1]}])
    """,
}


@pytest.mark.parametrize(
    ("name", "mode"), modes.case_params(USUAL_CODE, full_modes=modes.USUAL_MODES[:1])
)
def test_usual_code_of_sources_works(
    name: str, mode: str, server: RemoteServer, make_site: Callable[[str], SandboxSite]
) -> None:
    trial = NetworkTrial(make_site(mode), server.port)
    egress_limits = trial.egress_limits("shop.test", resolve=resolve_to_loopback)
    assert trial.run_code(USUAL_CODE[name], egress_limits) == [{"id": 1, "path": "/a"}]


def test_a_large_page_arrives_complete(trial: NetworkTrial) -> None:
    body = """
        return Page(self.session.get(f"http://shop.test:{self.config.port}/large").json())
    """
    egress_limits = trial.egress_limits("shop.test", resolve=resolve_to_loopback)
    assert len(trial.run_code(body, egress_limits)) == remote_server.LARGE_PAGE_BYTES // 1000


def test_code_verifies_the_tls_certificate_of_the_server(
    make_site: Callable[[str], SandboxSite], tmp_path: Path
) -> None:
    authority = remote_server.write_certificate("shop.test", tmp_path / "shop.pem")
    body = """
        import requests
        open("ca.pem", "w").write(self.config.authority)
        return Page(requests.get(f"https://shop.test:{self.config.port}/a", verify="ca.pem").json())
    """
    with remote_server.run_server(tmp_path / "shop.pem") as server:
        trial = NetworkTrial(make_site(MODES[0]), server.port)
        egress_limits = trial.egress_limits("shop.test", resolve=resolve_to_loopback)
        assert trial.run_code(body, egress_limits, authority=authority) == [{"id": 1, "path": "/a"}]
        with pytest.raises(EngineError, match=r"SSL|certificate"):
            trial.run_code(body, egress_limits, authority=_other_certificate(tmp_path))


def _other_certificate(folder: Path) -> str:
    return remote_server.write_certificate("shop.test", folder / "other.pem")


def test_requests_and_connections_are_reported(trial: NetworkTrial) -> None:
    trial.run_code(
        USUAL_CODE["requests"], trial.egress_limits("shop.test", resolve=resolve_to_loopback)
    )
    assert [(r.method, r.status) for r in trial.requests] == [("GET", 200)] * 3
    assert trial.requests[0].url == f"http://shop.test:{trial.port}/a"
    opened, connection = trial.connections  # reported when opened and when closed
    assert opened is connection
    assert connection.closed
    assert (connection.host, connection.port, connection.address) == (
        "shop.test",
        trial.port,
        "127.0.0.1",
    )
    assert connection.received > 0
    assert connection.sent > 0


@pytest.mark.parametrize("preamble", ["", "import httpx"])
def test_requests_of_httpx_are_reported(preamble: str, trial: NetworkTrial) -> None:
    trial.run_code(
        USUAL_CODE["httpx"],
        trial.egress_limits("shop.test", resolve=resolve_to_loopback),
        preamble=preamble,
    )
    assert [(r.method, r.url, r.status) for r in trial.requests] == [
        ("GET", f"http://shop.test:{trial.port}/a", 200)
    ]


# Attacks.


FETCH_URL = """
    import requests
    answer = requests.get(self.config.url, timeout=5)
    return Page([{"won": answer.status_code}])
"""

FETCH_HOSTS = """
    import requests
    results = {}
    for host in self.config.hosts:
        try:
            results[host] = requests.get(f"http://{host}:{self.config.port}/", timeout=5).status_code
        except OSError as error:
            results[host] = str(error)
    return Page([results])
"""

# Spellings of loopback, private and metadata addresses. The tests add each valid one to the allow-list.
INTERNAL_HOSTS = [
    "127.0.0.1",
    "localhost",
    "2130706433",
    "0x7f000001",
    "0177.0.0.1",
    "127.1",
    "[::1]",
    "[::ffff:127.0.0.1]",
    "[64:ff9b::7f00:1]",
    "169.254.169.254",
    "[::ffff:169.254.169.254]",
    "0xa9fea9fe",
    "10.9.9.9",
    "192.168.1.1",
    "100.64.0.1",
    "0.0.0.0",
    "metadata.google.internal",
]


def test_every_spelling_of_an_internal_address_is_refused(
    trial: NetworkTrial, server: RemoteServer
) -> None:
    hosts = [form for host in INTERNAL_HOSTS for form in (host, host.strip("[]"))]
    (results,) = trial.run_code(
        FETCH_HOSTS,
        EgressLimits(AllowList(tuple(f"{h}:{trial.port}" for h in hosts))),
        hosts=INTERNAL_HOSTS,
    )
    assert [host for host in INTERNAL_HOSTS if " refused" not in str(results[host])] == []
    assert all(connection.refused for connection in trial.connections)
    assert server.requests_received == []


def test_internal_addresses_are_reached_if_the_broker_checks_nothing(
    trial: NetworkTrial, server: RemoteServer
) -> None:
    hosts = ["localhost", "127.0.0.1", "metadata.google.internal", "10.9.9.9"]
    (results,) = trial.run_code(
        FETCH_HOSTS, trial.egress_limits(*hosts, resolve=resolve_to_loopback), hosts=hosts
    )
    assert results == dict.fromkeys(hosts, 200)
    assert server.requests_received == ["/"] * len(hosts)


def test_a_host_that_is_not_listed_is_refused_without_a_dns_query(trial: NetworkTrial) -> None:
    resolved_hosts: list[str] = []

    def resolve(host: str, port: int, *, allow_private: bool) -> list[str]:
        resolved_hosts.append(host)
        return ["127.0.0.1"]

    url = f"http://stolen-secret.attacker.test:{trial.port}/"
    with pytest.raises(EngineError, match="not on the source's allow-list"):
        trial.run_code(FETCH_URL, trial.egress_limits("shop.test", resolve=resolve), url=url)
    assert resolved_hosts == []
    trial.run_code(
        FETCH_URL, trial.egress_limits("stolen-secret.attacker.test", resolve=resolve), url=url
    )
    assert resolved_hosts == ["stolen-secret.attacker.test"]


def test_a_host_is_resolved_only_once(trial: NetworkTrial, monkeypatch: pytest.MonkeyPatch) -> None:
    """DNS rebinding fails, because the broker connects to the checked address and sends no second query."""
    from apps.egress import policy

    answers = iter([["93.184.216.34"], ["127.0.0.1"]])
    resolved_hosts: list[str] = []

    def resolve(name: str, port: int) -> list[str]:
        resolved_hosts.append(name)
        return next(answers)

    monkeypatch.setattr(policy, "resolve", resolve)
    connected_addresses: list[str] = []

    async def connect(addresses: list[str], connection: ConnectionAttempt) -> None:
        connected_addresses.extend(addresses)

    from apps.egress import broker

    monkeypatch.setattr(broker, "_connect", connect)
    with pytest.raises(EngineError, match="no address accepts"):
        trial.run_code(
            FETCH_URL,
            trial.egress_limits("rebinding.test"),
            url=f"http://rebinding.test:{trial.port}/",
        )
    assert resolved_hosts == ["rebinding.test"]
    assert connected_addresses == ["93.184.216.34"]


def test_a_name_with_a_private_and_a_public_address_is_refused(
    trial: NetworkTrial, monkeypatch: pytest.MonkeyPatch
) -> None:
    from apps.egress import policy

    monkeypatch.setattr(policy, "resolve", lambda name, port: ["93.184.216.34", "127.0.0.1"])
    with pytest.raises(EngineError, match="not a public address"):
        trial.run_code(
            FETCH_URL, trial.egress_limits("mixed.test"), url=f"http://mixed.test:{trial.port}/"
        )


def test_a_redirect_to_an_internal_address_is_refused(
    trial: NetworkTrial, server: RemoteServer
) -> None:
    internal_url = f"http://169.254.169.254:{trial.port}/latest/meta-data"
    url = f"http://shop.test:{trial.port}/redirect?to={internal_url}"

    def resolve(host: str, port: int, *, allow_private: bool) -> list[str]:
        from apps.egress.policy import check_host

        return ["127.0.0.1"] if host == "shop.test" else check_host(host, port, allow_private=False)

    with pytest.raises(EngineError, match="metadata address"):
        trial.run_code(
            FETCH_URL, trial.egress_limits("shop.test", "169.254.169.254", resolve=resolve), url=url
        )
    with pytest.raises(EngineError, match="allow-list"):
        trial.run_code(
            FETCH_URL, trial.egress_limits("shop.test", resolve=resolve_to_loopback), url=url
        )
    assert trial.run_code(
        FETCH_URL,
        trial.egress_limits("shop.test", "169.254.169.254", resolve=resolve_to_loopback),
        url=url,
    ) == [{"won": 200}]
    assert server.requests_received[-1] == "/latest/meta-data"


def test_another_port_of_a_listed_host_is_refused(trial: NetworkTrial) -> None:
    egress_limits = EgressLimits(AllowList(("shop.test",)), resolve=resolve_to_loopback)
    with pytest.raises(EngineError, match="allow-list"):
        trial.run_code(FETCH_URL, egress_limits, url=f"http://shop.test:{trial.port}/")


def test_code_that_uses_the_brokers_socket_directly_is_refused_too(trial: NetworkTrial) -> None:
    body = """
        import json
        from drover import _sockets
        _sockets.getaddrinfo = lambda *a, **k: [(2, 1, 6, "", ("127.0.0.1", self.config.port))]
        _sockets._names.clear()
        _sockets._broker.sendall(json.dumps({"host": "127.0.0.1", "port": self.config.port}).encode())
        return Page([{"answer": json.loads(_sockets._broker.recv(4096))}])
    """
    rows = trial.run_code(body, trial.egress_limits("shop.test", "127.0.0.1"))
    assert "refused" in rows[0]["answer"]


def test_invalid_requests_to_the_broker_are_refused(trial: NetworkTrial) -> None:
    body = """
        import json
        from drover import _sockets
        answers = []
        for request in (b"", b"garbage", b"[]", b"{}", b'{"host":1,"port":2}', b'{"host":"a","port":true}',
                        b'{"host":"' + b"a" * 2000 + b'","port":1}', b"[" * 2000, b'{"host":"a","port":65536}'):
            if not request:
                continue
            _sockets._broker.sendall(request)
            answers.append(json.loads(_sockets._broker.recv(4096)))
        return Page([{"answers": answers}])
    """
    rows = trial.run_code(body, trial.egress_limits("shop.test"))
    assert rows == [{"answers": [{"refused": "not a valid request"}] * 8}]


@pytest.mark.parametrize("open_files", [0, MAX_OPEN_FILES])
def test_code_cannot_pass_descriptors(open_files: int, trial: NetworkTrial) -> None:
    """Code cannot pass descriptors to the broker either, so replacing the broker's socket gains nothing.

    If the process that starts the sandbox has many open files, the number of the broker's socket is above the limit.
    """
    body = """
        import _socket, array, os
        from drover import _sockets
        control = _sockets._broker.detach()
        first, second = _socket.socketpair()
        won = []

        def pass_descriptor(place, fd):
            target = _socket.socket(fileno=fd)
            rights = (_socket.SOL_SOCKET, _socket.SCM_RIGHTS, array.array("i", [1]))
            try:
                target.sendmsg([b"x"], [rights])
                won.append(place)
            except PermissionError:
                target.detach()

        def replace_broker(place):
            try:
                os.dup2(first.fileno(), control)
            except OSError:
                assert control >= self.config.open_files  # the kernel allows no new descriptor with this number
            else:
                pass_descriptor(place, control)

        pass_descriptor("a socket of its own", first.fileno())
        pass_descriptor("the broker", control)
        replace_broker("in the place of the broker")
        os.close(control)
        replace_broker("in the place of the broker, which was closed")
        return Page([{"won": won}])
    """
    with ExitStack() as files:
        for _ in range(open_files):
            files.enter_context(open(os.devnull))
        limits = trial.egress_limits("shop.test")
        assert trial.run_code(body, limits, open_files=MAX_OPEN_FILES) == [{"won": []}]


def test_a_connected_socket_cannot_connect_elsewhere(trial: NetworkTrial) -> None:
    body = """
        import socket, _socket
        connected = socket.create_connection(("shop.test", self.config.port))
        results = []
        raw = _socket.socket(fileno=connected.detach())
        for attempt in (lambda: raw.connect("/tmp/x"), lambda: raw.sendto(b"x", "/tmp/x"),
                        lambda: raw.bind("/tmp/y")):
            try:
                attempt()
                results.append("won")
            except OSError as error:
                results.append(type(error).__name__)
        return Page([{"results": results}])
    """
    rows = trial.run_code(body, trial.egress_limits("shop.test", resolve=resolve_to_loopback))
    assert "won" not in rows[0]["results"]


def test_code_that_opens_too_many_connections_is_stopped(trial: NetworkTrial) -> None:
    body = """
        import json
        from drover import _sockets
        while True:
            _sockets._broker.sendall(b'{"host":"nowhere.test","port":1}')
            _sockets._broker.recv(4096)
    """
    with pytest.raises(LimitExceeded, match="more than 500 connections"):
        trial.run_code(body, trial.egress_limits("shop.test", max_connections=500))


def test_the_broker_still_works_after_code_flooded_it(trial: NetworkTrial) -> None:
    body = """
        from drover import _sockets
        _sockets._broker.setblocking(True)
        for _ in range(5000):
            _sockets._broker.send(b"x" * 100)
        return Page([{"flooded": True}])
    """
    limits = replace(SMALL_LIMITS, silence_seconds=2)
    egress_limits = trial.egress_limits("shop.test", max_connections=100)
    outcome = _outcome_name(lambda: trial.run_code(body, egress_limits, limits=limits))
    assert outcome in ("flooded", "LimitExceeded", "TookTooLong")
    body = USUAL_CODE["requests"]
    assert trial.run_code(body, trial.egress_limits("shop.test", resolve=resolve_to_loopback)) == [
        {"id": 1, "path": "/a"}
    ]


def _outcome_name(run_code: Callable[[], list[Any]]) -> str:
    try:
        return "flooded" if run_code() == [{"flooded": True}] else "unexpected rows"
    except EngineError as error:
        return type(error).__name__


def test_code_that_sends_too_many_bytes_is_stopped(trial: NetworkTrial) -> None:
    body = """
        for _ in range(100):
            self.session.post(f"http://shop.test:{self.config.port}/in", data=b"x" * 1_000_000)
        return Page([])
    """
    egress_limits = trial.egress_limits(
        "shop.test", resolve=resolve_to_loopback, max_bytes=5_000_000
    )
    with pytest.raises((LimitExceeded, EngineError), match=r"bytes over the network|Connection"):
        trial.run_code(body, egress_limits)
    assert sum({id(attempt): attempt.sent for attempt in trial.connections}.values()) < 8_000_000


def test_a_compressed_bomb_exceeds_the_memory_limit(trial: NetworkTrial) -> None:
    body = """
        return Page(self.session.get(f"http://shop.test:{self.config.port}/bomb").json())
    """
    limits = replace(SMALL_LIMITS, memory=256 << 20)
    with pytest.raises(LimitExceeded, match="memory"):
        trial.run_code(
            body, trial.egress_limits("shop.test", resolve=resolve_to_loopback), limits=limits
        )


def test_without_a_broker_there_is_no_network(make_site: Callable[[str], SandboxSite]) -> None:
    code = "import requests\nfrom drover import Page, Source\n\nclass S(Source):\n    streams = ['a']\n"
    code += "    def get(self, pagination=None):\n        return Page(requests.get('http://shop.test').json())\n"
    with (
        Sandbox(code, site=make_site(MODES[0]), limits=SMALL_LIMITS) as sandbox,
        pytest.raises(EngineError, match="no network"),
    ):
        sandbox.call(
            "page", source_settings=SOURCE_SETTINGS, pagination=None, since=None, limit=None
        )
