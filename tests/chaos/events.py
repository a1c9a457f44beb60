"""What wakes the main loop: the end of a child, and a line from a claimant."""

import os
import select
import signal
import time


class Events:
    def __init__(self):
        self.wake, wake_end = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
        signal.set_wakeup_fd(wake_end, warn_on_full_buffer=False)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        self.lines, self.writing_end = os.pipe()
        os.set_blocking(self.lines, False)
        os.set_inheritable(self.writing_end, True)
        self.unread = b""

    def wait(self, until):
        """Return at the next event, or at this time of the monotonic clock."""
        ready, _, _ = select.select([self.wake, self.lines], [], [], max(0, until - time.monotonic()))
        if self.wake in ready:
            os.read(self.wake, 4096)

    def read_lines(self):
        """The complete lines that claimants have written since the last call."""
        while True:
            try:
                piece = os.read(self.lines, 65536)
            except BlockingIOError:
                break
            if not piece:
                break
            self.unread += piece
        *lines, self.unread = self.unread.split(b"\n")
        return [line.decode() for line in lines]

    def close(self):
        """Close the writing end of the test. Returns whether nothing is left to read.

        Raises BlockingIOError if another process still has the writing end.
        """
        os.close(self.writing_end)
        self.writing_end = -1
        return os.read(self.lines, 1) == b""


def ended_children():
    """Reap the children that have ended, and return (pid, exit code) of each."""
    ended = []
    while True:
        try:
            pid, status = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            break
        if pid == 0:
            break
        ended.append((pid, os.waitstatus_to_exitcode(status)))
    return ended
