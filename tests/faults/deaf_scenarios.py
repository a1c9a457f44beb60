"""Scenarios whose messages and events no process reads: they must end all the same."""

from run_scenarios import RunBusy
from scenario import Scenario, UnderLock


class DeafRun(UnderLock):
    is_deaf = True
    words = ("run", "-v", "--json-status-fd", "9", "WS/a")


class DeafTimeout(RunBusy):
    is_deaf = True
    words = ("run", "-v", "-w", "30ms", "--json-status-fd", "9", "WS/a")


class DeafHold(Scenario):
    is_deaf = True
    words = ("hold", "-v", "--for", "30ms", "--json-status-fd", "9", "WS/a")
