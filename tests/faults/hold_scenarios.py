"""Scenarios of the commands that leave a lock held, or release it: `hold`, `release` and `fd`."""

import fcntl
import os
import signal
import subprocess

from lock_probe import is_locked
from scenario import Scenario, hand_over
from wrong import Wrong


class Hold(Scenario):
    words = ("hold", "--stdin", "WS/a")
    inputs = ("stdin",)

    def during(self, run, workspace):
        line = run.first_line()
        # It may end by itself right after that line.
        if line and not is_locked(workspace.lock) and not run.has_ended():
            raise Wrong(f"printed '{line}', and nothing is locked")
        run.close_stdin()


class HoldDetached(Scenario):
    words = ("hold", "--detach", "WS/a")
    also = {71}  # the two halves cannot communicate

    def check(self, run, workspace):
        if run.wait() != 0:
            return False
        pid = int(run.output().split()[1])
        if not is_locked(workspace.lock):
            raise Wrong("ended with 0, and nothing is locked")
        os.kill(pid, signal.SIGTERM)
        return True


class HoldDetachedWhile(HoldDetached):
    def argv(self, workspace):
        return ["hold", "--detach", "--while-pid", str(os.getpid()), f"{workspace.path}/a"]


class HoldDetachedWaits(HoldDetached):
    def before(self, workspace):
        workspace.take(workspace.lock)

    def during(self, run, workspace):
        hand_over(run, workspace)


class Release(Scenario):
    words = ("release", "WS/a")
    also = {69}  # release could not find out which process holds the lock

    def before(self, workspace):
        hold = [workspace.tool, "hold", "--detach", f"{workspace.path}/a"]
        output = subprocess.run(hold, capture_output=True, check=True).stdout
        self.holder = int(output.split()[1])

    def check(self, run, workspace):
        if run.wait() == 0 and is_locked(workspace.lock):
            raise Wrong("release ended with 0, and the lock is held")
        if "no process holds it" in run.errors() or "not a 'grex-lock hold'" in run.errors():
            raise Wrong(f"release reported of a hold: {run.errors()}")
        return run.wait() == 0

    def after(self, run, workspace):
        try:
            os.kill(self.holder, signal.SIGTERM)
        except ProcessLookupError:
            pass


class Fd(Scenario):
    words = ("fd", "9")

    def before(self, workspace):
        self.fd = os.open(workspace.lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
        self.inputs = {9: self.fd}

    def check(self, run, workspace):
        held = is_locked(workspace.lock)
        if held != (run.wait() == 0):
            raise Wrong(f"ended with {run.wait()}, and the descriptor's lock is {'held' if held else 'free'}")
        return run.wait() == 0

    def after(self, run, workspace):
        os.close(self.fd)


class FdWaits(Fd):
    words = ("fd", "-w", "1h", "9")

    def before(self, workspace):
        super().before(workspace)
        workspace.take(workspace.lock)

    def during(self, run, workspace):
        hand_over(run, workspace)


class FdUnlocks(Fd):
    words = ("fd", "-u", "9")

    def before(self, workspace):
        super().before(workspace)
        fcntl.flock(self.fd, fcntl.LOCK_EX)

    def check(self, run, workspace):
        if run.wait() == 0 and is_locked(workspace.lock):
            raise Wrong("ended with 0, and the descriptor's lock is held")
        return run.wait() == 0
