"""The jobs that were started, the processes that belong to each, and what happened to them.

A job has one process of its own, in the role "job". One of the kind "hold" also has
a holder in the background, and maybe a process that the hold watches.
"""

import os
import time
from collections import Counter

from processes import is_child
from wrong import Wrong


class Job:
    """What was started, which results are possible, and what was done to it."""

    def __init__(self, name, kind, locks):
        self.name = name
        self.kind = kind
        self.locks = locks
        self.pid = None
        self.may_be_busy = False
        self.signals = set()  # the signals that reached the process
        # Its command, a claimant.
        self.has_command = False
        self.command_code = 0
        self.command_pid = None  # once it is in
        self.command_start = None
        self.command_signals = set()
        self.is_out = False  # the command has removed its claims
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
        self.late = {}  # the job has ended, but its command may still report that it is in
        self.processes = {}  # pid: (Job, role) of the test's children, adopted ones included
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
        pid = os.posix_spawn(
            argv[0],
            argv,
            self.environment,
            setsid=True,
            file_actions=[
                (os.POSIX_SPAWN_OPEN, 0, "/dev/null", os.O_RDONLY, 0),
                (os.POSIX_SPAWN_OPEN, 1, self.output(job, "out"), write, 0o600),
                (os.POSIX_SPAWN_OPEN, 2, self.output(job, "err"), write, 0o600),
            ],
        )
        self.add_process(job, pid, role, " ".join(argv))
        return pid

    def add_process(self, job, pid, role, what):
        if role == "job":
            job.pid = pid
        self.processes[pid] = (job, role)
        job.note(f"pid {pid} is the {role}: {what}")

    def remove_process(self, pid):
        """The job and the role of a process that has ended; it may be the command of a job that is gone."""
        if pid in self.processes:
            return self.processes.pop(pid)
        job = next((job for job in self.current.values() if job.command_pid == pid), None)
        return job, "orphaned command" if job else "unknown process"

    def enter(self, job, pid, started):
        """The command of the job is in."""
        self.current[job.name] = job
        self.late.pop(job.name, None)
        job.command_pid = pid
        job.command_start = started

    def forget_if_over(self, job):
        if job.holder or any(of is job and role != "watched process" for of, role in self.processes.values()):
            return
        if job.command_pid and job.command_pid != job.pid and is_child(job.command_pid):
            return
        for stream in ("out", "err"):
            try:
                os.unlink(self.output(job, stream))
            except FileNotFoundError:
                pass
        del self.current[job.name]
        if job.has_command and not job.command_pid:
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
