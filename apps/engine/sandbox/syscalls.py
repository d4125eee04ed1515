"""The system calls a sandboxed process may make, compiled to the filter it loads into the kernel.

An allow-list: what is not named answers EPERM. There is no call that makes a process, opens an INET
socket, looks at another process, or reaches a kernel subsystem with a history (io_uring, keyctl, bpf,
namespaces, mounts). Calls of a foreign architecture (i386, x32) kill the process.
"""

from __future__ import annotations

import errno
import socket
import tempfile
from functools import lru_cache

# <linux/sched.h>
CLONE_THREAD = 0x00010000
CLONE_NAMESPACES = 0x7E000000 | 0x00020000
MSG_FASTOPEN = 0x20000000
# <asm-generic/ioctls.h>: TCGETS FIONREAD FIONBIO FIONCLEX FIOCLEX
HARMLESS_IOCTLS = (0x5401, 0x541B, 0x5421, 0x5450, 0x5451)
# <linux/prctl.h>: PR_SET_NAME PR_GET_NAME PR_SET_VMA
HARMLESS_PRCTLS = (15, 16, 0x53564D41)

# By kind: files, memory, signals, threads, identity, time, waiting, and talking over what is already open.
ALLOWED = """
read write readv writev pread64 pwrite64 preadv pwritev lseek close close_range dup dup2 dup3 fcntl
fstat newfstatat stat lstat statx fstatfs statfs access faccessat faccessat2 readlink readlinkat
open openat getdents64 getdents getcwd chdir mkdir mkdirat unlink unlinkat rmdir rename renameat renameat2
symlink symlinkat ftruncate fsync fdatasync fallocate fadvise64 flock umask utimensat fchmod fchmodat
mmap munmap mprotect mremap madvise brk mlock mincore
rt_sigaction rt_sigprocmask rt_sigreturn sigaltstack rt_sigtimedwait rt_sigpending restart_syscall
futex futex_waitv set_robust_list get_robust_list set_tid_address rseq membarrier exit exit_group arch_prctl
getpid gettid getppid getuid geteuid getgid getegid getresuid getresgid getgroups getpgrp getpgid getsid
clock_gettime clock_getres clock_nanosleep nanosleep gettimeofday time times getrusage
setitimer getitimer alarm timerfd_create timerfd_settime timerfd_gettime
timer_create timer_settime timer_delete
poll ppoll select pselect6 epoll_create epoll_create1 epoll_ctl epoll_wait epoll_pwait epoll_pwait2
eventfd2 eventfd pipe pipe2 sched_yield sched_getaffinity sched_getparam sched_getscheduler getcpu
getpriority getrlimit uname sysinfo getrandom
recvfrom recvmsg shutdown getsockname getpeername getsockopt setsockopt sendfile copy_file_range splice
"""


class FilterUnavailable(OSError):
    """libseccomp is not installed, so no filter can be written."""


@lru_cache(maxsize=2)
def compiled(*, truncate: bool) -> bytes:
    """The filter as BPF instructions of 8 bytes. `truncate` only where Landlock governs it (ABI 3).

    Raises FilterUnavailable.
    """
    try:
        import pyseccomp as seccomp
    except (ImportError, OSError, RuntimeError, TypeError) as error:
        raise FilterUnavailable(f"libseccomp is not usable: {error}") from error
    made = seccomp.SyscallFilter(seccomp.ERRNO(errno.EPERM))
    made.set_attr(seccomp.Attr.ACT_BADARCH, seccomp.KILL_PROCESS)
    for name in (*ALLOWED.split(), *(("truncate",) if truncate else ())):
        _allow(made, name)
    _allow_with_conditions(made)
    with tempfile.TemporaryFile() as file:
        made.export_bpf(file)
        file.seek(0)
        return file.read()


def _allow(made: object, name: str) -> None:
    import pyseccomp as seccomp

    try:
        made.add_rule(seccomp.ALLOW, name)  # type: ignore[attr-defined]
    except OSError:
        return  # a call this architecture or this libseccomp does not know stays refused


def _allow_with_conditions(made: object) -> None:
    import pyseccomp as seccomp

    arg, add, allow = seccomp.Arg, made.add_rule, seccomp.ALLOW  # type: ignore[attr-defined]
    # glibc tries clone3 first, whose flags lie in memory; told that it is missing, it takes clone.
    add(seccomp.ERRNO(errno.ENOSYS), "clone3")
    threads_only = CLONE_THREAD | CLONE_NAMESPACES
    add(allow, "clone", arg(0, seccomp.MASKED_EQ, threads_only, CLONE_THREAD))
    add(
        allow,
        "socketpair",
        arg(0, seccomp.EQ, socket.AF_UNIX),
        arg(1, seccomp.MASKED_EQ, 0xF, socket.SOCK_STREAM),
    )
    # No address: what is connected stays the only other end.
    add(allow, "sendto", arg(4, seccomp.EQ, 0), arg(3, seccomp.MASKED_EQ, MSG_FASTOPEN, 0))
    add(allow, "sendmsg", arg(2, seccomp.MASKED_EQ, MSG_FASTOPEN, 0))
    add(allow, "prlimit64", arg(0, seccomp.EQ, 0), arg(2, seccomp.EQ, 0))  # reading one's own
    for request in HARMLESS_IOCTLS:
        add(allow, "ioctl", arg(1, seccomp.EQ, request))
    for option in HARMLESS_PRCTLS:
        add(allow, "prctl", arg(0, seccomp.EQ, option))
