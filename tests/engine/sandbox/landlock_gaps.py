"""Attacks that Landlock does not prevent, on files, sockets, and other processes.

Without other measures, every process of the platform's user could carry out these attacks. The functions have the same
form as in `attacks`, whose list includes them.
"""

from __future__ import annotations

from typing import Any

from tests.engine.sandbox.attacks import AttackTargets


def changes_a_file_mode(targets: AttackTargets) -> Any:
    import ctypes
    import os

    libc, path = ctypes.CDLL(None), targets["open_file"].encode()
    fchmodat2, current_folder = 452, -100
    for mode in (0o644, 0o666):
        if not any(
            (
                libc.chmod(path, mode) == 0,
                libc.fchmodat(current_folder, path, mode, 0) == 0,
                libc.syscall(fchmodat2, current_folder, path, mode, 0) == 0,
            )
        ):
            return False
    return os.stat(path).st_mode & 0o777 == 0o666


def changes_a_file_mode_by_descriptor(targets: AttackTargets) -> Any:
    """Change the mode of a Python file that the code may read, and of a file opened in access mode 3 (no read or write)."""
    import ctypes
    import os

    libc, successes = ctypes.CDLL(None), []
    for path, flags in ((os.__file__, os.O_RDONLY), (targets["open_file"], 3)):
        try:
            fd = os.open(path, flags)
        except OSError:
            continue
        mode = os.fstat(fd).st_mode & 0o777
        successes.append(
            libc.fchmod(fd, mode) == 0 or libc.syscall(452, fd, b"", mode, 0x1000) == 0
        )
    return any(successes)


def changes_file_times(targets: AttackTargets) -> Any:
    import ctypes
    import os

    libc, path = ctypes.CDLL(None), targets["open_file"].encode()
    fd = os.open(os.__file__, os.O_RDONLY)
    utime_now, utime_omit = (1 << 30) - 1, (1 << 30) - 2
    set_to_now = (ctypes.c_long * 4)(0, utime_now, 0, utime_now)
    keep_times = (ctypes.c_long * 4)(0, utime_omit, 0, utime_omit)
    return libc.utimensat(-100, path, set_to_now, 0) == 0 or libc.futimens(fd, keep_times) == 0


def changes_the_owner_of_a_file(targets: AttackTargets) -> Any:
    import ctypes
    import os

    libc, path = ctypes.CDLL(None), targets["open_file"].encode()
    fd = os.open(os.__file__, os.O_RDONLY)
    return libc.lchown(path, -1, -1) == 0 or libc.fchown(fd, -1, -1) == 0


def sets_an_extended_attribute(targets: AttackTargets) -> Any:
    import os

    os.setxattr(targets["open_file"], "user.drover", b"1")
    os.removexattr(targets["open_file"], "user.drover")
    return True


def opens_a_key_without_read_or_write_access(targets: AttackTargets) -> Any:
    """Landlock does not prevent access mode 3 and O_PATH. With the descriptor, code could change the file's mode."""
    import os

    fd = os.open(targets["key_file"], 3)
    return fd >= 0 and os.open(targets["key_file"], os.O_PATH) >= 0


def truncates_while_opening(targets: AttackTargets) -> Any:
    import os

    for flags in (os.O_RDONLY, 3):
        try:
            os.close(os.open(targets["open_file"], flags | os.O_TRUNC))
        except OSError:
            continue
        return True
    return False


def sends_signals_through_a_pipe(targets: AttackTargets) -> Any:
    import fcntl
    import os
    import struct

    read_end, _ = os.pipe()
    set_owner_ex, victim = 15, targets["victim"]
    for request in (
        lambda: fcntl.fcntl(read_end, fcntl.F_SETOWN, victim),
        lambda: fcntl.fcntl(read_end, set_owner_ex, struct.pack("ii", 1, victim)),
        lambda: fcntl.fcntl(read_end, fcntl.F_SETSIG, 9),
        lambda: fcntl.fcntl(read_end, fcntl.F_SETFL, os.O_ASYNC),
    ):
        try:
            request()
        except OSError:
            continue
        return True
    return False


def sends_signals_through_a_socket(targets: AttackTargets) -> Any:
    import _socket
    import fcntl
    import struct

    first, _ = _socket.socketpair()
    set_owner, set_group = 0x8901, 0x8902
    for request in (set_owner, set_group):
        try:
            fcntl.ioctl(first, request, struct.pack("i", targets["victim"]))
        except OSError:
            continue
        return True
    return False


def takes_a_file_lease(targets: AttackTargets) -> Any:
    import fcntl
    import os

    fd = os.open(os.__file__, os.O_RDONLY)
    fcntl.fcntl(fd, fcntl.F_SETLEASE, fcntl.F_RDLCK)
    fcntl.fcntl(fd, fcntl.F_SETLEASE, fcntl.F_UNLCK)
    return True


def watches_a_folder(targets: AttackTargets) -> Any:
    import ctypes
    import fcntl
    import os

    if ctypes.CDLL(None).inotify_init() >= 0:
        return True
    fd = os.open(os.path.dirname(os.__file__), os.O_RDONLY)
    fcntl.fcntl(fd, fcntl.F_NOTIFY, fcntl.DN_CREATE)
    return True


def enlarges_a_pipe_buffer(targets: AttackTargets) -> Any:
    import fcntl
    import os

    read_end, _ = os.pipe()
    return fcntl.fcntl(read_end, fcntl.F_SETPIPE_SZ, 1 << 20) == 1 << 20


def enlarges_a_socket_buffer(targets: AttackTargets) -> Any:
    """The kernel does not count the data in a socket's buffer as memory of a process."""
    import _socket

    first, second = _socket.socketpair()
    before = first.getsockopt(_socket.SOL_SOCKET, _socket.SO_SNDBUF)
    for end, option in ((first, _socket.SO_SNDBUF), (second, _socket.SO_RCVBUF)):
        try:
            end.setsockopt(_socket.SOL_SOCKET, option, 2 * before)
        except OSError:
            continue
        return True
    return False


def sends_a_descriptor_through_a_socket(targets: AttackTargets) -> Any:
    import _socket
    import array
    import os

    first, second = _socket.socketpair()
    fd = os.open("hidden", os.O_RDWR | os.O_CREAT)
    os.unlink("hidden")
    rights = (_socket.SOL_SOCKET, _socket.SCM_RIGHTS, array.array("i", [fd]))
    first.sendmsg([b"x"], [rights])
    os.close(fd)
    return len(second.recvmsg(1, 100)[1]) == 1


def starts_a_thread_with_its_own_current_folder(targets: AttackTargets) -> Any:
    """Start a thread with `clone` that has its own current folder. Drover cannot measure that folder after it is deleted."""
    import ctypes

    libc = ctypes.CDLL(None)
    stack = ctypes.create_string_buffer(1 << 16)
    # CLONE_VM, CLONE_FILES, CLONE_SIGHAND and CLONE_THREAD, but not CLONE_FS.
    clone_flags = 0x00000100 | 0x00000400 | 0x00000800 | 0x00010000
    function_type = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_void_p)
    thread_function = ctypes.cast(libc.pause, function_type)
    top = ctypes.c_void_p(ctypes.addressof(stack) + len(stack) & ~15)
    return libc.clone(thread_function, top, clone_flags, None) > 0


def reads_attributes_of_another_process(targets: AttackTargets) -> Any:
    import ctypes
    import os
    import time

    libc, victim = ctypes.CDLL(None), targets["victim"]
    head, size = ctypes.c_void_p(), ctypes.c_size_t()
    for read_attribute in (
        lambda: os.getpgid(victim) > 0,
        lambda: os.getpriority(os.PRIO_PROCESS, victim) >= 0,
        lambda: time.clock_gettime(~victim << 3 | 2) >= 0,
        lambda: libc.get_robust_list(victim, ctypes.byref(head), ctypes.byref(size)) == 0,
    ):
        try:
            if read_attribute():
                return True
        except OSError:
            continue
    return False


def reads_the_credentials_of_its_peer(targets: AttackTargets) -> Any:
    import _socket

    first, _ = _socket.socketpair()
    return first.getsockopt(_socket.SOL_SOCKET, _socket.SO_PEERCRED, 12) != b""


def attaches_a_filter_to_a_socket(targets: AttackTargets) -> Any:
    import _socket
    import ctypes
    import struct

    first, _ = _socket.socketpair()
    accept_all = ctypes.create_string_buffer(struct.pack("HBBI", 6, 0, 0, 0xFFFF))
    program = struct.pack("HxxxxxxP", 1, ctypes.addressof(accept_all))
    attach_filter = 26
    first.setsockopt(_socket.SOL_SOCKET, attach_filter, program)
    return True


def creates_a_timer_that_kills_its_process(targets: AttackTargets) -> Any:
    """With such a timer, the code could look like a process that the machine killed."""
    import ctypes
    import struct

    notify_by_signal, kill = 0, 9
    event = ctypes.create_string_buffer(struct.pack("Qii", 0, kill, notify_by_signal), 64)
    timer = ctypes.c_int()
    return ctypes.CDLL(None).timer_create(0, event, ctypes.byref(timer)) == 0
