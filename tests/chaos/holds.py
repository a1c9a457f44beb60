"""The life of a detached hold.

`grex-lock hold --detach` ends and leaves a holder in the background. A proxy makes
the claims of the hold, since a holder runs no command. When the proxy has removed
them, the hold is ended: by SIGTERM, by SIGKILL, by `grex-lock release`, or by the end
of the process that it watches.
"""

import json
import os
import shlex
import signal

from processes import is_child, send_signal, start_time


class Holds:
    def __init__(self, jobs, actors):
        self.jobs = jobs
        self.actors = actors

    def detached(self, job, code):
        """`hold --detach` has ended with this code."""
        with open(self.jobs.output(job, "out"), encoding="utf-8") as file:
            output = file.read()
        pid = None
        if output.startswith("export ") and output.endswith("\n"):
            stack = shlex.split(output)[1].partition("=")[2]
            pid = json.loads(stack)[-1]["pid"]
            self.jobs.note_stack(job, stack)
        elif output.endswith("\n"):
            pid = int(output.split()[1])
        if code != 0:
            # The holder can have survived if SIGKILL hit its parent in the last moment.
            if pid and signal.SIGKILL in job.signals and is_child(pid):
                send_signal(pid, start_time(pid), signal.SIGKILL)
            self.end_watched(job)
            return
        if pid is None:
            self.jobs.fail("hold --detach ended with 0 and did not print the pid of the holder", job)
        if not is_child(pid):
            self.jobs.fail(f"hold --detach ended with 0 and left no process {pid}", job)
        job.signals = set()
        job.holder = pid
        self.jobs.add_process(job, pid, "holder", output.strip())
        self.actors.start_proxy(job)

    def end(self, job):
        """The proxy has removed the claims: end the hold."""
        if job.ending == "watched":
            job.end_requested = True
            self.end_watched(job)
        elif job.holder and job.ending == "release":
            job.end_requested = True
            self.actors.start_release(job)
        elif job.holder:
            self.signal_holder(job, signal.SIGTERM if job.ending == "term" else signal.SIGKILL)

    def end_watched(self, job):
        if job.watched:
            os.kill(job.watched, signal.SIGKILL)
            job.watched = None

    def signal_holder(self, job, number):
        job.end_requested = True
        os.kill(job.holder, number)  # a child of the test that is not reaped yet
        job.note(f"{number.name} ends the hold")
