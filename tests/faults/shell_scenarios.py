"""Scenarios of `grex-lock run` whose command is a shell that ends before what it has started.

What works on has the locked descriptor, and the session of the shell. Whatever call
fails when grex-lock looks for such processes, it must not unlock: a process that it
cannot read counts, and so do all if it cannot search.
"""

import os
import signal

from lock_probe import is_locked
from scenario import Scenario
from wrong import Wrong


class ShellKilled(Scenario):
    words = ("run", "WS/a")
    script = "sleep infinity >/dev/null & echo $!; kill -KILL $$"
    normal = 128 + signal.SIGKILL

    def argv(self, workspace):
        return [*super().argv(workspace), "--", "/bin/sh", "-c", self.script]

    def check(self, run, workspace):
        status = run.wait()
        if not run.output():
            return False  # the shell was not started
        if not is_locked(workspace.lock):
            raise Wrong(f"ended with {status}, and what the shell left works on without its lock")
        if status != self.normal:
            raise Wrong(f"ended with {status}, and its command with {self.normal}")
        return True

    def after(self, run, workspace):
        line = run.received.decode()
        if line:
            os.kill(int(line), signal.SIGKILL)  # a child of the test, which has adopted it


class ShellKilledAndBlind(ShellKilled):
    is_lasting = True


class ShellEndsAtSignal(ShellKilled):
    """The shell catches the signal that grex-lock forwards, and ends by itself."""

    script = "trap 'exit 143' TERM INT; sleep infinity >/dev/null & echo $!; wait"
    normal = 128 + signal.SIGTERM

    def during(self, run, workspace):
        if run.first_line():
            # If a fault keeps one from being forwarded, the other is.
            os.kill(run.pid, signal.SIGTERM)
            os.kill(run.pid, signal.SIGINT)
