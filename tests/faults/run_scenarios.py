"""Scenarios of `grex-lock run`."""

import json
import os

from scenario import BUSY, UNDER_LOCK, UnderLock, hand_over
from wrong import Wrong


class RunOnePack(UnderLock):
    words = ("run", "WS/a")


class RunInPlace(UnderLock):
    words = ("run", "-F", "WS/a")


class RunSeveral(UnderLock):
    words = ("run", "WS/b", "WS/a", "-l", "workspace-sync:WS")
    locks = ("WS/a/.grex-lock", "WS/b/.grex-lock", "WS/.grex.sync.lock")


class RunBothLayouts(UnderLock):
    words = ("run", "--create", "--layout", "both", "WS/new/pack")
    locks = ("WS/new/pack/.grex-lock", "WS/new/pack/.grex/.grex-lock")


class RunWithEvents(UnderLock):
    words = ("run", "--json-status-fd", "1", "WS/a")


class RunBusy(UnderLock):
    words = ("run", "-n", "WS/a")
    normal = BUSY

    def before(self, workspace):
        workspace.take(workspace.lock)

    def check(self, run, workspace):
        if run.wait() == UNDER_LOCK:
            raise Wrong("the command ran under the lock of another process")
        return run.wait() == BUSY


class RunTimesOut(RunBusy):
    words = ("run", "-w", "30ms", "WS/a")


class RunWaits(UnderLock):
    words = ("run", "-w", "1h", "WS/a")

    def before(self, workspace):
        workspace.take(workspace.lock)

    def during(self, run, workspace):
        hand_over(run, workspace)


class RunWaitsInTheGate(RunWaits):
    def before(self, workspace):
        super().before(workspace)
        os.makedirs(f"{workspace.path}/a/.grex")
        with open(f"{workspace.path}/a/.grex/.grex-lock.gate", "x", encoding="utf-8"):
            pass


class RunPassesTheGate(UnderLock):
    words = ("run", "-s", "WS/a")


class RunWaitsForASlot(UnderLock):
    words = ("run", "-w", "1h", "-t", "semaphore", "--slots", "2", "WS")
    locks = ("WS/.grex/.grex.slot-0.lock",)

    def before(self, workspace):
        workspace.take(f"{workspace.path}/.grex/.grex.slot-1.lock")
        workspace.take(f"{workspace.path}/.grex/.grex.slot-0.lock")

    def during(self, run, workspace):
        kept = workspace.held.pop(0)
        hand_over(run, workspace)
        workspace.held.append(kept)


def stack_naming(tier, path, status, pid):
    """The environment of a command under a lock that the process `pid` has taken."""
    entry = {"tier": tier, "path": path, "dev": status.st_dev, "ino": status.st_ino, "pid": pid}
    return {"GREX_LOCK_STACK": json.dumps([{**entry, "mode": "exclusive"}], separators=(",", ":"))}


def stack_of(workspace, tier, path):
    """The environment of a command that holds this lock, which the test takes."""
    return stack_naming(tier, path, os.fstat(workspace.take(path)), os.getpid())


class RunBelowWorkspaceLock(UnderLock):
    words = ("run", "WS/a")

    def before(self, workspace):
        self.environment = stack_of(workspace, "workspace-sync", f"{workspace.path}/.grex.sync.lock")


class RunOutOfOrder(RunBusy):
    normal = 76
    words = ("run", "WS/a")

    def before(self, workspace):
        self.environment = stack_of(workspace, "manifest", f"{workspace.path}/a/.grex/.grex.lock")

    def check(self, run, workspace):
        if run.wait() == UNDER_LOCK:
            raise Wrong("the command ran against the order of tiers")
        return run.wait() == 76


class RunSelfDeadlock(RunBusy):
    words = ("run", "WS/a")
    also = {76}  # a fault can hide that it is the same lock, but not that its tier is no higher

    def before(self, workspace):
        self.environment = stack_of(workspace, "per-pack", workspace.lock)
