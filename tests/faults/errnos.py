"""The errnos that the kernel can return from each system call of grex-lock."""

from wrong import Wrong

DESCRIPTORS = ["EMFILE", "ENFILE"]
# What each call can return if its arguments are right, from its man page in
# section 2. A function gets the arguments as strace prints them.
ERRNOS = {
    "openat": lambda a: [*DESCRIPTORS, "ENOMEM"]
    + (["EACCES"] if '"/dev/' not in a else [])
    + (["EINTR"] if '"/dev/' not in a and '"/proc/' not in a else [])
    + (["ENOSPC", "EROFS"] if "O_CREAT" in a else []),
    "openat2": [*DESCRIPTORS, "EACCES", "EAGAIN", "EINTR", "ENOMEM", "ENOSYS", "EXDEV"],
    "faccessat2": ["EACCES", "ENOMEM"],  # by realpath(3)
    "newfstatat": lambda a: ["ENOMEM"] if "AT_EMPTY_PATH" in a else ["ENOMEM", "EACCES"],
    "fstat": ["ENOMEM"],
    "fstatfs": ["EINTR", "EIO", "ENOMEM"],
    "renameat2": ["EINVAL", "EROFS"],  # for a name to itself
    "linkat": ["EACCES", "EDQUOT", "ENOSPC", "EPERM"],
    "statx": ["ENOMEM", "EACCES"],
    "readlink": ["EACCES", "EIO", "ENOMEM"],
    "getcwd": ["ENOENT", "ENOMEM"],
    "chdir": ["EACCES", "EIO", "ENOMEM"],
    "mkdir": ["EACCES", "ENOSPC", "ENOMEM", "EROFS"],
    "mkdirat": ["EACCES", "ENOSPC", "ENOMEM", "EROFS"],
    "getdents64": ["EIO"],  # not in the man page, but in kernel/fs
    "flock": lambda a: ["ENOLCK"] if "LOCK_NB" in a or "LOCK_UN" in a else ["EINTR", "ENOLCK"],
    "read": ["EINTR", "EIO"],
    "pread64": ["EINTR", "EIO"],
    "preadv2": ["EINTR", "EIO", "EOPNOTSUPP", "EAGAIN"],
    "write": ["EINTR", "EIO", "ENOSPC", "EAGAIN"],
    "pwrite64": ["EINTR", "EIO", "ENOSPC"],
    "pwritev2": ["EINTR", "EIO", "ENOSPC", "EOPNOTSUPP", "EAGAIN"],
    "ftruncate": ["EINTR", "EIO"],
    "close": ["EINTR", "EIO"],
    "close_range": ["ENOSYS"],  # before Linux 5.9
    "fcntl": lambda a: ["EMFILE"] if "F_DUPFD" in a else [],
    "dup2": ["EINTR"],
    "socketpair": [*DESCRIPTORS, "ENOMEM"],
    "eventfd2": [*DESCRIPTORS, "ENOMEM"],
    "signalfd4": [*DESCRIPTORS, "ENOMEM"],
    "timer_create": ["EAGAIN", "ENOMEM"],
    "poll": ["EINTR"],  # for a few descriptors it allocates no memory (fs/select.c)
    "pidfd_open": [*DESCRIPTORS, "ENOMEM"],
    "pidfd_send_signal": ["EPERM"],
    "kill": ["EPERM"],
    "vfork": ["EAGAIN", "ENOMEM"],
    "fork": ["EAGAIN", "ENOMEM"],
    "clone": ["EAGAIN", "ENOMEM"],
    "clone3": ["EAGAIN", "ENOMEM"],
    "execve": ["EACCES", "EAGAIN", "EIO", "EMFILE", "ENOMEM", "ETXTBSY"],
    # Except in the last wait for a child that has ended: that one does not sleep.
    "rt_sigtimedwait": lambda a: ["EINTR"] if a.endswith("NULL, 8") else [],
    "waitid": lambda a: [] if "WNOHANG" in a else ["EINTR"],
    "mmap": ["ENOMEM"],
    "mprotect": ["ENOMEM"],
}
# Overrides for descriptors that are not files, by the call that made the descriptor.
# grex-lock reads and writes these events and signals without sleeping: eventfd(2),
# signalfd(2).
ERRNOS_BY_MAKER = {
    ("socketpair", "read"): ["EINTR"],
    ("socketpair", "write"): ["EINTR", "EPIPE"],
    ("eventfd2", "read"): [],
    ("eventfd2", "write"): [],
    ("signalfd4", "read"): [],
}
# With right arguments these do not fail, or no program could react to it. brk(2) can
# fail, but not in the way strace fakes it: the kernel returns the old end.
NEVER_FAIL = set(
    "access brk clock_gettime clock_nanosleep exit exit_group futex geteuid getpgid getpgrp getpid getppid getrandom"
    " getsid gettid getuid ioctl lseek madvise munmap prctl prlimit64 restart_syscall rseq rt_sigaction rt_sigpending"
    " rt_sigprocmask rt_sigreturn sched_getaffinity sched_yield set_robust_list setsid sigaltstack tgkill"
    " timer_delete timer_settime uname".split()
)
MEMORY = {"mmap", "mprotect"}


def is_in_scope(call, sanitized):
    """Whether this call can fail, and is grex-lock's own rather than a sanitizer's."""
    of_sanitizer = call.name in MEMORY or "/proc/self/maps" in call.arguments or "/proc/self/task" in call.arguments
    return call.name not in NEVER_FAIL and not (sanitized and of_sanitizer)


def can_last(name, errno):
    """Whether a call can go on failing so: those that fail in passing are repeated, and memory may end the process."""
    return errno not in ("EINTR", "EAGAIN") and name not in MEMORY


def errnos_for(call):
    if call.name not in ERRNOS:
        raise Wrong(f"the tables in errnos.py lack the call {call.name}")
    errnos = ERRNOS_BY_MAKER.get((call.made_by, call.name), ERRNOS[call.name])
    return errnos(call.arguments) if callable(errnos) else errnos
