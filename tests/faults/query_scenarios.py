"""Scenarios of the commands that take no lock: `probe`, `status` and `wait`."""

import json

from scenario import BUSY, Scenario, hand_over
from wrong import Wrong


class ProbeFree(Scenario):
    words = ("probe", "WS/a")

    def before(self, workspace):
        workspace.take(workspace.lock)
        workspace.release_all()


class FindsHeld(Scenario):
    """A command that must report that the lock is held."""

    normal = BUSY

    def before(self, workspace):
        workspace.take(workspace.lock)

    def check(self, run, workspace):
        if run.wait() == 0:
            raise Wrong(f"{self.words[0]} found a held lock free")
        return run.wait() == BUSY


class ProbeHeld(FindsHeld):
    words = ("probe", "WS/a")


class WaitTimesOut(FindsHeld):
    words = ("wait", "-w", "30ms", "WS/a")


class Wait(Scenario):
    words = ("wait", "WS/a", "WS/b")

    def before(self, workspace):
        workspace.take(workspace.lock)

    def during(self, run, workspace):
        hand_over(run, workspace)


class Status(Scenario):
    words = ("status", "--json", "WS/a")

    def before(self, workspace):
        workspace.take(workspace.lock)

    def states(self, run, workspace):
        locks = json.loads(run.output())["locks"]
        return [lock["state"] for lock in locks if lock["path"] == workspace.lock]

    def check(self, run, workspace):
        if run.wait() != 0:
            return False
        states = self.states(run, workspace)
        if set(states) - {"held", "unknown"} or not states:
            raise Wrong(f"status reported a held lock as {states}")
        return True


class StatusRecursive(Status):
    words = ("status", "--json", "-r", "WS")


class StatusOfAll(Status):
    words = ("status", "--json", "--all")

    def states(self, run, workspace):
        return super().states(run, workspace) or ["unknown"]  # status omits a descriptor that it cannot inspect
