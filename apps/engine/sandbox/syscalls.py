"""The system calls a sandboxed process may make, compiled to the filter it loads into the kernel.

This is an allow-list: all other calls fail with EPERM. No allowed call creates a process, opens an INET
socket, inspects another process, or uses a kernel subsystem with many past vulnerabilities (io_uring, keyctl,
bpf, namespaces, mounts). Calls of a foreign architecture (i386, x32) kill the process.

At level `good` the process has the same user as the platform, and Landlock does not control modes, owners,
times, attributes, locks and signals of files. So no allowed call changes one of these, not even by descriptor,
because Python's own files can be opened. A file can also not be opened without an access mode (O_PATH, access
mode 3), which Landlock allows everywhere. If a call has several functions, its arguments are allow-listed too.
"""

from __future__ import annotations

import errno
import fcntl
import os
import socket
import tempfile
from functools import lru_cache

# <linux/sched.h>
CLONE_FS = 0x00000200
CLONE_THREAD = 0x00010000
CLONE_NAMESPACES = 0x7E000000 | 0x00020000
MSG_FASTOPEN = 0x20000000
# <asm-generic/ioctls.h>: TCGETS FIONREAD FIONBIO FIONCLEX FIOCLEX
HARMLESS_IOCTLS = (0x5401, 0x541B, 0x5421, 0x5450, 0x5451)
# <linux/prctl.h>: PR_SET_NAME PR_GET_NAME PR_SET_VMA
HARMLESS_PRCTLS = (15, 16, 0x53564D41)
# Not included: signals to an owner, leases, directory notifications, pipe sizes, seals.
HARMLESS_FCNTLS = (
    *(fcntl.F_DUPFD, fcntl.F_DUPFD_CLOEXEC, fcntl.F_GETFD, fcntl.F_SETFD, fcntl.F_GETFL),
    *(fcntl.F_GETLK, fcntl.F_SETLK, fcntl.F_SETLKW),
)
# Not included: filters, and the peer's credentials and pidfd.
HARMLESS_SOCKET_OPTIONS = (
    *(socket.SO_REUSEADDR, socket.SO_REUSEPORT, socket.SO_KEEPALIVE, socket.SO_LINGER),
    *(socket.SO_SNDTIMEO, socket.SO_RCVTIMEO),
    *(socket.SO_TYPE, socket.SO_DOMAIN, socket.SO_PROTOCOL, socket.SO_ERROR, socket.SO_ACCEPTCONN),
)
# May be read but not set: socket buffers are kernel memory, which no limit of the process counts.
READABLE_SOCKET_OPTIONS = (socket.SO_SNDBUF, socket.SO_RCVBUF)
LAST_CLOCK = 11  # CLOCK_TAI; clocks below and above belong to other processes
RELAYED_SIGNAL = (
    128  # bubblewrap's exit status is this plus the number of the signal that ended the process
)

# By kind: files, memory, signals, threads, identity, time, waiting, and communication over open descriptors.
ALLOWED = """
read write readv writev pread64 pwrite64 preadv pwritev lseek close close_range dup dup2 dup3
fstat newfstatat stat lstat statx fstatfs statfs access faccessat faccessat2 readlink readlinkat
getdents64 getdents getcwd chdir mkdir mkdirat unlink unlinkat rmdir rename renameat renameat2
symlink symlinkat ftruncate fsync fdatasync fadvise64 flock umask
mmap munmap mprotect mremap madvise brk mlock
rt_sigaction rt_sigprocmask rt_sigreturn sigaltstack rt_sigtimedwait rt_sigpending restart_syscall
futex futex_waitv set_robust_list set_tid_address rseq membarrier arch_prctl
getpid gettid getppid getuid geteuid getgid getegid getresuid getresgid getgroups getpgrp
nanosleep gettimeofday time times getrusage
setitimer getitimer alarm timerfd_create timerfd_settime timerfd_gettime
poll ppoll select pselect6 epoll_create epoll_create1 epoll_ctl epoll_wait epoll_pwait epoll_pwait2
eventfd2 eventfd pipe pipe2 sched_yield sched_getaffinity getcpu getrlimit uname sysinfo getrandom
recvfrom recvmsg shutdown getsockname getpeername sendfile copy_file_range splice
"""
# Programs try these calls and work without them: they fail as not supported by the file system. One fallocate can
# allocate the whole disk before it is measured, despite RLIMIT_FSIZE.
NOT_SUPPORTED = "fallocate getxattr lgetxattr fgetxattr listxattr llistxattr flistxattr"


class FilterUnavailable(OSError):
    """libseccomp is not installed, so no filter can be created."""


@lru_cache(maxsize=4)
def compiled(*, truncate: bool, relayed: bool = False) -> bytes:
    """Return the filter as BPF instructions of 8 bytes. Raises FilterUnavailable.

    `truncate` is allowed only where Landlock controls it (ABI 3) or the code has its own user. `relayed` means
    that bubblewrap reports how the process ended, so the process must not use an exit status that means a
    signal.
    """
    try:
        import pyseccomp as seccomp
    except (ImportError, OSError, RuntimeError, TypeError) as error:
        raise FilterUnavailable(f"libseccomp is not usable: {error}") from error
    made = seccomp.SyscallFilter(seccomp.ERRNO(errno.EPERM))
    made.set_attr(seccomp.Attr.ACT_BADARCH, seccomp.KILL_PROCESS)
    for name in (*ALLOWED.split(), *(("truncate",) if truncate else ())):
        _allow(made, name)
    for name in NOT_SUPPORTED.split():
        made.add_rule(seccomp.ERRNO(errno.ENOTSUP), name)
    _allow_with_conditions(made)
    _allow_opening(made, truncate=truncate)
    _allow_asking_about_oneself(made)
    for name in ("exit", "exit_group"):
        claimed = seccomp.Arg(0, seccomp.MASKED_EQ, RELAYED_SIGNAL if relayed else 0, 0)
        made.add_rule(seccomp.ALLOW, name, claimed)
    with tempfile.TemporaryFile() as file:
        made.export_bpf(file)
        file.seek(0)
        return file.read()


def _allow(made: object, name: str, *arguments: object) -> None:
    import pyseccomp as seccomp

    try:
        made.add_rule(seccomp.ALLOW, name, *arguments)  # type: ignore[attr-defined]
    except OSError:
        return  # A call unknown to this architecture or this libseccomp stays refused.


def _allow_with_conditions(made: object) -> None:
    import pyseccomp as seccomp

    arg, add, allow = seccomp.Arg, made.add_rule, seccomp.ALLOW  # type: ignore[attr-defined]
    # glibc tries clone3 first, whose flags are in memory. If told that it is missing, it uses clone.
    add(seccomp.ERRNO(errno.ENOSYS), "clone3")
    # Threads share the current folder: otherwise each could keep a deleted folder alive, which nobody would count.
    thread = CLONE_THREAD | CLONE_FS
    add(allow, "clone", arg(0, seccomp.MASKED_EQ, thread | CLONE_NAMESPACES, thread))
    add(
        allow,
        "socketpair",
        arg(0, seccomp.EQ, socket.AF_UNIX),
        arg(1, seccomp.MASKED_EQ, 0xF, socket.SOCK_STREAM),
    )
    # No address: only the connected peer can be reached. No sendmsg or sendmmsg, which can pass descriptors: files
    # in transit between two sockets are not counted anywhere.
    add(allow, "sendto", arg(4, seccomp.EQ, 0), arg(3, seccomp.MASKED_EQ, MSG_FASTOPEN, 0))
    for option in HARMLESS_SOCKET_OPTIONS:
        for name in ("getsockopt", "setsockopt"):
            add(allow, name, arg(1, seccomp.EQ, socket.SOL_SOCKET), arg(2, seccomp.EQ, option))
    for option in READABLE_SOCKET_OPTIONS:
        add(allow, "getsockopt", arg(1, seccomp.EQ, socket.SOL_SOCKET), arg(2, seccomp.EQ, option))
    for command in HARMLESS_FCNTLS:
        add(allow, "fcntl", arg(1, seccomp.EQ, command))
    without_signals = arg(2, seccomp.MASKED_EQ, os.O_ASYNC, 0)
    add(allow, "fcntl", arg(1, seccomp.EQ, fcntl.F_SETFL), without_signals)
    for request in HARMLESS_IOCTLS:
        add(allow, "ioctl", arg(1, seccomp.EQ, request))
    for option in HARMLESS_PRCTLS:
        add(allow, "prctl", arg(0, seccomp.EQ, option))


def _allow_opening(made: object, *, truncate: bool) -> None:
    """Allow opening for reading, writing or both.

    Without `truncate`, opening a file for reading only must not truncate it.
    """
    import pyseccomp as seccomp

    looked_at = os.O_ACCMODE | os.O_PATH
    ways = [os.O_RDONLY, os.O_WRONLY, os.O_RDWR]
    if not truncate:
        looked_at |= os.O_TRUNC
        ways += [os.O_WRONLY | os.O_TRUNC, os.O_RDWR | os.O_TRUNC]
    for way in ways:
        _allow(made, "open", seccomp.Arg(1, seccomp.MASKED_EQ, looked_at, way))
        _allow(made, "openat", seccomp.Arg(2, seccomp.MASKED_EQ, looked_at, way))


def _allow_asking_about_oneself(made: object) -> None:
    """Allow calls with a process id as argument if it is 0, which means the caller."""
    import pyseccomp as seccomp

    arg, add, allow = seccomp.Arg, made.add_rule, seccomp.ALLOW  # type: ignore[attr-defined]
    for name in ("getpgid", "getsid", "sched_getparam", "sched_getscheduler"):
        add(allow, name, arg(0, seccomp.EQ, 0))
    add(allow, "getpriority", arg(1, seccomp.EQ, 0))
    add(allow, "prlimit64", arg(0, seccomp.EQ, 0), arg(2, seccomp.EQ, 0))
    for name in ("clock_gettime", "clock_getres", "clock_nanosleep"):
        add(allow, name, arg(0, seccomp.LE, LAST_CLOCK))
