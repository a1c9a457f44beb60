#!/usr/bin/env -S python3 -B
"""Remove, move and replace lock files at random while jobs hold them.

usage: removals.py GREX-LOCK CLAIMANT [--seconds S] [--seed N] [--if-lost ACTION]

Jobs take the locks of a few packs by `grex-lock run`, exclusively or shared. Their command
(claimant.cpp) counts overlaps by files of its own. At the same time, lock files are
removed, moved away or replaced, and grex-lock is stopped and continued, or killed. The test
checks that

- of two jobs that were in together, at least one has reported its lock as lost (the event
  `lost`), unless its grex-lock was killed. It need not if it shares the lock, and the other one
  took a file that had been replaced a moment before: such a file gets no record, and without one
  it is as a sharer leaves it;
- every job ends, with an exit code that fits.

A job can't see two changes of one file between two of its looks. So a pack's files are
changed again only when all jobs have ended that ran at the last change. Nothing here sleeps
to let something happen.
"""

import argparse
import datetime
import json
import os
import random
import select
import shutil
import signal
import subprocess
import sys
import tempfile
import time

DONE, OVERLAP_FOUND, BUSY = 7, 4, 75
HANG = 120  # seconds
CONCURRENT = 10
# Files of a pack that are changed together.
FLAT, NESTED, DIRECTORY = ".grex-lock", ".grex/.grex-lock", ".grex"
CHANGES = ((FLAT,), (NESTED,), (FLAT, NESTED), (FLAT, DIRECTORY))


MOMENT = 0.05  # seconds; longer than the time within which a change can hide another one


class Job:
    def __init__(self, name, pack, process, events, is_shared):
        self.name, self.pack, self.process, self.events = name, pack, process, events
        self.is_shared, self.is_killed = is_shared, False

    def acquired_at(self):
        with open(self.events, encoding="utf-8") as file:
            times = [event["time"] for event in map(json.loads, file) if event["event"] == "acquired"]
        return datetime.datetime.fromisoformat(times[0].replace("Z", "+00:00")).timestamp()

    def reported(self):
        with open(self.events, encoding="utf-8") as file:
            return [json.loads(line)["event"] for line in file if line.endswith("\n")]


class Removals:
    def __init__(self, options, sandbox):
        self.options, self.sandbox = options, sandbox
        self.random = random.Random(options.seed)
        self.packs = [f"{sandbox}/ws/{name}" for name in ("app", "lib")]
        for pack in self.packs:
            os.makedirs(f"{pack}/src")
            os.makedirs(self.claims(pack))
        self.lines, self.writing_end = os.pipe()
        os.set_blocking(self.lines, False)
        self.unread = b""
        self.jobs = {}  # by name, all of them
        self.running = []
        self.blocking = {pack: [] for pack in self.packs}  # jobs that must end before the next change
        self.overlaps = []  # pairs of names
        self.changes = 0
        self.replaced = []  # packs whose nested file was replaced, and when

    def claims(self, pack):
        return f"{self.sandbox}/claims/{os.path.basename(pack)}"

    def start_job(self):
        name = str(len(self.jobs) + 1)
        pack = self.random.choice(self.packs)
        is_shared = self.random.random() < 0.3
        microseconds = int(self.random.choice([0.005, 0.05, 1.6]) * 1e6 * self.random.random())
        claim = f"{self.claims(pack)}:{'shared' if is_shared else 1}"
        path = f"{self.sandbox}/events.{name}"
        with open(path, "wb") as events:
            fd = events.fileno()
            words = [self.options.tool, "run", "-q", "-w", "4", "--json-status-fd", str(fd)]
            words += ["--if-lost", self.options.if_lost, *(["-s"] if is_shared else []), pack, "--"]
            words += [self.options.claimant, str(self.writing_end), name, str(DONE), str(microseconds), "0", claim]
            process = subprocess.Popen(words, stdin=subprocess.DEVNULL, pass_fds=(fd, self.writing_end))
        self.jobs[name] = Job(name, pack, process, path, is_shared)
        self.running.append(self.jobs[name])

    def change_files(self):
        pack = self.random.choice(self.packs)
        self.blocking[pack] = [job for job in self.blocking[pack] if job in self.running]
        if self.blocking[pack]:
            return
        for name in self.random.choice(CHANGES):
            path = f"{pack}/{name}"
            away = f"{self.sandbox}/away.{self.changes}"
            self.changes += 1
            try:
                how = self.random.choice(["remove", "move", "replace"])
                if name == DIRECTORY or how == "move":
                    os.rename(path, away)
                elif how == "remove":
                    os.remove(path)
                else:
                    with open(away, "wb"):
                        pass
                    os.rename(away, path)
                    if name == NESTED:
                        self.replaced.append((pack, time.time()))
            except FileNotFoundError:
                pass
        self.blocking[pack] = [job for job in self.running if job.pack == pack]

    def disrupt(self):
        if not self.running:
            return
        job = self.random.choice(self.running)
        number = self.random.choice([signal.SIGSTOP, signal.SIGCONT, signal.SIGCONT, signal.SIGKILL])
        if number == signal.SIGKILL and self.random.random() < 0.8:
            return
        job.is_killed = job.is_killed or number == signal.SIGKILL
        job.process.send_signal(number)

    def read_lines(self):
        try:
            self.unread += os.read(self.lines, 65536)
        except BlockingIOError:
            return
        *lines, self.unread = self.unread.split(b"\n")
        for line in lines:
            what, name, *more = line.decode().split(" ")
            if what == "wrong":
                others = [word for word in more if word in self.jobs and word != name]
                if "together" not in more or not others:
                    raise SystemExit(f"removals: FAILED: {line.decode()}")
                self.overlaps.append((name, others))

    def wait(self, seconds):
        select.select([self.lines], [], [], seconds)
        self.read_lines()
        for job in [job for job in self.running if job.process.poll() is not None]:
            self.running.remove(job)
            code = job.process.returncode
            allowed = {DONE, OVERLAP_FOUND, BUSY}
            if self.options.if_lost == "stop":
                allowed.add(79)
            if job.is_killed:
                allowed.add(-signal.SIGKILL)
            if code not in allowed:
                raise SystemExit(f"removals: FAILED: job {job.name} ended with {code}")

    def run(self):
        end = time.monotonic() + self.options.seconds
        while time.monotonic() < end:
            while len(self.running) < CONCURRENT:
                self.start_job()
            self.wait(self.random.expovariate(1 / 0.02))
            self.random.choice([self.change_files, self.disrupt])()
        hung = time.monotonic() + HANG
        while self.running:
            for job in self.running:
                job.process.send_signal(signal.SIGCONT)
            self.wait(0.5)
            if time.monotonic() > hung:
                names = [job.name for job in self.running]
                raise SystemExit(f"removals: FAILED: still there: jobs {names}")
        self.read_lines()

    def is_unrecorded(self, pair):
        """Whether one shares the lock, and the other took a file that had just been replaced."""
        return any(one.is_shared and not other.is_shared and any(
            pack == other.pack and 0 <= other.acquired_at() - at < MOMENT for pack, at in self.replaced)
            for one, other in (pair, pair[::-1]))

    def check(self):
        """Each overlap was reported. Returns the counts for the summary."""
        reports = {name: job.reported() for name, job in self.jobs.items()}
        for name, others in self.overlaps:
            for other in others:
                pair = (self.jobs[name], self.jobs[other])
                if not any(job.is_killed or "lost" in reports[job.name] for job in pair) and not self.is_unrecorded(pair):
                    shown = [f"job {job.name}: {reports[job.name]}" for job in pair]
                    raise SystemExit(f"removals: FAILED: an overlap was not reported: {shown}")
        return [sum(event in report for report in reports.values()) for event in ("restored", "lost")]


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("tool", type=os.path.realpath)
    parser.add_argument("claimant", type=os.path.realpath)
    parser.add_argument("--seconds", type=float, default=8)
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(1 << 32))
    parser.add_argument("--if-lost", default="restore")
    options = parser.parse_args()
    print(f"removals: seed {options.seed}", flush=True)
    for name in [name for name in os.environ if name.startswith("GREX_")]:
        del os.environ[name]
    # LeakSanitizer stops its process by SIGSTOP, and waits forever if a SIGCONT of ours cancels that.
    os.environ["ASAN_OPTIONS"] = "detect_leaks=0"
    sandbox = tempfile.mkdtemp(prefix="grex-lock-removals.")
    removals = Removals(options, sandbox)
    try:
        removals.run()
        restored, lost = removals.check()
        print(
            f"removals: {len(removals.jobs)} jobs, {removals.changes} changes, {restored} jobs restored their lock, "
            f"{lost} lost it, {len(removals.overlaps)} overlaps, all reported"
        )
    finally:
        for job in removals.running:
            job.process.kill()
            job.process.wait()
        shutil.rmtree(sandbox, ignore_errors=True)


sys.exit(main())
