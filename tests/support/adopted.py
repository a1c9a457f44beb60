"""Adopt the processes of a test: if a parent ends first, its children become the test's own."""

import ctypes
import os
import signal

PR_SET_CHILD_SUBREAPER = 36


def adopt():
    """From now on, a descendant whose parent has ended becomes our child."""
    ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def children():
    with open(f"/proc/self/task/{os.getpid()}/children", encoding="utf-8") as pids:
        return [int(pid) for pid in pids.read().split()]


def kill_all():
    """Kill all children, and the descendants that become our children in turn."""
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
