"""Hostile code: each function is an attack and returns whether it succeeded.

The tests send a function into the sandbox as text, so it imports everything it uses. `targets` has the paths, ports and
process ids to attack (see `tests.engine.sandbox.attack_targets`). As the negative control, each attack also runs without
a sandbox, where it succeeds.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

AttackTargets = dict[str, Any]
Attack = Callable[[AttackTargets], Any]


# files


def reads_the_environment_of_another_process(targets: AttackTargets) -> Any:
    with open(f"/proc/{targets['victim']}/environ", "rb") as file:
        return targets["canary"].encode() in file.read()


def reads_its_own_environment(targets: AttackTargets) -> Any:
    import os

    return targets["canary"] in " ".join(os.environ.values())


def reads_platform_code(targets: AttackTargets) -> Any:
    with open(targets["platform_code"]) as file:
        return len(file.read()) > 0


def lists_platform_code(targets: AttackTargets) -> Any:
    import os

    return "session.py" in os.listdir(os.path.dirname(targets["platform_code"]))


def reads_keys(targets: AttackTargets) -> Any:
    with open(targets["key_file"]) as file:
        return targets["canary"] in file.read()


def reads_system_accounts(targets: AttackTargets) -> Any:
    with open("/etc/passwd") as file:
        return "root" in file.read()


def reads_another_orgs_output(targets: AttackTargets) -> Any:
    with open(targets["other_output"]) as file:
        return targets["canary"] in file.read()


def follows_a_symlink(targets: AttackTargets) -> Any:
    import os

    os.symlink(targets["key_file"], "link")
    with open("link") as file:
        return targets["canary"] in file.read()


def follows_a_hard_link(targets: AttackTargets) -> Any:
    import os

    os.link(targets["key_file"], "hard")
    with open("hard") as file:
        return targets["canary"] in file.read()


def opens_a_relative_path_out_of_its_folder(targets: AttackTargets) -> Any:
    with open("../" * 20 + targets["key_file"].lstrip("/")) as file:
        return targets["canary"] in file.read()


def opens_a_file_by_a_folder_descriptor(targets: AttackTargets) -> Any:
    import os

    folder = os.open(os.path.dirname(targets["key_file"]), os.O_PATH)
    fd = os.open(os.path.basename(targets["key_file"]), os.O_RDONLY, dir_fd=folder)
    return targets["canary"].encode() in os.read(fd, 1000)


def renames_the_lock_file_of_its_folder(targets: AttackTargets) -> Any:
    """Code that can rename or lock this file could prevent the removal of its folder."""
    import os

    lock = f"{os.getcwd()}.lock"
    os.rename(lock, f"{lock}.mine")
    os.rename(f"{lock}.mine", lock)
    return True


def locks_the_lock_file_of_its_folder(targets: AttackTargets) -> Any:
    import fcntl
    import os

    fcntl.flock(os.open(f"{os.getcwd()}.lock", os.O_RDONLY), fcntl.LOCK_SH | fcntl.LOCK_NB)
    return True


def writes_outside_its_folder(targets: AttackTargets) -> Any:
    import os

    path = os.path.join(targets["open_folder"], "planted")
    with open(path, "w") as file:
        file.write("x")
    os.unlink(path)
    return True


def truncates_a_file(targets: AttackTargets) -> Any:
    import os

    os.truncate(targets["open_file"], 0)
    return True


def reserves_more_than_its_limit(targets: AttackTargets) -> Any:
    """Reserve disk space in one call, more than the limit on the size of a file."""
    import ctypes
    import os

    fd = os.open("reserved", os.O_CREAT | os.O_RDWR)
    keep_size = 1
    ctypes.CDLL(None).fallocate(fd, keep_size, ctypes.c_long(0), ctypes.c_long(64 << 20))
    os.unlink("reserved")
    return os.fstat(fd).st_blocks * 512 >= 64 << 20


def stores_more_than_its_limit(targets: AttackTargets) -> Any:
    import os
    import time

    for number in range(24):
        with open(f"stored-{number}", "wb") as file:
            file.write(bytes(1 << 20))
    time.sleep(1)
    for number in range(24):
        os.unlink(f"stored-{number}")
    return True


def stores_more_than_its_limit_in_deleted_files(targets: AttackTargets) -> Any:
    import os
    import time

    open_files = []
    for _ in range(24):
        open_files.append(open("deleted", "wb", 0))  # noqa: SIM115 - closed with the process
        os.unlink("deleted")
        open_files[-1].write(bytes(1 << 20))
    time.sleep(1)
    return True


# sockets


def connects_to_the_database_socket(targets: AttackTargets) -> Any:
    import _socket

    client = _socket.socket(_socket.AF_UNIX, _socket.SOCK_STREAM)
    client.connect(targets["unix_socket"])
    return True


def connects_to_an_abstract_socket(targets: AttackTargets) -> Any:
    import _socket

    client = _socket.socket(_socket.AF_UNIX, _socket.SOCK_STREAM)
    client.connect(f"\0{targets['abstract_socket']}")
    return True


def connects_by_tcp(targets: AttackTargets) -> Any:
    import _socket

    client = _socket.socket(_socket.AF_INET, _socket.SOCK_STREAM)
    client.connect(("127.0.0.1", targets["port"]))
    return True


def sends_by_udp(targets: AttackTargets) -> Any:
    import _socket

    client = _socket.socket(_socket.AF_INET, _socket.SOCK_DGRAM)
    return client.sendto(b"secret.attacker.example", ("127.0.0.1", targets["port"])) > 0


def makes_a_socket_with_libc(targets: AttackTargets) -> Any:
    import ctypes

    return ctypes.CDLL(None).socket(2, 1, 0) >= 0


def makes_a_netlink_socket(targets: AttackTargets) -> Any:
    import _socket

    return _socket.socket(_socket.AF_NETLINK, _socket.SOCK_RAW).fileno() >= 0


def makes_a_datagram_pair(targets: AttackTargets) -> Any:
    """An unconnected datagram socket could send to any path."""
    import _socket

    return _socket.socketpair(_socket.AF_UNIX, _socket.SOCK_DGRAM)[0].fileno() >= 0


def listens_on_a_port(targets: AttackTargets) -> Any:
    import _socket

    server = _socket.socket(_socket.AF_INET, _socket.SOCK_STREAM)
    server.bind(("127.0.0.1", 0))
    server.listen()
    return True


# processes


def forks_a_process(targets: AttackTargets) -> Any:
    import os

    pid = os.fork()
    if pid == 0:
        os._exit(0)
    os.waitpid(pid, 0)
    return True


def forks_a_process_with_libc(targets: AttackTargets) -> Any:
    import ctypes
    import os

    pid = ctypes.CDLL(None).syscall(57 if os.uname().machine == "x86_64" else 220, 17, 0, 0, 0, 0)
    if pid == 0:
        os._exit(0)
    return pid > 0


def runs_a_program(targets: AttackTargets) -> Any:
    import subprocess

    return subprocess.run(["/bin/true"], check=False).returncode == 0


def replaces_itself_with_a_program(targets: AttackTargets) -> Any:
    import os
    import sys

    os.execv("/bin/sh", ["sh", "-c", f"echo WON >&{targets.get('result_descriptor', 2)}"])  # noqa: S606
    sys.exit(1)


def spawns_a_program(targets: AttackTargets) -> Any:
    import os

    pid = os.posix_spawn("/bin/true", ["true"], {})
    os.waitpid(pid, 0)
    return True


def creates_a_file_in_memory(targets: AttackTargets) -> Any:
    import os

    return os.memfd_create("program") >= 0


def starts_a_thousand_threads(targets: AttackTargets) -> Any:
    import threading

    end_threads = threading.Event()
    started = 0
    try:
        for _ in range(1000):
            threading.Thread(target=end_threads.wait, daemon=True).start()
            started += 1
    finally:
        end_threads.set()
    return started == 1000


def signals_its_parent(targets: AttackTargets) -> Any:
    import os

    os.kill(targets["victim"], 0)
    return True


def signals_all_processes(targets: AttackTargets) -> Any:
    import os

    os.kill(-1, 0)
    return True


def opens_a_pidfd_of_another_process(targets: AttackTargets) -> Any:
    import os

    return os.pidfd_open(targets["victim"]) >= 0


def traces_another_process(targets: AttackTargets) -> Any:
    import ctypes

    seize = 0x4206
    return ctypes.CDLL(None).ptrace(seize, targets["victim"], None, None) == 0


def reads_the_memory_of_another_process(targets: AttackTargets) -> Any:
    import ctypes

    buffer = ctypes.create_string_buffer(8)
    local_buffer = (ctypes.c_void_p * 2)(ctypes.addressof(buffer), 8)
    with open(f"/proc/{targets['victim']}/maps") as file:
        start = int(file.readline().split("-")[0], 16)
    remote_buffer = (ctypes.c_void_p * 2)(start, 8)
    return (
        ctypes.CDLL(None).process_vm_readv(
            targets["victim"], ctypes.byref(local_buffer), 1, ctypes.byref(remote_buffer), 1, 0
        )
        == 8
    )


def opens_the_memory_of_another_process(targets: AttackTargets) -> Any:
    with open(f"/proc/{targets['victim']}/mem", "rb") as file:
        return file.fileno() >= 0


def lowers_the_priority_of_another_process(targets: AttackTargets) -> Any:
    import os

    os.setpriority(os.PRIO_PROCESS, targets["victim"], 19)
    return True


def limits_another_process(targets: AttackTargets) -> Any:
    import resource

    resource.prlimit(targets["victim"], resource.RLIMIT_CORE, (0, 0))
    return True


def sets_its_own_limits(targets: AttackTargets) -> Any:
    import resource

    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    return True


def allocates_three_gigabytes(targets: AttackTargets) -> Any:
    return len(bytes(3 << 30)) > 0  # the kernel provides memory only when it is written


# the kernel


def uses_io_uring(targets: AttackTargets) -> Any:
    import ctypes

    parameters = ctypes.create_string_buffer(120)
    return ctypes.CDLL(None).syscall(425, 4, parameters) >= 0


def makes_a_user_namespace(targets: AttackTargets) -> Any:
    import ctypes

    return ctypes.CDLL(None).unshare(0x10000000) == 0


def mounts_a_file_system(targets: AttackTargets) -> Any:
    import ctypes

    libc = ctypes.CDLL(None)
    path = targets["open_folder"].encode()
    if libc.mount(b"none", path, b"tmpfs", 0, None) != 0:
        return False
    libc.umount2(path, 2)
    return True


def changes_its_root(targets: AttackTargets) -> Any:
    import os

    os.chroot(".")
    return True


def becomes_root(targets: AttackTargets) -> Any:
    import os

    os.setuid(0)
    return os.getuid() == 0


def uses_kernel_keys(targets: AttackTargets) -> Any:
    import ctypes

    session = -3
    return ctypes.CDLL(None).syscall(250, 0, session, 1) > 0


def loads_a_kernel_program(targets: AttackTargets) -> Any:
    import ctypes

    array = (2, 4, 4, 1)  # map type, key size, value size, number of entries
    attributes = (ctypes.c_uint32 * 18)(*array)
    return ctypes.CDLL(None).syscall(321, 0, attributes, 72) >= 0


def creates_shared_memory(targets: AttackTargets) -> Any:
    import ctypes

    libc = ctypes.CDLL(None)
    segment = libc.shmget(0, 4096, 0o1600)
    if segment < 0:
        return False
    libc.shmctl(segment, 0, None)
    return True


def calls_as_i386(targets: AttackTargets) -> Any:
    """Call getpid (20) of i386 with int 0x80."""
    import ctypes
    import mmap

    machine_code = b"\xb8\x14\x00\x00\x00\xcd\x80\xc3"  # mov eax, 20; int 0x80; ret
    page = mmap.mmap(-1, 4096, prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC)
    page.write(machine_code)
    address = ctypes.addressof(ctypes.c_char.from_buffer(page))
    return ctypes.CFUNCTYPE(ctypes.c_int)(address)() > 0


def calls_as_x32(targets: AttackTargets) -> Any:
    import ctypes

    return ctypes.CDLL(None).syscall(0x40000000 | 39) > 0


def reads_an_inherited_descriptor(targets: AttackTargets) -> Any:
    import os

    return targets["canary"].encode() in os.pread(targets["inherited_fd"], 1000, 0)


def attacks_by_name() -> dict[str, Attack]:
    """Return the attacks of this module and of `landlock_gaps`, each by its name."""
    from tests.engine.sandbox import landlock_gaps

    values = {**vars(landlock_gaps), **globals()}
    modules = {__name__, landlock_gaps.__name__}
    return {
        name: value
        for name, value in values.items()
        if inspect.isfunction(value)
        and value.__module__ in modules
        and name not in {"attacks_by_name", "attack_source"}
    }


def attack_source(attack: Attack) -> str:
    """Return a custom source whose only record contains whether the attack succeeded."""
    return f"""from __future__ import annotations
from typing import Any
from drover import Page, Source

AttackTargets = dict[str, Any]

{inspect.getsource(attack)}

class Hostile(Source):
    streams = ["attack"]

    def get(self, pagination=None):
        try:
            won = {attack.__name__}(self.config.targets)
        except Exception as error:
            return Page([{{"won": False, "why": repr(error)[:300]}}])
        return Page([{{"won": bool(won), "why": repr(won)[:300]}}])
"""
