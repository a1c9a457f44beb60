#!/usr/bin/env -S python3 -B
"""Measures the cost of grex-lock beside flock(1), lslocks(8), find(1) and the floor.
usage: bench.py [--quick] GREX-LOCK DIRECTORY-OF-THE-BENCH-PROGRAMS

Prints a table. A time is a median over whole processes, from start to end. What
is compared runs in turns, so trust ratios more than times: the machine may be
busy. If it is very busy, medians mostly measure how long processes waited for a
processor; the column `calm` has the ratio of the fastest tenths. The exit status
is 0, whatever the results. The floor is floor.c, the least such a program costs."""

import argparse
import os
import statistics
import subprocess

from stage import Stage

COMMAND = "/bin/true"


def duration(nanoseconds):
    if nanoseconds < 1e6:
        return f"{nanoseconds / 1e3:.0f} µs"
    if nanoseconds < 1e9:
        return f"{nanoseconds / 1e6:.2f} ms"
    return f"{nanoseconds / 1e9:.2f} s"


def size(count):
    return f"{count / 1024:.0f} KiB"


def number(count):
    return f"{count:,.0f}"


def fastest_tenth(times):
    """Returns the longest time of the fastest tenth."""
    return sorted(times)[len(times) // 10]


class Table:
    WIDTHS = (48, 9, 23, 9, 5, 4, 8, 3)

    def __init__(self):
        self._print(("what", "median", "against", "median", "ratio", "calm", "goal", "met"))

    def _print(self, cells):
        line = "  ".join(f"{cell:<{width}}" for cell, width in zip(cells, self.WIDTHS))
        print(line.rstrip(), flush=True)

    def compare(self, what, ours, against, theirs, goal=None, scale=1):
        """Adds a row for two lists of times; theirs are multiplied by `scale`."""
        self.count(what, statistics.median(ours), against, scale * statistics.median(theirs), goal, duration,
                   f"{fastest_tenth(ours) / (scale * fastest_tenth(theirs)):.2f}")

    def count(self, what, ours, against, theirs, goal=None, show=number, calm=""):
        ratio = ours / theirs
        met = "" if goal is None else "yes" if ratio <= goal else "NO"
        shown_goal = "" if goal is None else f"<= {goal:.2f}"
        self._print((what, show(ours), against, show(theirs), f"{ratio:.2f}", calm, shown_goal, met))

    def limit(self, what, measured, limit):
        goal = f"<= {duration(limit)}"
        self._print((what, duration(measured), "", "", "", "", goal, "yes" if measured <= limit else "NO"))

    def leave_out(self, what, why):
        self._print((what, "-", why))


def whole_processes(stage, table, rounds):
    pack, _ = stage.pack("pack")
    # --no-fork has its own file: it leaves a record there, which would cost the next command time.
    file = str(stage.directory / "file")
    in_place, _ = stage.pack("in-place")
    tool = stage.tool
    floor = str(stage.programs / "floor")
    contestants = {
        "nothing": [COMMAND],
        "floor": [floor, file, COMMAND],
        "floor -F": [floor, "-F", file, COMMAND],
        "flock": ["flock", file, COMMAND],
        "flock -F": ["flock", "-F", file, COMMAND],
        "flock -n": ["flock", "-n", file, COMMAND],
        "run": [tool, "run", pack, "--", COMMAND],
        "run flat": ["GREX_LOCK_LAYOUT=flat", tool, "run", pack, "--", COMMAND],
        "run -n": [tool, "run", "-n", pack, "--", COMMAND],
        "run -F": [tool, "run", "--no-fork", in_place, "--", COMMAND],
        "probe": [tool, "probe", pack],
        "--help": [tool, "run", "--help"],
    }
    cost = stage.each(rounds, contestants)
    counted = ("floor", "flock", "flock -n", "run", "run flat", "run -n", "probe")
    count = {name: stage.instructions(contestants[name]) for name in counted}
    table.compare("run", cost["run"].time, "flock FILE", cost["flock"].time, 0.77)
    table.compare("run", cost["run"].time, "the floor", cost["floor"].time, 1.08)
    table.compare("run, of two files", cost["run"].time, "run in layout flat", cost["run flat"].time, 1.05)
    table.compare("run -n", cost["run -n"].time, "flock -n FILE", cost["flock -n"].time)
    table.compare("run --no-fork", cost["run -F"].time, "flock -F", cost["flock -F"].time, 0.85)
    table.compare("probe", cost["probe"].time, "flock -n FILE true", cost["flock -n"].time, 0.38)
    table.compare("run --help", cost["--help"].time, "run", cost["run"].time, 1.2)
    table.compare("the floor", cost["floor"].time, "flock FILE", cost["flock"].time)
    table.compare("the floor, in place", cost["floor -F"].time, "flock -F", cost["flock -F"].time)
    table.compare("the command alone", cost["nothing"].time, "the floor", cost["floor"].time)
    table.compare("processor time of run and its command", cost["run"].processor, "flock FILE", cost["flock"].processor)
    table.compare("processor time of run and its command", cost["run"].processor, "the floor", cost["floor"].processor)
    table.compare("processor time of probe", cost["probe"].processor, "flock -n FILE true", cost["flock -n"].processor)
    table.count("instructions of run", count["run"], "flock FILE", count["flock"], 0.33)
    table.count("instructions of run", count["run"], "the floor", count["floor"])
    table.count("instructions of run", count["run"], "run in layout flat", count["run flat"])
    table.count("instructions of run -n", count["run -n"], "flock -n FILE", count["flock -n"])
    table.count("instructions of probe", count["probe"], "flock -n FILE true", count["flock -n"])
    table.count("peak memory of run", cost["run"].memory, "flock FILE", cost["flock"].memory, 1.1, size)
    table.count("page faults of run and its command", cost["run"].faults, "flock FILE", cost["flock"].faults)
    table.count("page faults of run and its command", cost["run"].faults, "the floor", cost["floor"].faults)


def crowds(stage, table, rounds):
    pack, file = stage.pack("pack")
    for total, at_once, goal in ((400, 40, 0.85), (200, 200, None)):
        ours, theirs = [], []
        for _ in range(rounds):
            ours.append(stage.crowd(total, at_once, [stage.tool, "run", pack, "--", COMMAND]))
            theirs.append(stage.crowd(total, at_once, ["flock", file, COMMAND]))
        table.compare(f"{total} runs, {at_once} at once, of one pack", ours, "flock FILE", theirs, goal)


def handovers(stage, table, rounds):
    pack, file = stage.pack("pack")
    clock = str(stage.programs / "clock")
    time = stage.handover(rounds, file, {"run": [stage.tool, "run", pack, "--", clock], "flock": ["flock", file, clock]})
    table.compare("from an unlock to the command of the waiter", time["run"], "flock FILE", time["flock"], 1.0)


def waiting(stage, table, is_quick):
    what = "processor time of 60 s of waiting on a terminal"
    if is_quick:
        table.leave_out(what, "takes 60 s; skipped with --quick")
        return
    pack, file = stage.pack("pack")
    with stage.held([file]):
        time, written = stage.wait(60, [stage.tool, "run", pack, "--", COMMAND])
    if written == 0:
        raise SystemExit("bench: nothing was written to the terminal during the wait")
    table.limit(what, time, 20e6)


def one_status(stage, table, rounds):
    pack, file = stage.pack("pack")
    commands = {"status": [stage.tool, "status", pack], "lslocks": ["lslocks", "-J"]}
    free = stage.each(rounds, commands)
    with stage.held([file]):
        held = stage.each(rounds, commands)
    table.compare("status of a pack, free", free["status"].time, "lslocks -J", free["lslocks"].time, 0.45)
    table.compare("status of a pack, held", held["status"].time, "lslocks -J", held["lslocks"].time, 1.0)


def many_packs(stage, table, rounds):
    places = (("tree/half/quarter", 2500), ("tree/half", 2500), ("tree", 5000))
    files = [stage.pack(f"{place}/{i // 100:02}/{i % 100:02}")[1] for place, count in places for i in range(count)]
    tree, half, quarter = (str(stage.directory / place) for place, _ in reversed(places))
    with stage.held(files[:2500:125]):
        cost = stage.each(rounds, {
            "find": ["find", tree, "-name", ".grex-lock"],
            "10000": [stage.tool, "status", "-r", tree],
            "5000": [stage.tool, "status", "-r", half],
            "2500": [stage.tool, "status", "-r", quarter],
        })
    table.compare("status -r of 10,000 packs, 20 held", cost["10000"].time, "find -name .grex-lock",
                  cost["find"].time, 1.2)
    table.compare("status -r of 5,000 packs", cost["5000"].time, "2 times that of 2,500", cost["2500"].time, 1.1, scale=2)
    table.compare("status -r of 10,000 packs", cost["10000"].time, "4 times that of 2,500", cost["2500"].time, 1.1, scale=4)


def growth(stage, table, rounds):
    pack, _ = stage.pack("pack")
    command = [stage.tool, "run", "--tier-check", "off", pack, "--", COMMAND]
    (stage.directory / "others").mkdir()
    others = [stage.directory / "others" / str(i) for i in range(10000)]
    for other in others:
        other.touch()
    alone = crowded = None
    for _ in range(10):
        alone = stage.each(rounds // 10, {"run": command}, alone)
        with stage.held(others):
            crowded = stage.each(rounds // 10, {"run": command}, crowded)
    table.compare("run while 10,000 other locks are held", crowded["run"].time, "run while none is",
                  alone["run"].time, 1.05)
    commands = {"run": command, "status": [stage.tool, "status", pack], "lslocks": ["lslocks", "-J"]}
    few = many = None
    for _ in range(10):
        few = stage.each(rounds // 10, commands, few)
        with stage.idle_processes(700):
            many = stage.each(rounds // 10, commands, many)
    table.compare("run beside 700 idle processes", many["run"].time, "run beside none", few["run"].time, 1.05)
    table.compare("status beside 700 idle processes", many["status"].time, "lslocks -J", many["lslocks"].time)
    with stage.tier_stack() as stack:
        cost = stage.each(rounds, {"0": command, "5": ["GREX_LOCK_STACK=" + stack, *command]})
    table.compare("run under a tier stack of 5", cost["5"].time, "run under none", cost["0"].time, 1.1)


def clusters(stage, table, rounds):
    if not stage.has_cluster:
        print("grex-lock-etcd, etcd or etcdctl is missing: locks in a cluster are not measured")
        return
    with stage.etcd() as client:
        os.environ["ETCDCTL_API"] = "3"
        ours = [stage.tool, "run", "--cluster", f"etcd://{client}/bench", "--name", "app", "--"]
        theirs = ["etcdctl", "--endpoints", client, "lock", "app", "--"]

        cost = stage.each(rounds, {"run": [*ours, COMMAND], "etcdctl": [*theirs, COMMAND]})
        table.compare("run in a cluster", cost["run"].time, "etcdctl lock", cost["etcdctl"].time, 0.8)
        time = stage.cluster_handover(rounds, client, {"run": ours, "etcdctl": theirs})
        table.compare("from a command's end to the waiter's, cluster", time["run"], "etcdctl lock", time["etcdctl"])
        crowds_of = {"run": [], "etcdctl": []}
        for _ in range(max(3, rounds // 20)):
            for name, command in (("run", ours), ("etcdctl", theirs)):
                crowds_of[name].append(stage.crowd(30, 30, [*command, COMMAND]))
        table.compare("30 runs at once in a cluster", crowds_of["run"], "etcdctl lock", crowds_of["etcdctl"])


def print_machine(stage):
    file_system = subprocess.check_output(["findmnt", "-no", "FSTYPE", "-T", stage.directory], text=True).strip()
    flock = subprocess.check_output(["flock", "--version"], text=True).strip()
    print(f"Linux {os.uname().release}, {os.cpu_count()} processors, load {os.getloadavg()[0]:.1f}, "
          f"files on {file_system}; {flock}\n")


def main():
    parser = argparse.ArgumentParser(description="Measure the cost of grex-lock beside flock(1) and others.")
    parser.add_argument("--quick", action="store_true", help="run fewer rounds, and skip the wait of 60 s")
    parser.add_argument("grex_lock")
    parser.add_argument("programs")
    options = parser.parse_args()

    def rounds(many, few):
        return few if options.quick else many

    with Stage(options.grex_lock, options.programs) as stage:
        print_machine(stage)
        table = Table()
        whole_processes(stage, table, rounds(1000, 100))
        crowds(stage, table, rounds(9, 3))
        handovers(stage, table, rounds(200, 30))
        waiting(stage, table, options.quick)
        one_status(stage, table, rounds(200, 30))
        many_packs(stage, table, rounds(15, 5))
        growth(stage, table, rounds(500, 100))
        clusters(stage, table, rounds(100, 20))


if __name__ == "__main__":
    main()
