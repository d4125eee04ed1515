"""Hostile code, one function per attack: each returns whether it succeeded.

A function is sent into the sandbox as text, so it imports everything it uses. `world` names the targets of attacks
(`tests.engine.sandbox.worlds`). Run outside the sandbox, each attack is its own negative control.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

World = dict[str, Any]
Attack = Callable[[World], Any]


# files


def reads_environments_of_others(world: World) -> Any:
    with open(f"/proc/{world['victim']}/environ", "rb") as file:
        return world["canary"].encode() in file.read()


def reads_the_environment_it_was_given(world: World) -> Any:
    import os

    return world["canary"] in " ".join(os.environ.values())


def reads_platform_code(world: World) -> Any:
    with open(world["platform_code"]) as file:
        return len(file.read()) > 0


def lists_the_platform(world: World) -> Any:
    import os

    return "session.py" in os.listdir(os.path.dirname(world["platform_code"]))


def reads_keys(world: World) -> Any:
    with open(world["key_file"]) as file:
        return world["canary"] in file.read()


def reads_system_accounts(world: World) -> Any:
    with open("/etc/passwd") as file:
        return "root" in file.read()


def reads_another_orgs_output(world: World) -> Any:
    with open(world["other_output"]) as file:
        return world["canary"] in file.read()


def follows_a_symlink(world: World) -> Any:
    import os

    os.symlink(world["key_file"], "link")
    with open("link") as file:
        return world["canary"] in file.read()


def follows_a_hard_link(world: World) -> Any:
    import os

    os.link(world["key_file"], "hard")
    with open("hard") as file:
        return world["canary"] in file.read()


def climbs_out_of_its_folder(world: World) -> Any:
    with open("../" * 20 + world["key_file"].lstrip("/")) as file:
        return world["canary"] in file.read()


def opens_by_directory_handle(world: World) -> Any:
    import os

    folder = os.open(os.path.dirname(world["key_file"]), os.O_PATH)
    fd = os.open(os.path.basename(world["key_file"]), os.O_RDONLY, dir_fd=folder)
    return world["canary"].encode() in os.read(fd, 1000)


def moves_the_lock_of_its_folder(world: World) -> Any:
    """Code that can move the folder, or lock it, controls when it is removed."""
    import os

    lock = f"{os.getcwd()}.lock"
    os.rename(lock, f"{lock}.mine")
    os.rename(f"{lock}.mine", lock)
    return True


def holds_the_lock_of_its_folder(world: World) -> Any:
    import fcntl
    import os

    fcntl.flock(os.open(f"{os.getcwd()}.lock", os.O_RDONLY), fcntl.LOCK_SH | fcntl.LOCK_NB)
    return True


def writes_elsewhere(world: World) -> Any:
    import os

    path = os.path.join(world["open_folder"], "planted")
    with open(path, "w") as file:
        file.write("x")
    os.unlink(path)
    return True


def truncates_a_file(world: World) -> Any:
    import os

    os.truncate(world["open_file"], 0)
    return True


def reserves_more_than_its_limit(world: World) -> Any:
    """In one call, and beyond the limit on the size of a file."""
    import ctypes
    import os

    fd = os.open("reserved", os.O_CREAT | os.O_RDWR)
    keep_size = 1
    ctypes.CDLL(None).fallocate(fd, keep_size, ctypes.c_long(0), ctypes.c_long(64 << 20))
    os.unlink("reserved")
    return os.fstat(fd).st_blocks * 512 >= 64 << 20


def keeps_more_than_its_limit(world: World) -> Any:
    import os
    import time

    for number in range(24):
        with open(f"kept-{number}", "wb") as file:
            file.write(bytes(1 << 20))
    time.sleep(1)
    for number in range(24):
        os.unlink(f"kept-{number}")
    return True


def keeps_more_than_its_limit_in_deleted_files(world: World) -> Any:
    import os
    import time

    held = []
    for _ in range(24):
        held.append(open("deleted", "wb", 0))  # noqa: SIM115 - closed with the process
        os.unlink("deleted")
        held[-1].write(bytes(1 << 20))
    time.sleep(1)
    return True


# sockets


def connects_to_the_database_socket(world: World) -> Any:
    import _socket

    made = _socket.socket(_socket.AF_UNIX, _socket.SOCK_STREAM)
    made.connect(world["unix_socket"])
    return True


def connects_to_an_abstract_socket(world: World) -> Any:
    import _socket

    made = _socket.socket(_socket.AF_UNIX, _socket.SOCK_STREAM)
    made.connect(f"\0{world['abstract_socket']}")
    return True


def connects_by_tcp(world: World) -> Any:
    import _socket

    made = _socket.socket(_socket.AF_INET, _socket.SOCK_STREAM)
    made.connect(("127.0.0.1", world["port"]))
    return True


def sends_by_udp(world: World) -> Any:
    import _socket

    made = _socket.socket(_socket.AF_INET, _socket.SOCK_DGRAM)
    return made.sendto(b"secret.attacker.example", ("127.0.0.1", world["port"])) > 0


def makes_a_socket_with_libc(world: World) -> Any:
    import ctypes

    return ctypes.CDLL(None).socket(2, 1, 0) >= 0


def makes_a_netlink_socket(world: World) -> Any:
    import _socket

    return _socket.socket(_socket.AF_NETLINK, _socket.SOCK_RAW).fileno() >= 0


def makes_a_datagram_pair(world: World) -> Any:
    """An unconnected end could send to any path."""
    import _socket

    return _socket.socketpair(_socket.AF_UNIX, _socket.SOCK_DGRAM)[0].fileno() >= 0


def listens(world: World) -> Any:
    import _socket

    made = _socket.socket(_socket.AF_INET, _socket.SOCK_STREAM)
    made.bind(("127.0.0.1", 0))
    made.listen()
    return True


# processes


def forks(world: World) -> Any:
    import os

    pid = os.fork()
    if pid == 0:
        os._exit(0)
    os.waitpid(pid, 0)
    return True


def forks_with_libc(world: World) -> Any:
    import ctypes
    import os

    pid = ctypes.CDLL(None).syscall(57 if os.uname().machine == "x86_64" else 220, 17, 0, 0, 0, 0)
    if pid == 0:
        os._exit(0)
    return pid > 0


def runs_a_program(world: World) -> Any:
    import subprocess

    return subprocess.run(["/bin/true"], check=False).returncode == 0


def becomes_a_program(world: World) -> Any:
    import os
    import sys

    os.execv("/bin/sh", ["sh", "-c", f"echo WON >&{world.get('told', 2)}"])  # noqa: S606
    sys.exit(1)


def spawns(world: World) -> Any:
    import os

    pid = os.posix_spawn("/bin/true", ["true"], {})
    os.waitpid(pid, 0)
    return True


def runs_from_memory(world: World) -> Any:
    import os

    return os.memfd_create("program") >= 0


def starts_a_thousand_threads(world: World) -> Any:
    import threading

    done = threading.Event()
    started = 0
    try:
        for _ in range(1000):
            threading.Thread(target=done.wait, daemon=True).start()
            started += 1
    finally:
        done.set()
    return started == 1000


def signals_its_parent(world: World) -> Any:
    import os

    os.kill(world["victim"], 0)
    return True


def signals_everybody(world: World) -> Any:
    import os

    os.kill(-1, 0)
    return True


def opens_a_handle_of_another(world: World) -> Any:
    import os

    return os.pidfd_open(world["victim"]) >= 0


def traces_another(world: World) -> Any:
    import ctypes

    seize = 0x4206
    return ctypes.CDLL(None).ptrace(seize, world["victim"], None, None) == 0


def reads_the_memory_of_another(world: World) -> Any:
    import ctypes

    buffer = ctypes.create_string_buffer(8)
    local = (ctypes.c_void_p * 2)(ctypes.addressof(buffer), 8)
    with open(f"/proc/{world['victim']}/maps") as file:
        start = int(file.readline().split("-")[0], 16)
    remote = (ctypes.c_void_p * 2)(start, 8)
    return (
        ctypes.CDLL(None).process_vm_readv(
            world["victim"], ctypes.byref(local), 1, ctypes.byref(remote), 1, 0
        )
        == 8
    )


def opens_the_memory_of_another(world: World) -> Any:
    with open(f"/proc/{world['victim']}/mem", "rb") as file:
        return file.fileno() >= 0


def slows_another(world: World) -> Any:
    import os

    os.setpriority(os.PRIO_PROCESS, world["victim"], 19)
    return True


def limits_another(world: World) -> Any:
    import resource

    resource.prlimit(world["victim"], resource.RLIMIT_CORE, (0, 0))
    return True


def lifts_its_own_limits(world: World) -> Any:
    import resource

    before, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (before, hard))
    return True


def takes_three_gigabytes(world: World) -> Any:
    return len(bytes(3 << 30)) > 0  # zeros that are never touched use no memory of the machine


# the kernel


def uses_io_uring(world: World) -> Any:
    import ctypes

    parameters = ctypes.create_string_buffer(120)
    return ctypes.CDLL(None).syscall(425, 4, parameters) >= 0


def makes_a_user_namespace(world: World) -> Any:
    import ctypes

    return ctypes.CDLL(None).unshare(0x10000000) == 0


def mounts(world: World) -> Any:
    import ctypes

    libc = ctypes.CDLL(None)
    where = world["open_folder"].encode()
    if libc.mount(b"none", where, b"tmpfs", 0, None) != 0:
        return False
    libc.umount2(where, 2)
    return True


def changes_its_root(world: World) -> Any:
    import os

    os.chroot(".")
    return True


def becomes_root(world: World) -> Any:
    import os

    os.setuid(0)
    return os.getuid() == 0


def uses_kernel_keys(world: World) -> Any:
    import ctypes

    session = -3
    return ctypes.CDLL(None).syscall(250, 0, session, 1) > 0


def loads_a_kernel_program(world: World) -> Any:
    import ctypes

    array = (2, 4, 4, 1)  # its type, the sizes of key and value, one entry
    attributes = (ctypes.c_uint32 * 18)(*array)
    return ctypes.CDLL(None).syscall(321, 0, attributes, 72) >= 0


def leaves_shared_memory(world: World) -> Any:
    import ctypes

    libc = ctypes.CDLL(None)
    made = libc.shmget(0, 4096, 0o1600)
    if made < 0:
        return False
    libc.shmctl(made, 0, None)
    return True


def calls_as_i386(world: World) -> Any:
    """int 0x80 with getpid of i386 (20)."""
    import ctypes
    import mmap

    code = b"\xb8\x14\x00\x00\x00\xcd\x80\xc3"  # mov eax, 20; int 0x80; ret
    page = mmap.mmap(-1, 4096, prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC)
    page.write(code)
    address = ctypes.addressof(ctypes.c_char.from_buffer(page))
    return ctypes.CFUNCTYPE(ctypes.c_int)(address)() > 0


def calls_as_x32(world: World) -> Any:
    import ctypes

    return ctypes.CDLL(None).syscall(0x40000000 | 39) > 0


def reads_an_inherited_descriptor(world: World) -> Any:
    import os

    return world["canary"].encode() in os.pread(world["inherited"], 1000, 0)


def named() -> dict[str, Attack]:
    """Return every attack of this module and of `ungoverned` by its name."""
    from tests.engine.sandbox import ungoverned

    found = {**vars(ungoverned), **globals()}
    here = {__name__, ungoverned.__name__}
    return {
        name: value
        for name, value in found.items()
        if inspect.isfunction(value) and value.__module__ in here and name not in {"named", "code"}
    }


def code(attack: Attack) -> str:
    """A custom source whose only record tells whether the attack succeeded."""
    return f"""from __future__ import annotations
from typing import Any
from drover import Page, Source

World = dict[str, Any]

{inspect.getsource(attack)}

class Hostile(Source):
    streams = ["attack"]

    def get(self, pagination=None):
        try:
            won = {attack.__name__}(self.config.world)
        except Exception as error:
            return Page([{{"won": False, "why": repr(error)[:300]}}])
        return Page([{{"won": bool(won), "why": repr(won)[:300]}}])
"""
