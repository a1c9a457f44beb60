#!/usr/bin/env -S python3 -B
"""Check that grex-lock and the crate fd-lock, through which grex locks, exclude each other.

usage: interop.py GREX-LOCK FD-LOCK-PEER

fd_lock_peer.rs stands in for grex: it locks one file, the one of an older release or
that of a newer one. Each check is made for every lock of grex, every such file, and
every layout in which grex-lock locks it.

All processes report to one pipe, so the order of their reports is the order of what
they did: "unlocking" or "out" of the one comes before "locked" or "in" of the other.
"""

import json
import os
import signal
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.realpath(__file__)), "../support"))
import adopted  # noqa: E402
import interruption  # noqa: E402
from interruption import Interrupted  # noqa: E402
from stage import Stage  # noqa: E402
from wrong import Wrong  # noqa: E402

TIME_LIMIT = 300  # seconds
BUSY = 75  # the exit status of grex-lock
PEER_BUSY = 3

# What grex locks, below a workspace: (tier, path of the lock, file of each layout). The
# nested layout of a backend lock needs the workspace's .grex/pack.yaml.
LOCKS = (
    ("workspace-sync", "", {"flat": ".grex.sync.lock", "nested": ".grex/.grex.sync.lock"}),
    ("per-pack", "app", {"flat": "app/.grex-lock", "nested": "app/.grex/.grex-lock"}),
    ("backend", "app", {"flat": ".grex-backend-app.lock", "nested": ".grex/locks/app.backend.lock"}),
    ("manifest", "app", {"flat": "app/.grex/.grex.lock", "nested": "app/.grex/.grex.lock"}),
)

# Commands under a lock.
WORK = ("sh", "-c", "echo in; read -r _; echo out")
ROUNDS = 10
# Fails if one of the claims exists, because another process is in, too.
CLAIM = ("sh", "-c", 'mkdir "$@" && rmdir "$@"', "sh")
REPEAT = ("sh", "-c", f'for _ in $(seq {ROUNDS}); do "$@" || exit; done', "sh")


class Case:
    """A lock in a workspace of its own: the arguments that make grex-lock take it, and its files."""

    def __init__(self, stage, lock, layout):
        tier, path, files = lock
        workspace = stage.new_workspace()
        self.tier = tier
        self.layout = layout
        self.path = f"{workspace}/{path}"
        self.arguments = ["--layout", layout, "-t", tier, self.path]
        self.files = {name: f"{workspace}/{file}" for name, file in files.items() if layout in (name, "both")}
        self.claims = {file: f"{workspace}/claim-{name}" for name, file in self.files.items()}

    def __str__(self):
        return f"{self.tier}, layout {self.layout}"


def check_peer_excludes(stage, case, file):
    """While fd-lock holds the lock, grex-lock is busy, names the holder, and waits."""
    for command, reports in ((["run"], ["acquired", "in"]), (["wait"], ["acquired"])):
        peer = stage.peer("write", file)
        stage.expect("locked")
        work = ["--", "echo", "in"] if command == ["run"] else []
        waiter = stage.grex_lock(*command, "--json-status-fd", "1", *case.arguments, *work)
        check_names(peer, stage.expect("waiting")["busy"])
        peer.go_on()  # It unlocks, but keeps the file open.
        for report in ["unlocking", *reports]:
            stage.expect(report)
        waiter.ends_with(0)
        peer.ends_with(0)

    peer = stage.peer("write", file)
    stage.expect("locked")
    for shared in ([], ["-s"]):
        message = stage.output_of(BUSY, "run", "-n", *shared, *case.arguments, "--", "true")
        if f"held by pid {peer.pid} " not in message:
            raise Wrong(f"'run -n' does not name pid {peer.pid}: {message}")
        stage.output_of(BUSY, "probe", *shared, *case.arguments)
    status = json.loads(stage.output_of(0, "status", "--layout", case.layout, "--json", case.path))
    check_names(peer, *(lock for lock in status["locks"] if (lock["tier"], lock["state"]) == (case.tier, "held")))
    peer.ends_with(0)
    stage.expect("unlocking")
    stage.output_of(0, "probe", *case.arguments)


def check_names(peer, *reports):
    """There must be one report, and it must name the peer as the only holder."""
    holders = [holder["pid"] for report in reports for holder in report["holders"]]
    if len(reports) != 1 or holders != [peer.pid]:
        raise Wrong(f"the holder is pid {peer.pid}, but grex-lock reports {reports}")


def check_grex_lock_excludes(stage, case, file):
    """While grex-lock holds the lock, fd-lock's tries fail, and its blocking calls wait."""
    for method in ("write", "read"):
        job = stage.grex_lock("run", *case.arguments, "--", *WORK)
        stage.expect("in")
        for attempt in ("try_write", "try_read"):
            stage.peer(attempt, file).ends_with(PEER_BUSY)
        peer = stage.peer(method, file)
        job.go_on()
        stage.expect("out")
        stage.expect("locked")
        job.ends_with(0)
        peer.ends_with(0)
        stage.expect("unlocking")


def check_sharing(stage, case, file):
    """Sharers of both kinds hold the lock together, and keep an exclusive one of either kind out."""
    peer = stage.peer("read", file)
    stage.expect("locked")
    job = stage.grex_lock("run", "-n", "-s", *case.arguments, "--", *WORK)
    stage.expect("in")
    stage.output_of(BUSY, "run", "-n", *case.arguments, "--", "true")
    peer.ends_with(0)
    stage.expect("unlocking")

    stage.peer("try_write", file).ends_with(PEER_BUSY)  # because of grex-lock alone
    peer = stage.peer("try_read", file)
    stage.expect("locked")
    job.ends_with(0)
    stage.expect("out")
    stage.output_of(BUSY, "run", "-n", *case.arguments, "--", "true")  # because of fd-lock alone
    peer.ends_with(0)
    stage.expect("unlocking")


def check_kill(stage, case, file):
    """SIGKILL of a holder of either kind frees the lock for the other."""
    peer = stage.peer("write", file)
    stage.expect("locked")
    waiter = stage.grex_lock("run", "--json-status-fd", "1", *case.arguments, "--", "echo", "in")
    stage.expect("waiting")
    peer.kill()
    stage.expect("acquired")
    stage.expect("in")
    waiter.ends_with(0)

    holder = stage.grex_lock("hold", "--json", *case.arguments)
    stage.expect("hold")
    stage.peer("try_write", file).ends_with(PEER_BUSY)
    peer = stage.peer("write", file)
    holder.kill()
    stage.expect("locked")
    peer.ends_with(0)
    stage.expect("unlocking")


def check_kill_of_run(stage, case, file):
    """If `run` is killed, its command keeps the lock until it ends."""
    job = stage.grex_lock("run", *case.arguments, "--", *WORK)
    stage.expect("in")
    job.kill()
    stage.peer("try_write", file).ends_with(PEER_BUSY)
    peer = stage.peer("write", file)
    job.go_on()
    stage.expect("out")
    stage.expect("locked")
    peer.ends_with(0)
    stage.expect("unlocking")


def check_contention(stage, case):
    """Many processes of both kinds that want the lock at once have it one after the other."""
    jobs = []
    for file, claim in case.claims.items():
        peer = (stage.peer_program, "write", file)
        jobs += [stage.start(*REPEAT, *peer, *CLAIM, claim) for _ in range(2)]
    run = (stage.grex_lock_program, "run", *case.arguments, "--")
    jobs += [stage.start(*REPEAT, *run, *CLAIM, *case.claims.values()) for _ in range(3)]
    for job in jobs:
        job.ends_with(0)


def check_layouts_differ(stage, case):
    """A layout excludes only the releases of grex that lock its file, so `both` is needed."""
    for layout, other in (("flat", "nested"), ("nested", "flat")):
        peer = stage.peer("write", case.files[other])
        stage.expect("locked")
        stage.output_of(0, "run", "-n", "--layout", layout, "-t", case.tier, case.path, "--", "true")
        peer.ends_with(0)
        stage.expect("unlocking")


def checks(stage):
    """Each check, with its arguments."""
    one_file = (check_peer_excludes, check_grex_lock_excludes, check_sharing, check_kill, check_kill_of_run)
    for lock in LOCKS:
        for layout in (*lock[2], "both"):
            case = Case(stage, lock, layout)
            for file in case.claims:
                for check in one_file:
                    yield check, case, file
            yield check_contention, case
        if len(case.claims) == 2:
            yield check_layouts_differ, case


def check_all(stage):
    """Returns the number of checks."""
    count = 0
    for check, *arguments in checks(stage):
        try:
            check(stage, *arguments)
        except Wrong as wrong:
            raise Wrong(f"{check.__name__}: {', '.join(map(str, arguments))}: {wrong}") from wrong
        count += 1
    return count


def main():
    interruption.raise_on_signals(signal.SIGALRM)
    adopted.adopt()
    signal.alarm(TIME_LIMIT)
    with Stage(*sys.argv[1:]) as stage:
        try:
            print(f"interop: {check_all(stage)} checks passed")
        except (Wrong, Interrupted) as end:
            print(f"interop: {type(end).__name__.upper()}: {end}")
            return 1
        finally:
            signal.alarm(0)
            interruption.ignore_signals()
    return 0


sys.exit(main())
