#!/usr/bin/env -S python3 -B
"""Make each system call of grex-lock fail that can fail, one at a time.

usage: faults.py GREX-LOCK [--seconds S [--seed N]] [--only TEXT] [--sanitized] [-v]

Each scenario (scenarios.py) runs once under strace(1), which shows the calls that
grex-lock makes. Then it runs again for each of these calls and each errno that the
kernel can return there (errnos.py), and strace makes this one call fail (-e inject).
grex-lock must overcome the fault, or report it with the documented exit status
(oracle.py). It must never hang or crash, run a command without its lock, report a
held lock as free, or leave a lock or a process behind.

--seconds runs only as many as fit, chosen at random with a seed that is printed.
--sanitized leaves out calls that a sanitizer makes for itself. The exit status is 77
if strace cannot trace here.
"""

import argparse
import os
import random
import re
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.realpath(__file__)), "../support"))
import adopted  # noqa: E402
import interruption  # noqa: E402
import strace  # noqa: E402
from campaign import Campaign  # noqa: E402
from interruption import Interrupted  # noqa: E402
from sandbox import Sandbox  # noqa: E402
from scenarios import SCENARIOS  # noqa: E402
from wrong import Wrong  # noqa: E402

SKIP = 77


def parse_arguments():
    parser = argparse.ArgumentParser()
    parser.add_argument("tool")
    parser.add_argument("--seconds", type=float, help="run a random part of all faults, for at most so long")
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(1 << 32))
    parser.add_argument("--only", metavar="TEXT", help="only scenarios whose names match this regular expression")
    parser.add_argument("--sanitized", action="store_true", help="leave out calls that a sanitizer makes for itself")
    parser.add_argument("-v", "--verbose", action="store_true", help="print each fault")
    return parser.parse_args()


def run(campaign, options):
    started = time.monotonic()
    wanted = [s for s in SCENARIOS if not options.only or re.search(options.only, s.__name__)]
    if options.seconds:
        print(f"faults: seed {options.seed}", flush=True)
        done = campaign.run_some(wanted, options.seed, started + options.seconds)
    else:
        done = campaign.run_all(wanted)
    tried = campaign.count["tried"]
    elapsed = time.monotonic() - started
    print(f"faults: {tried} faults in {done} of {len(SCENARIOS)} scenarios, {elapsed:.0f} s: {campaign.summary()}")
    if tried == campaign.count["not reached"]:
        raise Wrong("nothing was tried")


def main():
    options = parse_arguments()
    why_not = strace.why_unavailable()
    if why_not:
        print(f"faults: SKIPPED: {why_not}")
        return SKIP
    interruption.raise_on_signals()
    adopted.adopt()
    sandbox = Sandbox(options.tool)
    campaign = Campaign(sandbox, options.sanitized, options.verbose)
    try:
        run(campaign, options)
    except (Wrong, Interrupted) as end:
        print(f"faults: {type(end).__name__.upper()}: {end}")
        return 1
    finally:
        interruption.ignore_signals()
        sandbox.clean_up()
    return 1 if campaign.wrong else 0


sys.exit(main())
