"""The system calls that a sandboxed process may make, and their compilation to a filter for the kernel.

This is an allow-list: all other calls fail with EPERM. No allowed call creates a process, opens an INET
socket, inspects another process, or uses a kernel subsystem with many past vulnerabilities (io_uring, keyctl,
bpf, namespaces, mounts). A call of another architecture (i386, x32) kills the process.

At level `good` the process has the same user as Drover, and Landlock does not control modes, owners, times,
attributes, locks and signals of files. Therefore no allowed call changes these, not even by descriptor, because
the code can open Python's own files. Landlock lets a process open any file without an access mode (O_PATH, access
mode 3), so the filter rejects this. If a call has several functions, its arguments are allow-listed too.
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
# The commands for signals to an owner, leases, directory notifications, pipe sizes and seals are not in this list.
HARMLESS_FCNTLS = (
    *(fcntl.F_DUPFD, fcntl.F_DUPFD_CLOEXEC, fcntl.F_GETFD, fcntl.F_SETFD, fcntl.F_GETFL),
    *(fcntl.F_GETLK, fcntl.F_SETLK, fcntl.F_SETLKW),
)
# The options for filters, and for the credentials and the pidfd of the peer, are not in this list.
HARMLESS_SOCKET_OPTIONS = (
    *(socket.SO_REUSEADDR, socket.SO_REUSEPORT, socket.SO_KEEPALIVE, socket.SO_LINGER),
    *(socket.SO_SNDTIMEO, socket.SO_RCVTIMEO),
    *(socket.SO_TYPE, socket.SO_DOMAIN, socket.SO_PROTOCOL, socket.SO_ERROR, socket.SO_ACCEPTCONN),
)
# These options may be read but not set. Socket buffers are kernel memory, which no limit of the process counts.
READABLE_SOCKET_OPTIONS = (socket.SO_SNDBUF, socket.SO_RCVBUF)
LAST_CLOCK = 11  # CLOCK_TAI; higher and negative numbers are clocks of other processes
SIGNAL_STATUS_BASE = (
    128  # bubblewrap exits with this plus the number of the signal that ended the process
)

# The groups are: files, memory, signals, threads, identity, time, waiting, and communication over open descriptors.
ALLOWED_CALLS = """
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
# These calls fail as if the file system did not support them. Programs try them and also work without them.
# One fallocate can allocate the whole disk before a measurement, despite RLIMIT_FSIZE.
UNSUPPORTED_CALLS = "fallocate getxattr lgetxattr fgetxattr listxattr llistxattr flistxattr"


class FilterUnavailable(OSError):
    """libseccomp is not installed, so no filter can be created."""


@lru_cache(maxsize=4)
def compile_filter(*, truncate: bool, reported_by_bwrap: bool = False) -> bytes:
    """Return the filter as BPF instructions of 8 bytes. Raises FilterUnavailable.

    With `truncate` the code may truncate files. This is safe only if Landlock controls it (ABI 3) or the code has
    a separate user. `reported_by_bwrap` means that bubblewrap reports how the process ended. Then the process
    must not exit with a status that means a signal.
    """
    try:
        import pyseccomp as seccomp
    except (ImportError, OSError, RuntimeError, TypeError) as error:
        raise FilterUnavailable(f"libseccomp is not usable: {error}") from error
    syscall_filter = seccomp.SyscallFilter(seccomp.ERRNO(errno.EPERM))
    syscall_filter.set_attr(seccomp.Attr.ACT_BADARCH, seccomp.KILL_PROCESS)
    for name in (*ALLOWED_CALLS.split(), *(("truncate",) if truncate else ())):
        _allow(syscall_filter, name)
    for name in UNSUPPORTED_CALLS.split():
        syscall_filter.add_rule(seccomp.ERRNO(errno.ENOTSUP), name)
    _allow_with_conditions(syscall_filter)
    _allow_opening(syscall_filter, truncate=truncate)
    _allow_calls_on_own_process(syscall_filter)
    for name in ("exit", "exit_group"):
        status = seccomp.Arg(
            0, seccomp.MASKED_EQ, SIGNAL_STATUS_BASE if reported_by_bwrap else 0, 0
        )
        syscall_filter.add_rule(seccomp.ALLOW, name, status)
    with tempfile.TemporaryFile() as file:
        syscall_filter.export_bpf(file)
        file.seek(0)
        return file.read()


def _allow(syscall_filter: object, name: str, *arguments: object) -> None:
    import pyseccomp as seccomp

    try:
        syscall_filter.add_rule(seccomp.ALLOW, name, *arguments)  # type: ignore[attr-defined]
    except OSError:
        return  # This architecture or this libseccomp does not have the call, so it stays rejected.


def _allow_with_conditions(syscall_filter: object) -> None:
    import pyseccomp as seccomp

    arg, add, allow = seccomp.Arg, syscall_filter.add_rule, seccomp.ALLOW  # type: ignore[attr-defined]
    # The flags of clone3 are in memory, where a filter cannot check them. On ENOSYS glibc uses clone instead.
    add(seccomp.ERRNO(errno.ENOSYS), "clone3")
    # Threads must share the current folder. Otherwise each thread could use a deleted folder that is not measured.
    thread_flags = CLONE_THREAD | CLONE_FS
    add(allow, "clone", arg(0, seccomp.MASKED_EQ, thread_flags | CLONE_NAMESPACES, thread_flags))
    add(
        allow,
        "socketpair",
        arg(0, seccomp.EQ, socket.AF_UNIX),
        arg(1, seccomp.MASKED_EQ, 0xF, socket.SOCK_STREAM),
    )
    # sendto without an address reaches only the connected peer. sendmsg and sendmmsg are not allowed, because they
    # can pass descriptors, and files in transit between two sockets are not measured.
    add(allow, "sendto", arg(4, seccomp.EQ, 0), arg(3, seccomp.MASKED_EQ, MSG_FASTOPEN, 0))
    for option in HARMLESS_SOCKET_OPTIONS:
        for name in ("getsockopt", "setsockopt"):
            add(allow, name, arg(1, seccomp.EQ, socket.SOL_SOCKET), arg(2, seccomp.EQ, option))
    for option in READABLE_SOCKET_OPTIONS:
        add(allow, "getsockopt", arg(1, seccomp.EQ, socket.SOL_SOCKET), arg(2, seccomp.EQ, option))
    for command in HARMLESS_FCNTLS:
        add(allow, "fcntl", arg(1, seccomp.EQ, command))
    no_async_flag = arg(2, seccomp.MASKED_EQ, os.O_ASYNC, 0)
    add(allow, "fcntl", arg(1, seccomp.EQ, fcntl.F_SETFL), no_async_flag)
    for request in HARMLESS_IOCTLS:
        add(allow, "ioctl", arg(1, seccomp.EQ, request))
    for option in HARMLESS_PRCTLS:
        add(allow, "prctl", arg(0, seccomp.EQ, option))


def _allow_opening(syscall_filter: object, *, truncate: bool) -> None:
    """Allow opening for reading, writing or both.

    Without `truncate`, a file that is opened only for reading must not be truncated.
    """
    import pyseccomp as seccomp

    mask = os.O_ACCMODE | os.O_PATH
    access_modes = [os.O_RDONLY, os.O_WRONLY, os.O_RDWR]
    if not truncate:
        mask |= os.O_TRUNC
        access_modes += [os.O_WRONLY | os.O_TRUNC, os.O_RDWR | os.O_TRUNC]
    for access_mode in access_modes:
        _allow(syscall_filter, "open", seccomp.Arg(1, seccomp.MASKED_EQ, mask, access_mode))
        _allow(syscall_filter, "openat", seccomp.Arg(2, seccomp.MASKED_EQ, mask, access_mode))


def _allow_calls_on_own_process(syscall_filter: object) -> None:
    """Allow calls with a process id or a clock for the calling process only. The id 0 means the calling process."""
    import pyseccomp as seccomp

    arg, add, allow = seccomp.Arg, syscall_filter.add_rule, seccomp.ALLOW  # type: ignore[attr-defined]
    for name in ("getpgid", "getsid", "sched_getparam", "sched_getscheduler"):
        add(allow, name, arg(0, seccomp.EQ, 0))
    add(allow, "getpriority", arg(1, seccomp.EQ, 0))
    add(allow, "prlimit64", arg(0, seccomp.EQ, 0), arg(2, seccomp.EQ, 0))
    for name in ("clock_gettime", "clock_getres", "clock_nanosleep"):
        add(allow, name, arg(0, seccomp.LE, LAST_CLOCK))
