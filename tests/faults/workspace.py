"""The workspace that a scenario starts in, and the locks that the test holds there."""

import fcntl
import os
import shutil

from lock_probe import is_locked


class Workspace:
    """A fresh directory with two packs, a and b."""

    def __init__(self, sandbox):
        self.tool = sandbox.tool
        self.path = sandbox.workspace
        shutil.rmtree(self.path, ignore_errors=True)
        os.makedirs(f"{self.path}/a")
        os.makedirs(f"{self.path}/b")
        self.lock = f"{self.path}/a/.grex-lock"
        self.held = []  # the descriptors of the locks that the test holds

    def take(self, path):
        os.makedirs(os.path.dirname(path), exist_ok=True)
        fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
        fcntl.flock(fd, fcntl.LOCK_EX)
        self.held.append(fd)
        return fd

    def release_all(self):
        for fd in self.held:
            os.close(fd)
        self.held = []

    def locked_files(self):
        found = []
        for directory, _, names in os.walk(self.path):
            found += [f"{directory}/{name}" for name in names if name.startswith(".grex")]
        return [path for path in found if is_locked(path)]

    def waiters(self):
        """How many processes wait for a lock that the test holds."""
        inodes = {os.fstat(fd).st_ino for fd in self.held}
        with open("/proc/locks", encoding="utf-8") as table:
            lines = [line.split() for line in table]
        return sum(words[1] == "->" and int(words[6].rpartition(":")[2]) in inodes for words in lines)
