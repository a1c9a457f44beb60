"""Processes by number and start time, since the kernel reuses numbers."""

import os
import signal


def start_time(pid):
    """The start time of a process; None if it is gone. With the number, it identifies the process."""
    try:
        with open(f"/proc/{pid}/stat", encoding="utf-8", errors="replace") as stat:
            return int(stat.read().rpartition(")")[2].split()[19])
    except (OSError, IndexError):
        return None


def is_child_of(pid, parent):
    try:
        with open(f"/proc/{pid}/stat", encoding="utf-8", errors="replace") as stat:
            return int(stat.read().rpartition(")")[2].split()[1]) == parent
    except (OSError, IndexError):
        return False


def send_signal(pid, started, number):
    """Send a signal to this process only, and return whether it was sent."""
    try:
        handle = os.pidfd_open(pid)
    except OSError:
        return False
    try:
        if start_time(pid) != started:
            return False
        signal.pidfd_send_signal(handle, number)
        return True
    except OSError:
        return False
    finally:
        os.close(handle)


def is_child(pid):
    """Whether the process is a child of the test that has not been reaped."""
    try:
        os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG | os.WNOWAIT)
        return True
    except ChildProcessError:
        return False
