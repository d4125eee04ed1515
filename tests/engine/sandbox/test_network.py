"""The sandbox's broker: every common client works through it, and nothing else can be reached."""

from __future__ import annotations

import textwrap
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from apps.egress.allowlist import AllowList
from apps.egress.broker import ConnectionAttempt, EgressLimits
from apps.engine.failures import EngineError
from apps.engine.sandbox.limits import LimitExceeded, Limits
from apps.engine.sandbox.process import SandboxSite
from apps.engine.sandbox.session import Callbacks, Request, Sandbox
from tests.engine.sandbox import far_side, modes
from tests.engine.sandbox.far_side import FarSide
from tests.engine.sandbox.worlds import BOUND, SMALL

MODES = modes.available()


def naive(host: str, port: int, *, allow_private: bool) -> list[str]:
    """A broker without checks: with it the attacks below succeed."""
    return ["127.0.0.1"]


class Trial:
    """Code that fetches, the allowed hosts, and the reported connections."""

    def __init__(self, ground: SandboxSite, port: int) -> None:
        self.ground = ground
        self.port = port
        self.passages: list[ConnectionAttempt] = []
        self.requests: list[Request] = []
        self.logged: list[str] = []

    def fetch(
        self,
        body: str,
        door: EgressLimits,
        *,
        limits: Limits = SMALL,
        before: str = "",
        **config: Any,
    ) -> list[Any]:
        code = (
            f"{before}\nfrom drover import Page, Source\n\nclass Fetching(Source):\n    streams = ['attack']\n\n"
            "    def get(self, pagination=None):\n"
            + textwrap.indent(textwrap.dedent(body), "        ")
        )
        heard = Callbacks(
            log=lambda level, message: self.logged.append(message),
            request=self.requests.append,
            connection=self.passages.append,
        )
        with Sandbox(
            code, site=self.ground, limits=limits, egress_limits=door, callbacks=heard
        ) as sandbox:
            bound = {**BOUND, "config": {"port": self.port, **config}}
            return sandbox.call("page", bound=bound, pagination=None, since=None, limit=None).rows

    def door(self, *hosts: str, **options: Any) -> EgressLimits:
        entries = tuple(f"{host}:{self.port}" if host != "*" else host for host in hosts)
        return EgressLimits(AllowList(entries), **options)


@pytest.fixture
def server() -> Iterator[FarSide]:
    with far_side.serving() as made:
        yield made


@pytest.fixture
def trial(server: FarSide, ground: Callable[[str], SandboxSite]) -> Trial:
    return Trial(ground(MODES[-1]), server.port)


BENIGN = {
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
        one, other = socket.socketpair()
        assert one.sendmsg([b"ab", b"c"]) == 3  # asyncio from Python 3.12 on
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
    "its own session": """
        return Page(self.session.get(f"http://shop.test:{self.config.port}/a").json())
    """,
    "files": """
        import json, tempfile, zipfile, sqlite3, csv
        with tempfile.NamedTemporaryFile("w+", newline="") as file:
            csv.writer(file).writerow(["1", "/a"])
            file.seek(0)
            row = next(csv.reader(file))
        with zipfile.ZipFile("a.zip", "w") as made:
            made.writestr("b", "c")
        import os, pathlib, shutil, tarfile
        shutil.copy2("a.zip", "copied.zip")
        shutil.copytree(os.path.dirname(json.__file__), "tree")
        with tarfile.open("a.tar", "w") as made:
            made.add("tree")
        with tarfile.open("a.tar") as made:
            made.extractall("out")
        pathlib.Path("a.zip").chmod(0o600)
        pathlib.Path("a.zip").touch()
        base = sqlite3.connect("base.db")
        base.execute("create table t (a)")
        return Page([{"id": int(row[0]), "path": row[1]}])
    """,
}


@pytest.mark.parametrize(("name", "mode"), modes.spread(BENIGN, whole=modes.USUAL[:1]))
def test_what_sources_usually_do_works(
    name: str, mode: str, server: FarSide, ground: Callable[[str], SandboxSite]
) -> None:
    trial = Trial(ground(mode), server.port)
    door = trial.door("shop.test", resolve=naive)
    assert trial.fetch(BENIGN[name], door) == [{"id": 1, "path": "/a"}]


def test_a_large_page_comes_whole(trial: Trial) -> None:
    body = """
        return Page(self.session.get(f"http://shop.test:{self.config.port}/large").json())
    """
    door = trial.door("shop.test", resolve=naive)
    assert len(trial.fetch(body, door)) == far_side.LARGE // 1000


def test_tls_stays_between_the_code_and_the_far_side(
    ground: Callable[[str], SandboxSite], tmp_path: Path
) -> None:
    authority = far_side.certificate_for("shop.test", tmp_path / "shop.pem")
    body = """
        import requests
        open("ca.pem", "w").write(self.config.authority)
        return Page(requests.get(f"https://shop.test:{self.config.port}/a", verify="ca.pem").json())
    """
    with far_side.serving(tmp_path / "shop.pem") as server:
        trial = Trial(ground(MODES[0]), server.port)
        door = trial.door("shop.test", resolve=naive)
        assert trial.fetch(body, door, authority=authority) == [{"id": 1, "path": "/a"}]
        with pytest.raises(EngineError, match=r"SSL|certificate"):
            trial.fetch(body, door, authority=_another_authority(tmp_path))


def _another_authority(folder: Path) -> str:
    return far_side.certificate_for("shop.test", folder / "other.pem")


def test_requests_and_connections_are_reported(trial: Trial) -> None:
    trial.fetch(BENIGN["requests"], trial.door("shop.test", resolve=naive))
    assert [(r.method, r.status) for r in trial.requests] == [("GET", 200)] * 3
    assert trial.requests[0].url == f"http://shop.test:{trial.port}/a"
    opened, passage = trial.passages  # one connection, kept alive
    assert opened is passage
    assert passage.closed
    assert (passage.host, passage.port, passage.address) == ("shop.test", trial.port, "127.0.0.1")
    assert passage.received > 0
    assert passage.sent > 0


@pytest.mark.parametrize("before", ["", "import httpx"])
def test_requests_of_httpx_are_reported_too(before: str, trial: Trial) -> None:
    trial.fetch(BENIGN["httpx"], trial.door("shop.test", resolve=naive), before=before)
    assert [(r.method, r.url, r.status) for r in trial.requests] == [
        ("GET", f"http://shop.test:{trial.port}/a", 200)
    ]


# Connections that must be refused.


FETCH = """
    import requests
    answer = requests.get(self.config.url, timeout=5)
    return Page([{"won": answer.status_code}])
"""

FETCH_EACH = """
    import requests
    said = {}
    for host in self.config.hosts:
        try:
            said[host] = requests.get(f"http://{host}:{self.config.port}/", timeout=5).status_code
        except OSError as error:
            said[host] = str(error)
    return Page([said])
"""

# Each leads to loopback or to a metadata address; every one is on the allow-list, if it is valid there.
SPELLINGS = [
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


def test_an_address_inside_is_refused_however_it_is_spelled(trial: Trial, server: FarSide) -> None:
    hosts = [form for host in SPELLINGS for form in (host, host.strip("[]"))]
    (said,) = trial.fetch(
        FETCH_EACH,
        EgressLimits(AllowList(tuple(f"{h}:{trial.port}" for h in hosts))),
        hosts=SPELLINGS,
    )
    assert [host for host in SPELLINGS if " refused" not in str(said[host])] == []
    assert all(passage.refused for passage in trial.passages)
    assert server.seen == []


def test_against_a_broker_that_checks_nothing_they_win(trial: Trial, server: FarSide) -> None:
    hosts = ["localhost", "127.0.0.1", "metadata.google.internal", "10.9.9.9"]
    (said,) = trial.fetch(FETCH_EACH, trial.door(*hosts, resolve=naive), hosts=hosts)
    assert said == dict.fromkeys(hosts, 200)
    assert server.seen == ["/"] * len(hosts)


def test_a_host_that_is_not_listed_is_refused_before_dns_is_asked(trial: Trial) -> None:
    asked: list[str] = []

    def resolve(host: str, port: int, *, allow_private: bool) -> list[str]:
        asked.append(host)
        return ["127.0.0.1"]

    url = f"http://stolen-secret.attacker.test:{trial.port}/"
    with pytest.raises(EngineError, match="not on the source's allow-list"):
        trial.fetch(FETCH, trial.door("shop.test", resolve=resolve), url=url)
    assert asked == []
    trial.fetch(FETCH, trial.door("stolen-secret.attacker.test", resolve=resolve), url=url)
    assert asked == ["stolen-secret.attacker.test"]


def test_a_name_that_answers_differently_the_second_time_gains_nothing(
    trial: Trial, monkeypatch: pytest.MonkeyPatch
) -> None:
    """DNS rebinding: the checked address is the one that is connected to, so there is no second query."""
    from apps.egress import policy

    answers = iter([["93.184.216.34"], ["127.0.0.1"]])
    asked: list[str] = []

    def resolve(name: str, port: int) -> list[str]:
        asked.append(name)
        return next(answers)

    monkeypatch.setattr(policy, "resolve", resolve)
    connected: list[str] = []

    async def connect(addresses: list[str], passage: ConnectionAttempt) -> None:
        connected.extend(addresses)

    from apps.egress import broker

    monkeypatch.setattr(broker, "_connect", connect)
    with pytest.raises(EngineError, match="no address accepts"):
        trial.fetch(FETCH, trial.door("rebinding.test"), url=f"http://rebinding.test:{trial.port}/")
    assert asked == ["rebinding.test"]
    assert connected == ["93.184.216.34"]


def test_one_private_answer_among_public_ones_refuses_the_name(
    trial: Trial, monkeypatch: pytest.MonkeyPatch
) -> None:
    from apps.egress import policy

    monkeypatch.setattr(policy, "resolve", lambda name, port: ["93.184.216.34", "127.0.0.1"])
    with pytest.raises(EngineError, match="not a public address"):
        trial.fetch(FETCH, trial.door("mixed.test"), url=f"http://mixed.test:{trial.port}/")


def test_a_redirect_inside_is_judged_like_any_other(trial: Trial, server: FarSide) -> None:
    inside = f"http://169.254.169.254:{trial.port}/latest/meta-data"
    url = f"http://shop.test:{trial.port}/redirect?to={inside}"

    def resolve(host: str, port: int, *, allow_private: bool) -> list[str]:
        from apps.egress.policy import check_host

        return ["127.0.0.1"] if host == "shop.test" else check_host(host, port, allow_private=False)

    with pytest.raises(EngineError, match="metadata address"):
        trial.fetch(FETCH, trial.door("shop.test", "169.254.169.254", resolve=resolve), url=url)
    with pytest.raises(EngineError, match="allow-list"):
        trial.fetch(FETCH, trial.door("shop.test", resolve=naive), url=url)
    assert trial.fetch(
        FETCH, trial.door("shop.test", "169.254.169.254", resolve=naive), url=url
    ) == [{"won": 200}]
    assert server.seen[-1] == "/latest/meta-data"


def test_another_port_of_a_listed_host_is_refused(trial: Trial) -> None:
    door = EgressLimits(AllowList(("shop.test",)), resolve=naive)
    with pytest.raises(EngineError, match="allow-list"):
        trial.fetch(FETCH, door, url=f"http://shop.test:{trial.port}/")


def test_code_that_bypasses_the_shim_uses_the_same_broker(trial: Trial) -> None:
    body = """
        import json
        from drover import _sockets
        _sockets.getaddrinfo = lambda *a, **k: [(2, 1, 6, "", ("127.0.0.1", self.config.port))]
        _sockets._names.clear()
        _sockets._broker.sendall(json.dumps({"host": "127.0.0.1", "port": self.config.port}).encode())
        return Page([{"answer": json.loads(_sockets._broker.recv(4096))}])
    """
    rows = trial.fetch(body, trial.door("shop.test", "127.0.0.1"))
    assert "refused" in rows[0]["answer"]


def test_questions_that_are_none_are_refused(trial: Trial) -> None:
    body = """
        import json
        from drover import _sockets
        answers = []
        for question in (b"", b"garbage", b"[]", b"{}", b'{"host":1,"port":2}', b'{"host":"a","port":true}',
                         b'{"host":"' + b"a" * 2000 + b'","port":1}', b"[" * 2000, b'{"host":"a","port":65536}'):
            if not question:
                continue
            _sockets._broker.sendall(question)
            answers.append(json.loads(_sockets._broker.recv(4096)))
        return Page([{"answers": answers}])
    """
    rows = trial.fetch(body, trial.door("shop.test"))
    assert rows == [{"answers": [{"refused": "not a valid request"}] * 8}]


def test_descriptors_cannot_be_passed(trial: Trial) -> None:
    """Not even to the broker, so that replacing its socket achieves nothing."""
    body = """
        import _socket, array, os
        from drover import _sockets
        control = _sockets._broker.detach()
        one, other = _socket.socketpair()
        won = []

        def hand_over(place, fd):
            made = _socket.socket(fileno=fd)
            rights = (_socket.SOL_SOCKET, _socket.SCM_RIGHTS, array.array("i", [1]))
            try:
                made.sendmsg([b"x"], [rights])
                won.append(place)
            except PermissionError:
                made.detach()

        hand_over("a socket of its own", one.fileno())
        hand_over("the broker", control)
        os.dup2(one.fileno(), control)
        hand_over("in the place of the broker", control)
        os.close(control)
        os.dup2(one.fileno(), control)
        hand_over("in the place of the broker, which was closed", control)
        return Page([{"won": won}])
    """
    assert trial.fetch(body, trial.door("shop.test")) == [{"won": []}]


def test_a_handed_over_socket_leads_nowhere_else(trial: Trial) -> None:
    body = """
        import socket, _socket
        made = socket.create_connection(("shop.test", self.config.port))
        tried = []
        raw = _socket.socket(fileno=made.detach())
        for attempt in (lambda: raw.connect("/tmp/x"), lambda: raw.sendto(b"x", "/tmp/x"),
                        lambda: raw.bind("/tmp/y")):
            try:
                attempt()
                tried.append("won")
            except OSError as error:
                tried.append(type(error).__name__)
        return Page([{"tried": tried}])
    """
    rows = trial.fetch(body, trial.door("shop.test", resolve=naive))
    assert "won" not in rows[0]["tried"]


def test_too_many_connections_end_the_code(trial: Trial) -> None:
    body = """
        import json
        from drover import _sockets
        while True:
            _sockets._broker.sendall(b'{"host":"nowhere.test","port":1}')
            _sockets._broker.recv(4096)
    """
    with pytest.raises(LimitExceeded, match="more than 500 connections"):
        trial.fetch(body, trial.door("shop.test", max_connections=500))


def test_a_flooded_control_channel_does_no_harm(trial: Trial) -> None:
    body = """
        from drover import _sockets
        _sockets._broker.setblocking(True)
        for _ in range(5000):
            _sockets._broker.send(b"x" * 100)
        return Page([{"flooded": True}])
    """
    limits = replace(SMALL, silence_seconds=2)
    door = trial.door("shop.test", max_connections=100)
    ended = _outcome(lambda: trial.fetch(body, door, limits=limits))
    assert ended in ("flooded", "LimitExceeded", "TookTooLong")
    body = BENIGN["requests"]
    assert trial.fetch(body, trial.door("shop.test", resolve=naive)) == [{"id": 1, "path": "/a"}]


def _outcome(fetch: Callable[[], list[Any]]) -> str:
    try:
        return "flooded" if fetch() == [{"flooded": True}] else "something else"
    except EngineError as error:
        return type(error).__name__


def test_too_many_bytes_end_the_code(trial: Trial) -> None:
    body = """
        for _ in range(100):
            self.session.post(f"http://shop.test:{self.config.port}/in", data=b"x" * 1_000_000)
        return Page([])
    """
    door = trial.door("shop.test", resolve=naive, max_bytes=5_000_000)
    with pytest.raises((LimitExceeded, EngineError), match=r"bytes over the network|Connection"):
        trial.fetch(body, door)
    assert sum({id(p): p.sent for p in trial.passages}.values()) < 8_000_000


def test_a_compressed_bomb_meets_the_memory_limit(trial: Trial) -> None:
    body = """
        return Page(self.session.get(f"http://shop.test:{self.config.port}/bomb").json())
    """
    limits = replace(SMALL, memory=256 << 20)
    with pytest.raises(LimitExceeded, match="memory"):
        trial.fetch(body, trial.door("shop.test", resolve=naive), limits=limits)


def test_without_a_broker_there_is_no_network(ground: Callable[[str], SandboxSite]) -> None:
    code = "import requests\nfrom drover import Page, Source\n\nclass S(Source):\n    streams = ['a']\n"
    code += "    def get(self, pagination=None):\n        return Page(requests.get('http://shop.test').json())\n"
    with (
        Sandbox(code, site=ground(MODES[0]), limits=SMALL) as sandbox,
        pytest.raises(EngineError, match="no network"),
    ):
        sandbox.call("page", bound=BOUND, pagination=None, since=None, limit=None)
