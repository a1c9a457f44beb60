"""One run of grex-lock under strace(1), as a child of the test."""

import os
import select
import time

import strace
from wrong import Wrong

HANG = 20  # seconds


class TracedRun:
    def __init__(self, sandbox, argv, strace_options, scenario):
        inputs = scenario.inputs
        self.errors_path = sandbox.errors
        self.received = b""
        self.status = None
        # stdout is a pipe, so that the test can wait for a line, and for the end.
        self.out, out_end = os.pipe()
        self.input_end = None
        if "stdin" in inputs:
            stdin, self.input_end = os.pipe()
        else:
            stdin = os.open("/dev/null", os.O_RDONLY)
        actions = [
            (os.POSIX_SPAWN_DUP2, out_end, 1),
            (os.POSIX_SPAWN_DUP2, stdin, 0),
            (os.POSIX_SPAWN_OPEN, 2, self.errors_path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600),
        ]
        if 9 in inputs:
            actions.append((os.POSIX_SPAWN_DUP2, inputs[9], 9))
        if scenario.is_deaf:
            actions += [(os.POSIX_SPAWN_DUP2, sandbox.unread.writing_end, fd) for fd in (2, 9)]
        argv = strace.command(sandbox.trace, strace_options, argv)
        environment = {**sandbox.environment, **(scenario.environment or {})}
        self.pid = os.posix_spawnp(argv[0], argv, environment, setsid=True, file_actions=actions)
        os.close(out_end)
        os.close(stdin)
        self.handle = os.pidfd_open(self.pid)

    def wait(self):
        """Wait for the process itself, not for its tracer or for processes that it left behind."""
        if self.status is None:
            self.read_until_end()
            _, status = os.waitpid(self.pid, 0)
            self.status = os.waitstatus_to_exitcode(status)
        return self.status

    def read_until_end(self):
        """Read stdout until the process ends: if the pipe were full, it could not end."""
        deadline = time.monotonic() + HANG
        sources = [self.handle, self.out]
        while True:
            ready, _, _ = select.select(sources, [], [], max(0, deadline - time.monotonic()))
            if self.handle in ready:
                return
            if not ready:
                raise Wrong(f"hangs: still there after {HANG} s")
            piece = os.read(self.out, 65536)
            self.received += piece
            if not piece:
                sources.remove(self.out)

    def has_ended(self):
        return bool(select.select([self.handle], [], [], 0)[0])

    def first_line(self):
        """The first line of stdout; None if stdout or the process ends without one."""
        while b"\n" not in self.received:
            ready, _, _ = select.select([self.out, self.handle], [], [], HANG)
            if not ready:
                raise Wrong(f"hangs: prints nothing for {HANG} s")
            if self.out not in ready:
                return None
            piece = os.read(self.out, 4096)
            if not piece:
                return None
            self.received += piece
        return self.received.split(b"\n")[0].decode()

    def output(self):
        """All of stdout until the process ended; other processes may still have the pipe open."""
        self.wait()
        while select.select([self.out], [], [], 0)[0]:
            piece = os.read(self.out, 65536)
            if not piece:
                break
            self.received += piece
        return self.received.decode()

    def errors(self):
        with open(self.errors_path, encoding="utf-8", errors="replace") as file:
            return file.read()

    def close_stdin(self):
        os.close(self.input_end)
        self.input_end = None

    def close(self):
        for fd in (self.out, self.handle, self.input_end):
            if fd is not None:
                os.close(fd)
        self.input_end = None
