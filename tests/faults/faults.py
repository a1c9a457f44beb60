#!/usr/bin/env -S python3 -B
"""Every system call of grex-lock that can fail is made to fail, once.

usage: faults.py GREX-LOCK [--seconds S [--seed N]] [--only TEXT] [--sanitized] [-v]

For each scenario below a first run under strace(1) shows the calls that
grex-lock makes. Then there is one more run for each of these calls and each
errno that the kernel can give there (the table ERRNOS), in which strace lets
this one call fail (-e inject). What has to come of it is one of

- the documented exit status for this errno, and on stderr one line
  `grex-lock: ...` and at most a second one with a hint, or
- all is as if nothing had failed; EINTR has to be overcome like that always.

And never that something hangs or crashes, that a command runs without its
lock, that a lock is called free that is held, or that a lock or a process is
left behind.

What is in scope begins where main() does, by its first call: fcntl(0, F_GETFD).
What fails before is the loader's and the C library's business. strace counts
calls for each process and thread by itself, so that the n-th call of a child is
also the n-th of its parent. Where that would hit the loader, calls of a child
can be told only by their file (-P): so they are injected for the lock files, and
for the command. The command itself is not traced (-b execve).

--seconds takes, of all these runs, as many as fit, chosen at random by a seed that
is printed. --sanitized leaves out the calls that a
sanitizer's own work makes. 77 is the exit status where strace may not trace.
"""

import argparse
import fcntl
import itertools
import json
import os
import random
import re
import select
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter

sys.path.insert(0, os.path.join(os.path.dirname(os.path.realpath(__file__)), "../support"))
import adopted  # noqa: E402
import interruption  # noqa: E402
from interruption import Interrupted  # noqa: E402
from lock_probe import is_locked  # noqa: E402
from wrong import Wrong  # noqa: E402

HANG = 20  # seconds
SKIP = 77

DESCRIPTORS = ["EMFILE", "ENFILE"]
# What each call may say, from its man page in section 2, where the arguments are
# right. A function gets the arguments as strace shows them.
ERRNOS = {
    "openat": lambda a: [*DESCRIPTORS, "ENOMEM"]
    + (["EACCES"] if '"/dev/' not in a else [])
    + (["EINTR"] if '"/dev/' not in a and '"/proc/' not in a else [])
    + (["ENOSPC", "EROFS"] if "O_CREAT" in a else []),
    "newfstatat": lambda a: ["ENOMEM"] if "AT_EMPTY_PATH" in a else ["ENOMEM", "EACCES"],
    "fstat": ["ENOMEM"],
    "statx": ["ENOMEM", "EACCES"],
    "readlink": ["EACCES", "EIO", "ENOMEM"],
    "getcwd": ["ENOENT", "ENOMEM"],
    "chdir": ["EACCES", "EIO", "ENOMEM"],
    "mkdir": ["EACCES", "ENOSPC", "ENOMEM", "EROFS"],
    "mkdirat": ["EACCES", "ENOSPC", "ENOMEM", "EROFS"],
    "getdents64": ["EIO"],  # not in the man page, but in kernel/fs
    "flock": lambda a: ["ENOLCK"] if "LOCK_NB" in a or "LOCK_UN" in a else ["EINTR", "ENOLCK"],
    "read": lambda a: ["EINTR", "EIO"],
    "pread64": ["EINTR", "EIO"],
    "preadv2": ["EINTR", "EIO", "EOPNOTSUPP", "EAGAIN"],
    "write": ["EINTR", "EIO", "ENOSPC", "EAGAIN"],
    "pwrite64": ["EINTR", "EIO", "ENOSPC"],
    "ftruncate": ["EINTR", "EIO"],
    "close": ["EINTR", "EIO"],
    "close_range": ["ENOSYS"],  # older than Linux 5.9
    "fcntl": lambda a: ["EMFILE"] if "F_DUPFD" in a else [],
    "dup2": ["EINTR"],
    "socketpair": [*DESCRIPTORS, "ENOMEM"],
    "eventfd2": [*DESCRIPTORS, "ENOMEM"],
    "signalfd4": [*DESCRIPTORS, "ENOMEM"],
    "timer_create": ["EAGAIN", "ENOMEM"],
    "poll": ["EINTR"],  # for a few descriptors it takes no memory (fs/select.c)
    "pidfd_open": [*DESCRIPTORS, "ENOMEM"],
    "pidfd_send_signal": ["EPERM"],
    "kill": ["EPERM"],
    "vfork": ["EAGAIN", "ENOMEM"],
    "fork": ["EAGAIN", "ENOMEM"],
    "clone": ["EAGAIN", "ENOMEM"],
    "clone3": ["EAGAIN", "ENOMEM"],
    "execve": ["EACCES", "EAGAIN", "EIO", "EMFILE", "ENOMEM", "ETXTBSY"],
    # Not of the last wait for a child that has ended: that one does not sleep.
    "rt_sigtimedwait": lambda a: ["EINTR"] if a.endswith("NULL, 8") else [],
    "waitid": lambda a: [] if "WNOHANG" in a else ["EINTR"],
    "mmap": ["ENOMEM"],
    "mprotect": ["ENOMEM"],
}
# The same, of descriptors that are no files. These events and signals are read and
# written without sleeping: eventfd(2), signalfd(2).
ERRNOS_OF = {
    ("socketpair", "read"): ["EINTR"],
    ("socketpair", "write"): ["EINTR", "EPIPE"],
    ("eventfd2", "read"): [],
    ("eventfd2", "write"): [],
    ("signalfd4", "read"): [],
}
# With right arguments these don't fail, or nobody could do anything about it.
# brk(2) does fail, but not as strace does it: the kernel returns the old end.
NEVER_FAIL = set(
    "access brk clock_gettime clock_nanosleep exit exit_group futex geteuid getpgid getpgrp getpid getppid getrandom"
    " getsid gettid getuid ioctl lseek madvise munmap prctl prlimit64 restart_syscall rseq rt_sigaction rt_sigpending"
    " rt_sigprocmask rt_sigreturn sched_getaffinity sched_yield set_robust_list setsid sigaltstack tgkill"
    " timer_delete timer_settime uname".split()
)
MEMORY = {"mmap", "mprotect"}
AT_LEAST = 4  # faults of a scenario whose calls have been found
ALIKE = 3  # of calls that differ in numbers only, so many are tried
CHILD_FILES = {"openat", "flock", "ftruncate", "pwrite64", "newfstatat"}

# The exit statuses that tell of an errno, by README.md.
STATUSES = {
    "EACCES": {73, 77},
    "EPERM": {77},
    "EROFS": {73, 77},
    "ENOSPC": {73, 74},
    "EIO": {74},
    "ENOENT": {66, 73},
    "ETXTBSY": {126},
    "EOPNOTSUPP": set(),
    "EINTR": set(),
    "ENOSYS": set(),
}
REFUSED = {71}
BUSY, UNDER_LOCK = 75, 42


def statuses_for(fault):
    statuses = STATUSES.get(fault.errno, REFUSED)
    if fault.call == "execve":
        return statuses | {71, 126}
    # stat(2) is called by std::filesystem::create_directories(), which takes what
    # it can't find out for missing.
    follows = fault.call == "newfstatat" and fault.arguments.endswith(", 0")
    if follows:
        statuses = statuses | {73}
    return statuses | fault.scenario.also


class Place:
    """A fresh directory with two packs, and locks of ours in it."""

    def __init__(self, parent):
        self.path = f"{parent}/ws"
        shutil.rmtree(self.path, ignore_errors=True)
        os.makedirs(f"{self.path}/a")
        os.makedirs(f"{self.path}/b")
        self.lock = f"{self.path}/a/.grex-lock"
        self.ours = []

    def take(self, path):
        os.makedirs(os.path.dirname(path), exist_ok=True)
        fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
        fcntl.flock(fd, fcntl.LOCK_EX)
        self.ours.append(fd)
        return fd

    def let_go(self):
        for fd in self.ours:
            os.close(fd)
        self.ours = []

    def locked_files(self):
        found = []
        for directory, _, names in os.walk(self.path):
            found += [f"{directory}/{name}" for name in names if name.startswith(".grex")]
        return [path for path in found if is_locked(path)]

    def waiters(self):
        inodes = {os.fstat(fd).st_ino for fd in self.ours}
        with open("/proc/locks", encoding="utf-8") as table:
            lines = [line.split() for line in table]
        return sum(words[1] == "->" and int(words[6].rpartition(":")[2]) in inodes for words in lines)


class Run:
    """grex-lock under strace, as a child of ours."""

    def __init__(self, test, argv, place, strace, inputs=(), environment=None):
        self.out_path, self.err_path = f"{test.sandbox}/out", f"{test.sandbox}/err"
        self.log = f"{test.sandbox}/trace"
        # In a pipe, so that a line can be waited for, and its end.
        self.out, out_end = os.pipe()
        self.input_end = None
        actions = [(os.POSIX_SPAWN_DUP2, out_end, 1)]
        if "stdin" in inputs:
            stdin, self.input_end = os.pipe()
            actions.append((os.POSIX_SPAWN_DUP2, stdin, 0))
        else:
            stdin = os.open("/dev/null", os.O_RDONLY)
            actions.append((os.POSIX_SPAWN_DUP2, stdin, 0))
        actions.append((os.POSIX_SPAWN_OPEN, 2, self.err_path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600))
        if 9 in inputs:
            actions.append((os.POSIX_SPAWN_DUP2, inputs[9], 9))
        argv = ["strace", "-D", "-f", "--quiet=path-resolution,attach", "-b", "execve", "-o", self.log, *strace, *argv]
        self.said = b""
        self.status = None
        self.pid = os.posix_spawnp(
            argv[0], argv, {**test.environment, **(environment or {})}, setsid=True, file_actions=actions
        )
        os.close(out_end)
        os.close(stdin)
        self.handle = os.pidfd_open(self.pid)
        self.place = place

    def wait(self):
        """For its end, not for that of its tracer or of who it left behind."""
        if self.status is None:
            if not select.select([self.handle], [], [], HANG)[0]:
                raise Wrong(f"hangs: still there after {HANG} s")
            _, status = os.waitpid(self.pid, 0)
            self.status = os.waitstatus_to_exitcode(status)
        return self.status

    def has_ended(self):
        return bool(select.select([self.handle], [], [], 0)[0])

    def line(self):
        """The next of stdout; None at its end, or that of the process."""
        while b"\n" not in self.said:
            ready, _, _ = select.select([self.out, self.handle], [], [], HANG)
            if not ready:
                raise Wrong(f"hangs: says nothing for {HANG} s")
            if self.out not in ready:
                return None
            piece = os.read(self.out, 4096)
            if not piece:
                return None
            self.said += piece
        return self.said.split(b"\n")[0].decode()

    def output(self):
        """What it said until its end; others may still have the pipe."""
        self.wait()
        while select.select([self.out], [], [], 0)[0]:
            piece = os.read(self.out, 65536)
            if not piece:
                break
            self.said += piece
        return self.said.decode()

    def errors(self):
        with open(self.err_path, encoding="utf-8", errors="replace") as file:
            return file.read()

    def hand_over(self):
        """Lets the locks go once it waits for one."""
        deadline = time.monotonic() + HANG
        while not self.has_ended() and self.place.waiters() == 0:
            if time.monotonic() > deadline:
                raise Wrong(f"hangs: neither waits nor ends within {HANG} s")
            os.sched_yield()  # the kernel shows it, but announces nothing
        self.place.let_go()

    def close(self):
        for fd in (self.out, self.handle, self.input_end):
            if fd is not None:
                os.close(fd)
        self.input_end = None


# The command of `run`: ends with 42 if the lock is held, or else leaves a file.
def command(place, *locks):
    tries = [["/usr/bin/flock", "-n", "-E", str(UNDER_LOCK), lock, "touch", f"{place.path}/UNLOCKED"] for lock in locks]
    if len(tries) == 1:
        return ["--", *tries[0]]
    script = " && ".join(f"{{ {' '.join(words)}; [ $? -eq {UNDER_LOCK} ]; }}" for words in tries)
    return ["--", "/bin/sh", "-c", f"{script} && exit {UNDER_LOCK}; touch {place.path}/UNLOCKED"]


class Scenario:
    """What is run, what happens meanwhile, and what has to come of it.

    check() looks at what the exit status claims, and says whether that is what
    comes of it where nothing fails.
    """

    words = ()
    inputs = ()
    environment = None
    normal = 0
    also = frozenset()  # statuses that tell of a fault here

    def before(self, place):
        pass

    def argv(self, place):
        return [word.replace("WS", place.path) for word in self.words]

    def during(self, run, place):
        pass

    def check(self, run, place):
        return run.wait() == self.normal

    def after(self, run, place):
        pass


class UnderLock(Scenario):
    normal = UNDER_LOCK
    locks = ("WS/a/.grex-lock",)

    def argv(self, place):
        return super().argv(place) + command(place, *[lock.replace("WS", place.path) for lock in self.locks])

    def check(self, run, place):
        if os.path.exists(f"{place.path}/UNLOCKED") or run.wait() == 0:
            raise Wrong("the command ran without its lock")
        return run.wait() == UNDER_LOCK


class RunIt(UnderLock):
    words = ("run", "WS/a")


class RunInPlace(UnderLock):
    words = ("run", "-F", "WS/a")


class RunSeveral(UnderLock):
    words = ("run", "WS/b", "WS/a", "-l", "workspace-sync:WS")
    locks = ("WS/a/.grex-lock", "WS/b/.grex-lock", "WS/.grex.sync.lock")


class RunBothLayouts(UnderLock):
    words = ("run", "--create", "--layout", "both", "WS/new/pack")
    locks = ("WS/new/pack/.grex-lock", "WS/new/pack/.grex/.grex-lock")


class RunWithEvents(UnderLock):
    words = ("run", "--json-status-fd", "1", "WS/a")


class RunBusy(UnderLock):
    words = ("run", "-n", "WS/a")
    normal = BUSY

    def before(self, place):
        place.take(place.lock)

    def check(self, run, place):
        if run.wait() == UNDER_LOCK:
            raise Wrong("the command ran under somebody else's lock")
        return run.wait() == BUSY


class RunTimesOut(RunBusy):
    words = ("run", "-w", "30ms", "WS/a")


class RunIsHanded(UnderLock):
    words = ("run", "-w", "1h", "WS/a")

    def before(self, place):
        place.take(place.lock)

    def during(self, run, place):
        run.hand_over()


class RunWaitsForASlot(UnderLock):
    words = ("run", "-w", "1h", "-t", "semaphore", "--slots", "2", "WS")
    locks = ("WS/.grex.slot-0.lock",)

    def before(self, place):
        place.take(f"{place.path}/.grex.slot-1.lock")
        place.take(f"{place.path}/.grex.slot-0.lock")

    def during(self, run, place):
        keep = place.ours.pop(0)
        run.hand_over()
        place.ours.append(keep)


def stack_of(place, tier, path):
    fd = place.take(path)
    status = os.fstat(fd)
    entry = {"tier": tier, "path": path, "dev": status.st_dev, "ino": status.st_ino, "pid": os.getpid()}
    return {"GREX_LOCK_STACK": json.dumps([{**entry, "mode": "exclusive"}], separators=(",", ":"))}


class RunBelow(UnderLock):
    words = ("run", "WS/a")

    def before(self, place):
        self.environment = stack_of(place, "workspace-sync", f"{place.path}/.grex.sync.lock")


class RunAgainstTheOrder(RunBusy):
    normal = 76
    words = ("run", "WS/a")

    def before(self, place):
        self.environment = stack_of(place, "manifest", f"{place.path}/a/.grex/.grex.lock")

    def check(self, run, place):
        if run.wait() == UNDER_LOCK:
            raise Wrong("the command ran against the order of tiers")
        return run.wait() == 76


class RunAgain(RunBusy):
    words = ("run", "WS/a")
    also = {76}  # that it is the very lock could not be found out, but that it is no higher

    def before(self, place):
        self.environment = stack_of(place, "per-pack", place.lock)


class ProbeFree(Scenario):
    words = ("probe", "WS/a")

    def before(self, place):
        place.take(place.lock)
        place.let_go()


class FindsHeld(Scenario):
    normal = BUSY

    def before(self, place):
        place.take(place.lock)

    def check(self, run, place):
        if run.wait() == 0:
            raise Wrong(f"{self.words[0]} found a held lock free")
        return run.wait() == BUSY


class ProbeHeld(FindsHeld):
    words = ("probe", "WS/a")


class Status(Scenario):
    words = ("status", "--json", "WS/a")

    def before(self, place):
        place.take(place.lock)

    def states(self, run, place):
        locks = json.loads(run.output())["locks"]
        return [lock["state"] for lock in locks if lock["path"] == place.lock]

    def check(self, run, place):
        if run.wait() != 0:
            return False
        if set(self.states(run, place)) - {"held", "unknown"} or not self.states(run, place):
            raise Wrong(f"status called a held lock {self.states(run, place)}")
        return True


class StatusBelow(Status):
    words = ("status", "--json", "-r", "WS")


class StatusOfAll(Status):
    words = ("status", "--json", "--all")

    def states(self, run, place):
        return super().states(run, place) or ["unknown"]  # a descriptor that can't be looked at is left out


class Hold(Scenario):
    words = ("hold", "--stdin", "WS/a")
    inputs = ("stdin",)

    def during(self, run, place):
        line = run.line()
        # It may end by itself right after that line.
        if line and not is_locked(place.lock) and not run.has_ended():
            raise Wrong(f"said '{line}', and nothing is locked")
        os.close(run.input_end)
        run.input_end = None


class HoldDetached(Scenario):
    words = ("hold", "--detach", "WS/a")
    also = {71}  # the two halves can't talk to each other

    def check(self, run, place):
        if run.wait() != 0:
            return False
        pid = int(run.output().split()[1])
        if not is_locked(place.lock):
            raise Wrong("ended with 0, and nothing is locked")
        os.kill(pid, signal.SIGTERM)
        return True


class HoldDetachedWhile(HoldDetached):
    def argv(self, place):
        return ["hold", "--detach", "--while-pid", str(os.getpid()), f"{place.path}/a"]


class HoldDetachedHanded(HoldDetached):
    def before(self, place):
        place.take(place.lock)

    def during(self, run, place):
        run.hand_over()


class Release(Scenario):
    words = ("release", "WS/a")
    also = {69}  # whose lock it is could not be found out

    def before(self, place):
        said = subprocess.run([TOOL, "hold", "--detach", f"{place.path}/a"], capture_output=True, check=True).stdout
        self.holder = int(said.split()[1])

    def check(self, run, place):
        if run.wait() == 0 and is_locked(place.lock):
            raise Wrong("release ended with 0, and the lock is held")
        if "nobody holds it" in run.errors() or "not by 'grex-lock hold'" in run.errors():
            raise Wrong(f"release said of a hold: {run.errors()}")
        return run.wait() == 0

    def after(self, run, place):
        try:
            os.kill(self.holder, signal.SIGTERM)
        except ProcessLookupError:
            pass


class Wait(Scenario):
    words = ("wait", "WS/a", "WS/b")

    def before(self, place):
        place.take(place.lock)

    def during(self, run, place):
        run.hand_over()


class WaitTimesOut(FindsHeld):
    words = ("wait", "-w", "30ms", "WS/a")


class Fd(Scenario):
    words = ("fd", "9")

    def before(self, place):
        self.fd = os.open(place.lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
        self.inputs = {9: self.fd}

    def check(self, run, place):
        held = is_locked(place.lock)
        if held != (run.wait() == 0):
            raise Wrong(f"ended with {run.wait()}, and the descriptor's lock is {'held' if held else 'free'}")
        return run.wait() == 0

    def after(self, run, place):
        os.close(self.fd)


class FdIsHanded(Fd):
    words = ("fd", "-w", "1h", "9")

    def before(self, place):
        super().before(place)
        place.take(place.lock)

    def during(self, run, place):
        run.hand_over()


class FdUnlocks(Fd):
    words = ("fd", "-u", "9")

    def before(self, place):
        super().before(place)
        fcntl.flock(self.fd, fcntl.LOCK_EX)

    def check(self, run, place):
        if run.wait() == 0 and is_locked(place.lock):
            raise Wrong("ended with 0, and the descriptor's lock is held")
        return run.wait() == 0


SCENARIOS = [
    RunIt,
    RunInPlace,
    RunSeveral,
    RunBothLayouts,
    RunWithEvents,
    RunBusy,
    RunTimesOut,
    RunIsHanded,
    RunWaitsForASlot,
    RunBelow,
    RunAgainstTheOrder,
    RunAgain,
    ProbeFree,
    ProbeHeld,
    Status,
    StatusBelow,
    StatusOfAll,
    Hold,
    HoldDetached,
    HoldDetachedWhile,
    HoldDetachedHanded,
    Release,
    Wait,
    WaitTimesOut,
    Fd,
    FdIsHanded,
    FdUnlocks,
]

TOOL = None


class Fault:
    def __init__(self, scenario, call, number, errno, arguments, filters):
        self.scenario = scenario
        self.call = call
        self.number = number
        self.errno = errno
        self.arguments = arguments
        self.filters = filters

    def strace(self):
        inject = f"inject={self.call}:error={self.errno}:when={self.number}"
        return [*self.filters, "-e", f"trace={self.call}", "-e", inject]

    def told(self):
        call = f"{self.call} number {self.number}, {self.call}({self.arguments}"
        return f"{self.scenario.__name__}: {self.errno} from {call}"


class Faults:
    def __init__(self, options):
        self.options = options
        self.sandbox = tempfile.mkdtemp(prefix="grex-lock-faults.")
        self.environment = {k: v for k, v in os.environ.items() if not k.startswith("GREX_")}
        # Leaks are looked for by ptrace(2), which strace has taken already.
        self.environment["ASAN_OPTIONS"] = "detect_leaks=0:" + self.environment.get("ASAN_OPTIONS", "")
        self.count = Counter()
        self.wrong = []

    def once(self, scenario_class, strace):
        """One run; what it left is gone afterwards."""
        scenario = scenario_class()
        place = Place(self.sandbox)
        run = None
        try:
            scenario.before(place)
            argv = [TOOL, *scenario.argv(place)]
            run = Run(self, argv, place, strace, scenario.inputs, scenario.environment)
            try:
                scenario.during(run, place)
                run.wait()
                as_normal = scenario.check(run, place)
            finally:
                scenario.after(run, place)
            output = run.output()
            self.await_everyone()
            place.let_go()
            if place.locked_files():
                raise Wrong(f"left locked: {place.locked_files()}")
            return run.status, as_normal, output, run.errors()
        except Wrong as wrong:
            errors = run.errors() if run else ""
            raise Wrong(f"{wrong}; {errors}") from None
        finally:
            place.let_go()
            if run:
                run.close()
            adopted.kill_all()

    def await_everyone(self):
        """The tracer, and background holders, which have been told to end."""
        for pid in adopted.children():
            handle = os.pidfd_open(pid)
            try:
                if not select.select([handle], [], [], HANG)[0]:
                    with open(f"/proc/{pid}/cmdline", encoding="utf-8") as line:
                        raise Wrong(f"left behind: {pid} {line.read()!r}")
                os.waitpid(pid, 0)
            finally:
                os.close(handle)
        if adopted.children():
            self.await_everyone()

    def calls_of(self, scenario, filters):
        """The calls after main()'s beginning, and those of children: (call, n, arguments, in_main, made_by)."""
        status, as_normal, _, errors = self.once(scenario, filters)
        if not as_normal:
            raise Wrong(f"{scenario.__name__}: ended with {status} without any fault: {errors}")
        seen = Counter()
        startup = Counter()
        made_by = {}  # descriptor: the call that made it, if it is no file
        main = None
        begun = bool(filters)
        calls = []
        with open(f"{self.sandbox}/trace", encoding="utf-8", errors="replace") as log:
            for line in log:
                match = re.match(r"(\d+) +(\w+)\((.*)", line)
                if not match:
                    continue
                pid, call, arguments = match.groups()
                main = main or pid
                seen[pid, call] += 1
                number = seen[pid, call]
                if pid == main and call == "execve":
                    number -= 1  # that of grex-lock itself is before strace counts
                if pid == main and not begun:
                    begun = call == "fcntl" and arguments.startswith("0, F_GETFD")
                    if not begun:
                        startup[call] = number
                        continue
                if call in ("socketpair", "eventfd2", "signalfd4"):
                    made = re.findall(r"\d+", arguments.rpartition("[" if call == "socketpair" else "=")[2])
                    made_by.update({fd: call for fd in made})
                elif call == "openat" and " = " in arguments:
                    made_by.pop(arguments.rpartition(" = ")[2].strip(), None)
                if pid != main and number <= startup[call]:
                    continue  # this one would be the loader's
                calls.append((call, number, arguments, pid == main, made_by.get(arguments.split(",")[0])))
        if not begun:
            raise Wrong(f"{scenario.__name__}: main() does not begin with fcntl(0, F_GETFD) any more")
        return calls

    def is_in_scope(self, call, arguments):
        own = call in MEMORY or "/proc/self/maps" in arguments or "/proc/self/task" in arguments
        return call not in NEVER_FAIL and not (self.options.sanitized and own)

    def errnos_for(self, scenario, call, arguments, made_by):
        if call not in ERRNOS:
            raise Wrong(f"{scenario.__name__}: the tables of faults.py lack the call {call}")
        errnos = ERRNOS_OF.get((made_by, call), ERRNOS[call])
        return errnos(arguments) if callable(errnos) else errnos

    def faults_of(self, scenario):
        lock_files = ["-P", f"{self.sandbox}/ws/a/.grex-lock", "-P", ".grex-lock"]
        command_file = ["-P", "/usr/bin/flock"]
        faults = []
        for filters in ([], lock_files, command_file):
            if filters and not any(fault.call in ("vfork", "fork", "clone") for fault in faults):
                break
            alike = Counter()
            possible = {}  # (call, n): the errnos that are so for every process's n-th
            told = {}
            for call, number, arguments, in_main, made_by in self.calls_of(scenario, filters):
                if filters and (in_main or call not in CHILD_FILES | {"execve"}):
                    continue
                if not self.is_in_scope(call, arguments):
                    continue
                errnos = self.errnos_for(scenario, call, arguments, made_by)
                before = possible.get((call, number), errnos)
                possible[call, number] = [errno for errno in errnos if errno in before]
                # Whoever looks for holders looks at every process on the machine.
                kind = (call, in_main, self.kind_of(call, arguments))
                alike[kind] += 1
                if alike[kind] <= ALIKE:
                    told.setdefault((call, number), arguments.split(") ")[0])
            for (call, number), arguments in told.items():
                for errno in possible[call, number]:
                    faults.append(Fault(scenario, call, number, errno, arguments, filters))
        return faults

    def kind_of(self, call, arguments):
        """The arguments without numbers, and without what a call has read."""
        if call == "readlink":
            arguments = arguments.split(", ", 1)[0]
        if call in ("read", "pread64"):
            arguments = re.sub(r'".*"', "", arguments)
        return re.sub(r"0x\w+|\d+|/\* .*|{.*", "N", arguments)

    def judge(self, fault):
        status, as_normal, output, errors = self.once(fault.scenario, fault.strace())
        with open(f"{self.sandbox}/trace", encoding="utf-8", errors="replace") as log:
            if "(INJECTED)" not in log.read():
                self.count["not reached"] += 1  # this time it took another way
                if self.options.verbose:
                    print("    not reached", flush=True)
        if as_normal:
            self.count["overcome"] += 1
            return
        if "--json" in fault.scenario.words:
            self.judge_document(fault, status, output)
            return
        if status not in statuses_for(fault):
            raise Wrong(f"ended with {status}, not with one of {sorted(statuses_for(fault))}; {errors}")
        lines = errors.splitlines()
        is_silenced = fault.call == "write" and not lines
        if not is_silenced and not (1 <= len(lines) <= 2 and all(line.startswith("grex-lock: ") for line in lines)):
            raise Wrong(f"ended with {status}, and said: {errors!r}")
        self.count[f"status {status}"] += 1

    def judge_document(self, fault, status, output):
        if fault.call == "write" and status == 74:
            return
        try:
            document = json.loads(output)
            said = document["exit_code"] if "error" in document else None
        except (ValueError, KeyError, TypeError):
            raise Wrong(f"ended with {status}, and wrote {output!r}") from None
        # A report tells by its status of what it had to leave out.
        if status not in statuses_for(fault) or said not in (status, None):
            raise Wrong(f"ended with {status}, and wrote {output!r}")
        self.count[f"status {status}"] += 1

    def try_one(self, fault):
        self.count["tried"] += 1
        if self.options.verbose:
            print(fault.told(), flush=True)
        try:
            self.judge(fault)
        except Wrong as wrong:
            self.wrong.append(f"{fault.told()}\n    {wrong}")
            print(f"faults: WRONG: {self.wrong[-1]}", flush=True)

    def run_all(self, scenarios):
        for fault in itertools.chain.from_iterable(self.faults_of(scenario) for scenario in scenarios):
            self.try_one(fault)
        return len(scenarios)

    def run_some(self, scenarios, end):
        """Scenarios in random order, of each as many random faults as its share of the time has room for."""
        order = random.Random(self.options.seed)
        order.shuffle(scenarios)
        for done, scenario in enumerate(scenarios):
            if time.monotonic() >= end:
                return done
            faults = self.faults_of(scenario)
            order.shuffle(faults)
            share = time.monotonic() + (end - time.monotonic()) / (len(scenarios) - done)
            for tried, fault in enumerate(faults):
                if tried >= AT_LEAST and time.monotonic() >= share:
                    break
                self.try_one(fault)
        return len(scenarios)

    def run(self):
        started = time.monotonic()
        wanted = [s for s in SCENARIOS if not self.options.only or re.search(self.options.only, s.__name__)]
        if self.options.seconds:
            print(f"faults: seed {self.options.seed}", flush=True)
            done = self.run_some(wanted, started + self.options.seconds)
        else:
            done = self.run_all(wanted)
        told = ", ".join(f"{number} {what}" for what, number in sorted(self.count.items()) if what != "tried")
        print(
            f"faults: {self.count['tried']} faults in {done} of {len(SCENARIOS)} scenarios,"
            f" {time.monotonic() - started:.0f} s: {told}; {len(self.wrong)} wrong"
        )
        if self.count["tried"] == 0:
            raise Wrong("nothing was tried")

    def clean_up(self):
        adopted.kill_all()
        shutil.rmtree(self.sandbox, ignore_errors=True)


def why_not_traced():
    if shutil.which("strace") is None:
        return "there is no strace"
    tried = subprocess.run(["strace", "-o", "/dev/null", "true"], capture_output=True, text=True, check=False)
    return f"strace may not trace here: {tried.stderr.strip()}" if tried.returncode else None


def main():
    global TOOL
    parser = argparse.ArgumentParser()
    parser.add_argument("tool")
    parser.add_argument("--seconds", type=float, help="at most so long, a part of all; default: all")
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(1 << 32))
    parser.add_argument("--only", metavar="TEXT", help="scenarios whose names have it, a regular expression")
    parser.add_argument("--sanitized", action="store_true")
    parser.add_argument("-v", "--verbose", action="store_true")
    options = parser.parse_args()
    TOOL = os.path.realpath(options.tool)
    why_not = why_not_traced()
    if why_not:
        print(f"faults: SKIPPED: {why_not}")
        return SKIP
    interruption.raise_on_signals()
    adopted.adopt()
    test = Faults(options)
    try:
        test.run()
    except (Wrong, Interrupted) as end:
        print(f"faults: {type(end).__name__.upper()}: {end}")
        return 1
    finally:
        interruption.ignore_signals()
        test.clean_up()
    return 1 if test.wrong else 0


sys.exit(main())
