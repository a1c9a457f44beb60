#!/usr/bin/env -S python3 -B
"""Send signals at random to processes that use a few locks.

usage: chaos.py GREX-LOCK CLAIMANT [--seconds S] [--seed N] [--unlocked ONE_IN] [--preload LIBRARY] [--overlaps] [--only KINDS]

`grex-lock run`, `hold --detach` and `fd`, flock(1) and Python's fcntl.flock take the
same locks. Their command (claimant.cpp) counts overlaps by files of its own. At the
same time, processes that run, wait or hold are killed, terminated, stopped and
continued. Some jobs have a stack of another job (GREX_LOCK_STACK), some have a shell
that dies before its command, some write to a full pipe that no process reads, and some
get any of five signals right from their beginning (runs.py). The test checks that

- no command is in while another process holds a lock that excludes it;
- every process ends, with an exit code that fits what was done to it;
- once a job has written an event, its end has its event, too (phases.py);
- at the end nothing is locked, and no process is left.

The test never sleeps to let something happen: its loop waits for the ends of
processes, for lines, and for the next random moment. A seed repeats the plan but not
the run, since the kernel schedules the processes.

--only shell,stale limits the kinds of run (runs.py) to these two and plain ones.

--unlocked and --preload test the test: one job in ONE_IN takes no lock, or all jobs
run with LIBRARY as LD_PRELOAD. With --overlaps the test succeeds if it finds an overlap.
"""

import argparse
import os
import random
import resource
import signal
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.realpath(__file__)), "../support"))
import adopted  # noqa: E402
import interruption  # noqa: E402
from interruption import Interrupted  # noqa: E402
from main_loop import HANG, MainLoop  # noqa: E402
from wrong import Wrong  # noqa: E402


def parse_arguments():
    parser = argparse.ArgumentParser()
    parser.add_argument("tool")
    parser.add_argument("claimant")
    parser.add_argument("--seconds", type=float, default=8)
    parser.add_argument("--seed", type=int, default=None)
    parser.add_argument("--unlocked", type=int, metavar="ONE_IN")
    parser.add_argument("--preload", metavar="LIBRARY")
    parser.add_argument("--overlaps", action="store_true")
    parser.add_argument("--only", metavar="KINDS", help="of the kinds of run, only plain ones and these: shell,stale")
    options = parser.parse_args()
    if options.seed is None:
        options.seed = random.SystemRandom().randrange(1 << 32)
    return options


def summary(count, seconds):
    variants = ("plain", "in place", "shell", "nested", "chain", "stale", "closed", "hurried", "deaf")
    runs = ", ".join(f"{count[variant]} {variant}" for variant in variants)
    kinds = ("run", "hold", "fd", "flock", "python", "wait", "probe", "status", "release")
    starts = ", ".join(f"{count[kind]} {kind}" for kind in kinds)
    names = ("SIGKILL", "SIGTERM", "SIGSTOP", "SIGINT", "SIGHUP", "SIGQUIT", "SIGUSR1")
    signals = ", ".join(f"{count[name]} {name}" for name in names)
    sent = sum(count[name] for name in names)
    return (
        f"chaos: {seconds:.1f} s; started {starts}\n"
        f"chaos: kinds of run: {runs}\n"
        f"chaos: {sent} blows ({signals}), {sent / seconds * 60:.0f} a minute\n"
        f"chaos: {count['claims']} times in, {count['overlaps']} overlaps"
    )


def run(loop, options):
    """Run the loop, print its results, and return the exit status."""
    start = time.monotonic()
    count = loop.jobs.count
    try:
        print(summary(count, loop.run()))
    except Wrong as wrong:
        seconds = time.monotonic() - start
        if options.overlaps and count["overlaps"] > 0:
            print(f"chaos: found after {seconds:.1f} s, as it should: {str(wrong).splitlines()[0]}")
            return 0
        print(summary(count, seconds))
        print(f"chaos: FAILED with seed {options.seed}: {wrong}")
        return 1
    except Interrupted as by:
        print(f"chaos: interrupted by {by}, seed {options.seed}\n{summary(count, time.monotonic() - start)}")
        return 1
    if options.overlaps:
        print("chaos: no overlap was found, but one was expected")
        return 1
    return 0


def main():
    options = parse_arguments()
    print(f"chaos: seed {options.seed}", flush=True)
    interruption.raise_on_signals(signal.SIGALRM)
    adopted.adopt()  # so that no process escapes the test
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))  # for SIGQUIT
    signal.alarm(int(options.seconds) + 2 * HANG)  # in case the test itself hangs
    loop = MainLoop(options)
    try:
        return run(loop, options)
    finally:
        signal.alarm(0)
        interruption.ignore_signals()
        loop.clean_up()


sys.exit(main())
