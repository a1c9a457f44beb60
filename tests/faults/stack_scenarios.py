"""Scenarios of `grex-lock run --reentrant` with a stack that is true, or no longer.

Whatever call fails when grex-lock verifies the stack, it must not go on beside a holder
that is none of its ancestors. If it does not know, it refuses.
"""

import os
import subprocess

from run_scenarios import RunBusy, stack_of, stack_naming
from scenario import UnderLock

REFUSED = {75, 76}


class UnderAncestor(UnderLock):
    words = ("run", "--reentrant", "WS/a")
    also = REFUSED

    def before(self, workspace):
        self.environment = stack_of(workspace, "per-pack", workspace.lock)


class StackOfStranger(RunBusy):
    """The entry names the process that has the lock, but it is no ancestor."""

    words = ("run", "--reentrant", "-n", "WS/a")
    also = REFUSED

    def before(self, workspace):
        script = "echo; exec sleep infinity"
        holder = ["flock", "--no-fork", workspace.lock, "sh", "-c", script]
        self.holder = subprocess.Popen(holder, stdout=subprocess.PIPE)
        self.holder.stdout.readline()
        self.environment = stack_naming("per-pack", workspace.lock, os.stat(workspace.lock), self.pid())

    def pid(self):
        return self.holder.pid

    def after(self, run, workspace):
        self.holder.kill()
        self.holder.wait()
        self.holder.stdout.close()


class StackOfStrangerAndBlind(StackOfStranger):
    is_lasting = True


class StackOfDead(StackOfStranger):
    """The entry names a process that is gone, and another one has the lock."""

    def pid(self):
        gone = subprocess.Popen(["true"])
        gone.wait()
        return gone.pid


class StackOfDeadAndBlind(StackOfDead):
    is_lasting = True
