"""What a scenario is: the command that runs, what happens around it, and which result is right."""

import os
import time

from traced_run import HANG
from wrong import Wrong

BUSY = 75  # the exit status of grex-lock if the lock is held
UNDER_LOCK = 42  # the exit status of the command of `run` if the command has its locks


class Scenario:
    """check() verifies what the exit status claims.

    It raises Wrong if the claim is false, and returns whether the result is the
    same as without any fault.
    """

    words = ()  # the arguments of grex-lock; WS stands for the workspace
    inputs = ()
    environment = None
    normal = 0
    also = frozenset()  # further statuses that may report a fault here
    is_deaf = False  # stderr is a full pipe that no process reads, and so is descriptor 9
    is_lasting = False  # not one call fails, but all calls of this name from that one on

    def before(self, workspace):
        pass

    def argv(self, workspace):
        return [word.replace("WS", workspace.path) for word in self.words]

    def during(self, run, workspace):
        pass

    def check(self, run, workspace):
        return run.wait() == self.normal

    def after(self, run, workspace):
        pass


def command(workspace, *locks):
    """The command of `run`: exits with 42 if the locks are held, or else leaves a file."""
    marker = f"{workspace.path}/UNLOCKED"
    tries = [["/usr/bin/flock", "-n", "-E", str(UNDER_LOCK), lock, "touch", marker] for lock in locks]
    if len(tries) == 1:
        return ["--", *tries[0]]
    script = " && ".join(f"{{ {' '.join(words)}; [ $? -eq {UNDER_LOCK} ]; }}" for words in tries)
    return ["--", "/bin/sh", "-c", f"{script} && exit {UNDER_LOCK}; touch {marker}"]


class UnderLock(Scenario):
    """A command that must run under its locks."""

    normal = UNDER_LOCK
    locks = ("WS/a/.grex-lock", "WS/a/.grex/.grex-lock")

    def argv(self, workspace):
        locks = [lock.replace("WS", workspace.path) for lock in self.locks]
        return super().argv(workspace) + command(workspace, *locks)

    def check(self, run, workspace):
        if os.path.exists(f"{workspace.path}/UNLOCKED") or run.wait() == 0:
            raise Wrong("the command ran without its lock")
        return run.wait() == UNDER_LOCK


def hand_over(run, workspace):
    """Release the locks of the test when grex-lock waits for one of them."""
    deadline = time.monotonic() + HANG
    while not run.has_ended() and workspace.waiters() == 0:
        if time.monotonic() > deadline:
            raise Wrong(f"hangs: neither waits nor ends within {HANG} s")
        os.sched_yield()  # /proc/locks shows the waiter, but the kernel does not announce it
    workspace.release_all()
