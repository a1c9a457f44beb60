"""Which faults there are: each call of a scenario that can fail, with each of its errnos."""

import re
from collections import Counter

import strace
from errnos import can_last, errnos_for, is_in_scope
from scenario_run import run_once
from wrong import Wrong

ALIKE = 3  # of calls that differ only in numbers, so many are tried, and the last one
FORKS = ("vfork", "fork", "clone")
# The calls of a child that strace can select by their file (-P).
CHILD_CALLS = {"openat", "flock", "ftruncate", "pwrite64", "newfstatat", "execve"}


class Fault:
    def __init__(self, scenario, call, number, errno, arguments, filters):
        self.scenario = scenario
        self.call = call
        self.number = number
        self.errno = errno
        self.arguments = arguments
        self.filters = filters

    def strace_options(self):
        when = f"{self.number}+" if self.scenario.is_lasting else self.number
        return [*self.filters, *strace.injection(self.call, self.errno, when)]

    def __str__(self):
        lasting = " and all later ones" if self.scenario.is_lasting else ""
        call = f"{self.call} number {self.number}{lasting}, {self.call}({self.arguments}"
        return f"{self.scenario.__name__}: {self.errno} from {call}"


def faults_of(scenario, sandbox, sanitized):
    """Run the scenario without a fault, and find the faults that are possible in it.

    An injection by number alone would hit the loader in a child. So faults of a
    child are limited to calls on one file (strace -P): a lock file or the command.
    """
    lock_files = ["-P", f"{sandbox.workspace}/a/.grex-lock", "-P", ".grex-lock"]
    command_file = ["-P", "/usr/bin/flock"]
    faults = []
    try:
        for filters in ([], lock_files, command_file):
            if filters and not any(fault.call in FORKS for fault in faults):
                break
            calls = calls_of(scenario, sandbox, filters)
            if filters:
                calls = [call for call in calls if not call.in_main and call.name in CHILD_CALLS]
            calls = [call for call in calls if is_in_scope(call, sanitized)]
            faults += [Fault(scenario, *fault, filters) for fault in faults_in(calls)]
    except Wrong as wrong:
        raise Wrong(f"{scenario.__name__}: {wrong}") from None
    return [fault for fault in faults if not scenario.is_lasting or can_last(fault.call, fault.errno)]


def calls_of(scenario, sandbox, filters):
    outcome = run_once(scenario, sandbox, filters)
    if not outcome.as_normal:
        raise Wrong(f"ended with {outcome.status} without any fault: {outcome.errors}")
    return strace.read_calls(sandbox.trace, is_filtered=bool(filters))


def faults_in(calls):
    """The faults that these calls allow, as (call, number, errno, arguments)."""
    alike = Counter()
    possible = {}  # (call, number): the errnos that are right for this call of every process
    chosen = {}  # (call, number): its arguments
    last = {}  # kind: the last (call, number) of it, and its arguments
    for call in calls:
        key = (call.name, call.number)
        errnos = errnos_for(call)
        before = possible.get(key, errnos)
        possible[key] = [errno for errno in errnos if errno in before]
        # A search for holders reads /proc of every process on the machine.
        kind = (call.name, call.in_main, kind_of(call))
        alike[kind] += 1
        last[kind] = (key, call.arguments.split(") ")[0])
        if alike[kind] <= ALIKE:
            chosen.setdefault(*last[kind])
    for key, arguments in last.values():
        chosen.setdefault(key, arguments)
    return [(*key, errno, arguments) for key, arguments in chosen.items() for errno in possible[key]]


def kind_of(call):
    """The arguments without numbers, and without the data that the call has read."""
    arguments = call.arguments
    if call.name == "readlink":
        arguments = arguments.split(", ", 1)[0]
    if call.name in ("read", "pread64"):
        arguments = re.sub(r'".*"', "", arguments)
    return re.sub(r"0x\w+|\d+|/\* .*|{.*", "N", arguments)
