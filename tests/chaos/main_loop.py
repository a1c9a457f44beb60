"""The main loop: start jobs, disrupt them and reap them until the time is up, then wait for the rest."""

import os
import random
import shutil
import tempfile
import time

import adopted
from actors import Actors
from disruption import Disruption
from events import Events, ended_children
from holds import Holds
from jobs import Jobs
from judge import Judge
from leftovers import check_nothing_left
from locks import Locks
from overlaps import note_report

HANG = 60  # seconds
CONCURRENT = 12  # processes


class MainLoop:
    def __init__(self, options):
        self.seconds = options.seconds
        self.random = random.Random(options.seed)
        self.sandbox = tempfile.mkdtemp(prefix="grex-lock-chaos.")
        environment = {k: v for k, v in os.environ.items() if not k.startswith("GREX_")}
        # LeakSanitizer stops its process by SIGSTOP, and waits forever if a SIGCONT of ours cancels that.
        environment["ASAN_OPTIONS"] = "detect_leaks=0"
        if options.preload:
            environment["LD_PRELOAD"] = os.path.realpath(options.preload)
        self.locks = Locks(self.sandbox, self.random)
        self.events = Events()
        self.jobs = Jobs(self.sandbox, environment)
        self.disruption = Disruption(self.random, self.jobs)
        self.actors = Actors(options, self.random, self.jobs, self.locks, self.events, self.disruption)
        self.judge = Judge(self.jobs, Holds(self.jobs, self.actors), any_exit_code=options.overlaps)

    def run(self):
        """Run until nothing is left, and return the seconds that it took."""
        start = time.monotonic()
        end = start + self.seconds
        next_signal = start
        while time.monotonic() < end:
            while len(self.jobs.processes) < CONCURRENT:
                self.actors.start_one()
            self.wait(min([next_signal, end, *self.disruption.times()]))
            self.disruption.continue_stopped()
            self.disruption.send_planned()
            if time.monotonic() >= next_signal:
                self.disruption.signal_one()
                next_signal = time.monotonic() + self.random.expovariate(1 / 0.003)
        self.await_ends()
        check_nothing_left(self.actors.tool, self.locks, self.events)
        self.jobs.unread.check_unchanged()
        return time.monotonic() - start

    def wait(self, until):
        """Wait for events, and handle them."""
        self.events.wait(until)
        ended = ended_children()
        # The lines of a process come before its end.
        for line in self.events.read_lines():
            note_report(self.jobs, line)
        # A holder may end together with its proxy, which would have it signalled.
        for pid, code in sorted(ended, key=lambda end: not self.jobs.is_holder(end[0])):
            self.judge.process_ended(pid, code)

    def await_ends(self):
        """Start no new jobs; every process must end."""
        hung = time.monotonic() + HANG
        while self.jobs.processes or any(adopted.children()):
            self.disruption.continue_stopped(all_of_them=True)
            self.wait(min(hung, time.monotonic() + 1))
            if time.monotonic() >= hung:
                with open("/proc/locks", encoding="utf-8") as locks:
                    table = locks.read()
                left = sorted(adopted.children())
                self.jobs.fail(f"still there after {HANG} s: {left}\n{table}", *self.jobs.current.values())

    def clean_up(self):
        adopted.kill_all()
        shutil.rmtree(self.sandbox, ignore_errors=True)
