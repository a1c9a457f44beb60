"""What all runs of grex-lock share: a temporary directory, the environment, the program."""

import os
import shutil
import tempfile

import adopted
from unread import UnreadPipe


class Sandbox:
    def __init__(self, tool):
        self.tool = os.path.realpath(tool)
        self.path = tempfile.mkdtemp(prefix="grex-lock-faults.")
        self.workspace = f"{self.path}/ws"
        self.errors = f"{self.path}/err"
        self.trace = f"{self.path}/trace"
        self.unread = UnreadPipe()
        self.environment = {k: v for k, v in os.environ.items() if not k.startswith("GREX_")}
        # LeakSanitizer needs ptrace(2), and strace already traces the process.
        self.environment["ASAN_OPTIONS"] = "detect_leaks=0:" + self.environment.get("ASAN_OPTIONS", "")

    def clean_up(self):
        adopted.kill_all()
        shutil.rmtree(self.path, ignore_errors=True)
