"""The jobs that were started, the processes that belong to each, and what happened to them.

A job has one process of its own, in the role "job". One of the kind "hold" also has
a holder in the background, and maybe a process that the hold watches.
"""

import os
import time
from collections import Counter, deque

from processes import is_child, is_child_of, start_time
from unread import UnreadPipe
from wrong import Wrong


# The descriptor for the events of a job. No other descriptor of the test has this number.
STATUS_FD = 50
RECENT_STACKS = 12


class Job:
    """What was started, which results are possible, and what was done to it."""

    def __init__(self, name, kind, locks):
        self.name = name
        self.kind = kind
        self.locks = locks
        self.pid = None
        self.environment = {}  # in addition to that of all jobs
        self.may_be_busy = False
        self.may_be_refused = False  # because of a stack that another job had
        self.is_deaf = False  # no process reads its messages
        self.has_events = False  # in a file of its own
        self.signals = set()  # the signals that reached the process
        # Its command, a claimant.
        self.has_command = False
        self.command_code = 0
        self.command_pid = None  # once it is in
        self.command_start = None
        self.command_signals = set()
        self.is_out = False  # the command has removed its claims
        self.is_chain = False  # and its work a chain of processes below it
        # A shell, or another parent of the command, that grex-lock has started.
        self.has_shell = False
        self.shell = None  # (pid, start time), once the command is in
        self.shell_signals = set()
        self.shell_catches_sigterm = False
        self.shell_forwards = False  # it is a grex-lock, which passes signals on to the command
        # Only for a hold:
        self.holder = None  # the pid
        self.watched = None  # the pid of the process that it watches
        self.ending = None  # how it will be ended
        self.end_requested = False
        # Only for a proxy:
        self.hold = None  # the hold that it makes claims for
        self.trail = []
        self.born = time.monotonic()

    def note(self, text):
        self.trail.append(f"{time.monotonic() - self.born:8.4f} {text}")

    def description(self):
        return f"job {self.name} ({self.kind}, pid {self.pid}):\n  " + "\n  ".join(self.trail)


class Jobs:
    def __init__(self, sandbox, environment):
        self.sandbox = sandbox
        self.environment = environment
        self.current = {}  # name: Job, while it matters
        self.late = {}  # the job has ended, but its command may still report
        self.processes = {}  # pid: (Job, role) of the test's children, adopted ones included
        self.stacks = deque(maxlen=RECENT_STACKS)  # (GREX_LOCK_STACK, locks) of the last jobs
        self.unread = UnreadPipe()
        self.count = Counter()
        self.serial = 0

    def new(self, kind, locks):
        self.serial += 1
        job = Job(str(self.serial), kind, locks)
        self.current[job.name] = job
        self.count[kind] += 1
        return job

    def find(self, name):
        return self.current.get(name) or self.late[name]

    def output(self, job, stream):
        return f"{self.sandbox}/{stream}.{job.name}"

    def spawn(self, job, argv, role="job"):
        """Start a process in a session of its own, so that no terminal can signal it."""
        write = os.O_WRONLY | os.O_CREAT | os.O_APPEND
        actions = [
            (os.POSIX_SPAWN_OPEN, 0, "/dev/null", os.O_RDONLY, 0),
            (os.POSIX_SPAWN_OPEN, 1, self.output(job, "out"), write, 0o600),
            (os.POSIX_SPAWN_OPEN, 2, self.output(job, "err"), write, 0o600),
        ]
        if job.is_deaf:
            actions[2] = (os.POSIX_SPAWN_DUP2, self.unread.writing_end, 2)
        if job.has_events:
            actions.append((os.POSIX_SPAWN_OPEN, STATUS_FD, self.output(job, "events"), write, 0o600))
        environment = {**self.environment, **job.environment}
        pid = os.posix_spawn(argv[0], argv, environment, setsid=True, file_actions=actions)
        self.add_process(job, pid, role, " ".join(argv))
        return pid

    def add_process(self, job, pid, role, what):
        if role == "job":
            job.pid = pid
        self.processes[pid] = (job, role)
        job.note(f"pid {pid} is the {role}: {what}")

    def is_holder(self, pid):
        return pid in self.processes and self.processes[pid][1] == "holder"

    def remove_process(self, pid):
        """The job and the role of a process that has ended; it may be the command of a job that is gone."""
        if pid in self.processes:
            return self.processes.pop(pid)
        job = next((job for job in self.current.values() if job.command_pid == pid), None)
        return job, "orphaned command" if job else "unknown process"

    def enter(self, job, pid, parent):
        """The command of the job is in; `parent` is its parent process."""
        self.current[job.name] = job
        self.late.pop(job.name, None)
        job.command_pid = pid
        job.command_start = start_time(pid)
        if job.has_shell and job.pid in self.processes:
            started = start_time(parent)
            if is_child_of(parent, job.pid):
                job.shell = (parent, started)

    def leave(self, job):
        """The command of the job has removed its claims."""
        job.is_out = True
        if job.has_shell and job.name in self.current:
            self.forget_if_over(job)

    def note_stack(self, job, stack):
        self.stacks.append((stack, job.locks))

    def choose_stack(self, random):
        """A recent stack and the locks in it; two times None if there is none."""
        return random.choice(self.stacks) if self.stacks else (None, None)

    def command_is_running(self, job):
        if not job.command_pid or job.command_pid == job.pid:
            return False
        # It is the child of a shell that outlives grex-lock, or it is adopted.
        as_grandchild = not job.is_out and start_time(job.command_pid) == job.command_start
        return is_child(job.command_pid) or job.has_shell and as_grandchild

    def forget_if_over(self, job):
        if job.holder or any(of is job and role != "watched process" for of, role in self.processes.values()):
            return
        if self.command_is_running(job):
            return
        for stream in ("out", "err", "events"):
            try:
                os.unlink(self.output(job, stream))
            except FileNotFoundError:
                pass
        del self.current[job.name]
        if job.has_command and not job.is_out:
            self.late[job.name] = job

    def fail(self, why, *jobs):
        """Raise Wrong with the history and the error output of these jobs; None among them is skipped."""
        histories = "\n".join(dict.fromkeys(job.description() for job in jobs if job))
        errors = ""
        for job in jobs:
            try:
                with open(self.output(job, "err"), encoding="utf-8", errors="replace") as file:
                    errors += file.read()
            except (OSError, AttributeError):
                pass
        raise Wrong(f"{why}\n{histories}\n{errors}")
