"""A temporary directory, the processes that lock in it, and the one pipe to which they all report."""

import json
import os
import shutil
import subprocess
import tempfile

import adopted
from wrong import Wrong


class Process:
    """A process that goes on when it is told to, and whose standard output is the pipe."""

    def __init__(self, stage, command):
        self.command = [os.path.basename(command[0]), *command[1:]]
        self._process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=stage.writing_end, env=stage.environment,
        )
        self.pid = self._process.pid

    def go_on(self):
        self._process.stdin.write(b"\n")
        self._process.stdin.flush()

    def kill(self):
        self._process.kill()
        self._process.wait()

    def ends_with(self, status):
        self._process.stdin.close()
        if self._process.wait() != status:
            raise Wrong(f"{self.command} ended with {self._process.returncode} instead of {status}")


class Stage:
    """For use in a `with`. When that ends, the processes are killed and the directory is removed."""

    def __init__(self, grex_lock, peer):
        self.grex_lock_program = os.path.realpath(grex_lock)
        self.peer_program = os.path.realpath(peer)
        self.environment = {k: v for k, v in os.environ.items() if not k.startswith("GREX_")}
        self._path = tempfile.mkdtemp(prefix="grex-lock-interop.")
        self._workspaces = 0
        reading_end, self.writing_end = os.pipe()
        self._reports = os.fdopen(reading_end, encoding="utf-8")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        adopted.kill_all()
        shutil.rmtree(self._path, ignore_errors=True)

    def new_workspace(self):
        """The path of a workspace of grex with the pack `app`."""
        self._workspaces += 1
        workspace = f"{self._path}/{self._workspaces}"
        for directory in (".grex", "app"):
            os.makedirs(f"{workspace}/{directory}")
        with open(f"{workspace}/.grex/pack.yaml", "w", encoding="utf-8"):
            return workspace

    def grex_lock(self, *arguments):
        return Process(self, [self.grex_lock_program, *arguments])

    def peer(self, method, file):
        """Start fd_lock_peer.rs, which is about to call this method of fd_lock::RwLock."""
        process = Process(self, [self.peer_program, method, file])
        self.expect("locking")
        return process

    def start(self, *command):
        return Process(self, command)

    def output_of(self, status, *arguments):
        """Run grex-lock, which must end with this status, and return what it prints."""
        result = subprocess.run(
            [self.grex_lock_program, *arguments],
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=self.environment,
        )
        if result.returncode != status:
            raise Wrong(f"{arguments} ended with {result.returncode} instead of {status}: {result.stderr}")
        return result.stdout + result.stderr

    def _next_report(self):
        """The name of the next report, and the report: a line, or a JSON document of grex-lock."""
        for line in self._reports:
            report = json.loads(line) if line.startswith("{") else line.rstrip("\n")
            name = report if isinstance(report, str) else report.get("event", report.get("verb"))
            if name not in ("started", "released"):  # Their order among the other reports is not certain.
                return name, report
        raise AssertionError("we keep the writing end open")

    def expect(self, name):
        """The next report must be this line, this event, or the document of this command. Returns it."""
        found, report = self._next_report()
        if found != name:
            raise Wrong(f"expected the report '{name}', but got {report}")
        return report
