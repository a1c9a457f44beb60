"""Try the faults of many scenarios, all of them or some at random, and count the results."""

import random
import time
from collections import Counter

import strace
from fault import faults_of
from oracle import verdict
from scenario_run import run_once
from wrong import Wrong

AT_LEAST = 4  # faults of each scenario that runs are tried, whatever its share of the time
MOST_OF_DEAF = 30  # each takes a second


class Campaign:
    def __init__(self, sandbox, sanitized, verbose):
        self.sandbox = sandbox
        self.sanitized = sanitized
        self.verbose = verbose
        self.count = Counter()
        self.wrong = 0

    def run_all(self, scenarios):
        for scenario in scenarios:
            faults = faults_of(scenario, self.sandbox, self.sanitized)
            if scenario.is_deaf and len(faults) > MOST_OF_DEAF:
                faults = random.sample(faults, MOST_OF_DEAF)
            for fault in faults:
                self.try_one(fault)
        return len(scenarios)

    def run_some(self, scenarios, seed, end):
        """Run scenarios in random order until `end`, and return how many.

        Of each, try as many random faults as fit into its share of the time.
        """
        order = random.Random(seed)
        order.shuffle(scenarios)
        # Each fault of a deaf one takes a second: only one of them.
        deaf = [scenario for scenario in scenarios if scenario.is_deaf]
        scenarios = [scenario for scenario in scenarios if scenario not in deaf[1:]]
        for done, scenario in enumerate(scenarios):
            if time.monotonic() >= end:
                return done
            faults = faults_of(scenario, self.sandbox, self.sanitized)
            order.shuffle(faults)
            share = time.monotonic() + (end - time.monotonic()) / (len(scenarios) - done)
            for tried, fault in enumerate(faults):
                if tried >= (1 if scenario.is_deaf else AT_LEAST) and time.monotonic() >= share:
                    break
                self.try_one(fault)
        return len(scenarios)

    def try_one(self, fault):
        self.count["tried"] += 1
        if self.verbose:
            print(fault, flush=True)
        try:
            self.judge(fault)
        except Wrong as wrong:
            self.wrong += 1
            print(f"faults: WRONG: {fault}\n    {wrong}", flush=True)

    def judge(self, fault):
        outcome = run_once(fault.scenario, self.sandbox, fault.strace_options())
        if not strace.was_injected(self.sandbox.trace):
            self.count["not reached"] += 1  # this run took another path
            if self.verbose:
                print("    not reached", flush=True)
        counted_as = verdict(fault, outcome)
        if counted_as:
            self.count[counted_as] += 1

    def summary(self):
        results = ", ".join(f"{number} {what}" for what, number in sorted(self.count.items()) if what != "tried")
        return f"{results}; {self.wrong} wrong"
