"""The processes of a test whose parents may end before them: they become its own."""

import ctypes
import os
import signal

PR_SET_CHILD_SUBREAPER = 36


def adopt():
    """From now on, whoever is left by a child of ours is a child of ours."""
    ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def children():
    with open(f"/proc/self/task/{os.getpid()}/children", encoding="utf-8") as pids:
        return [int(pid) for pid in pids.read().split()]


def kill_all():
    """Kills the children, and those who then become ours."""
    while pids := children():
        for pid in pids:
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
        try:
            os.waitpid(-1, 0)
        except ChildProcessError:
            pass
