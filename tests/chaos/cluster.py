#!/usr/bin/env -S python3 -B
"""Kill and stop, at random, whatever jobs under a lock of a cluster need.

usage: cluster.py GREX-LOCK [--seconds S] [--seed N]

Three nodes of a real etcd keep one lock, for which several jobs queue. While a job has it, it and a
process in a session of its own write their token to a log, until their time is up. Every ten
seconds, the node that leads is killed, and started again later. In between, grex-lock, its keeper,
its command and other nodes are killed, or stopped and continued; but never grex-lock and its keeper
at the same time, since either must work to end the command in time. The test checks that

- no token was written after a larger one: no job works once a later one does;
- every job ends with an exit code that fits;
- at the end, no process of a job is left, and after one lease, no key.

A seed repeats the plan but not the run.
"""

import argparse
import contextlib
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import urllib.request

sys.path.insert(0, os.path.join(os.path.dirname(os.path.realpath(__file__)), "../support"))
import adopted  # noqa: E402
from free_port import free_port  # noqa: E402
from processes import send_signal, start_time  # noqa: E402
from wrong import Wrong  # noqa: E402

LEASE = 10  # seconds
HANG = 120
JOBS = 6
TAG = "CHAOS_CLUSTER_JOB"

# Writes the token every few milliseconds, for a number of times; and so does a process beside it.
JOB = r"""
work() { for ((i = 0; i < $1; i++)); do echo "$GREX_LOCK_TOKEN $PPID $EPOCHREALTIME" >>"$LOG"; sleep 0.02; done; }
export -f work
setsid bash -c "work $1" & work "$1"; wait
"""

# The ends that signals to grex-lock, its keeper or its command explain: the lock was lost, the
# cluster could not be asked, a keeper was killed before it answered.
EXPECTED = {0, 68, 78, 79, 128 + signal.SIGKILL, -signal.SIGKILL}


def children_of(pid):
    try:
        with open(f"/proc/{pid}/task/{pid}/children", encoding="ascii") as children:
            return [int(child) for child in children.read().split()]
    except OSError:
        return []


def name_of(pid):
    with contextlib.suppress(OSError), open(f"/proc/{pid}/comm", encoding="utf-8") as comm:
        return comm.read().strip()
    return ""


class Nodes:
    def __init__(self, directory):
        ports = [(free_port(), free_port()) for _ in range(3)]
        members = ",".join(f"n{i}=http://127.0.0.1:{peer}" for i, (_, peer) in enumerate(ports))
        self.clients = [client for client, _ in ports]
        self.words = [["etcd", "--name", f"n{i}", "--data-dir", f"{directory}/n{i}", "--log-level", "fatal",
                       "--listen-client-urls", f"http://127.0.0.1:{client}",
                       "--advertise-client-urls", f"http://127.0.0.1:{client}",
                       "--listen-peer-urls", f"http://127.0.0.1:{peer}",
                       "--initial-advertise-peer-urls", f"http://127.0.0.1:{peer}", "--initial-cluster", members]
                      for i, (client, peer) in enumerate(ports)]
        self.processes = [self.start(i) for i in range(3)]

    def start(self, node):
        return subprocess.Popen(self.words[node], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    def url(self):
        return "etcd://" + ",".join(f"127.0.0.1:{client}" for client in self.clients) + "/chaos"

    def ask(self, node, path, body):
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        request = urllib.request.Request(f"http://127.0.0.1:{self.clients[node]}{path}", json.dumps(body).encode())
        with opener.open(request, timeout=1) as answer:
            return json.load(answer)

    def leader(self):
        """The number of the node that leads; None if that is not known now."""
        for node in range(3):
            with contextlib.suppress(OSError, ValueError, KeyError):
                status = self.ask(node, "/v3/maintenance/status", {})
                if status["leader"] == status["header"]["member_id"]:
                    return node
        return None

    def wait_until_healthy(self):
        deadline = time.monotonic() + HANG
        while self.leader() is None:
            if time.monotonic() > deadline:
                raise Wrong("the nodes don't agree on a leader")
            time.sleep(0.05)  # they report nothing

    def kill(self, node):
        self.processes[node].kill()
        self.processes[node].wait()

    def revive(self):
        for node, process in enumerate(self.processes):
            if process.poll() is not None:
                self.processes[node] = self.start(node)
            process.send_signal(signal.SIGCONT)

    def keys(self):
        everything = self.ask(self.leader() or 0, "/v3/kv/range", {"key": "Lw==", "range_end": "MA==", "keys_only": True})
        return everything.get("kvs", [])

    def end(self):
        for process in self.processes:
            process.kill()
            process.wait()


class Chaos:
    def __init__(self, options, directory):
        self.random = random.Random(options.seed)
        self.nodes = Nodes(directory)
        self.log = f"{directory}/log"
        self.tool = os.path.realpath(options.tool)
        self.jobs = []
        self.stopped = []  # (when to continue, pid, start time)
        self.count = {"jobs": 0, "kill": 0, "stop": 0, "node": 0, "leader": 0}
        self.ends = {}
        self.struck = {}  # by the PID of grex-lock: which of it and its keeper, and until when it matters
        self.blows = []  # for people
        self.environment = {name: value for name, value in os.environ.items() if not name.startswith("GREX_")}
        self.environment |= {"LOG": self.log, TAG: str(os.getpid()), "GREX_LOCK_CLUSTER": self.nodes.url(),
                             "GREX_LOCK_LEASE": str(LEASE)}

    def start_job(self):
        words = [self.tool, "run", "-q", "--name", "app", "--", "bash", "-c", JOB, "job", str(self.random.randrange(1, 60))]
        self.jobs.append(subprocess.Popen(words, env=self.environment, stdin=subprocess.DEVNULL,
                                          stderr=subprocess.DEVNULL, start_new_session=True))
        self.count["jobs"] += 1

    def collect(self):
        """Takes the ends of jobs, and of what they left to this process."""
        for job in [job for job in self.jobs if job.poll() is not None]:
            self.jobs.remove(job)
            self.ends[job.returncode] = self.ends.get(job.returncode, 0) + 1
            if job.returncode not in EXPECTED:
                raise Wrong(f"a job ended with {job.returncode}")
        own = [job.pid for job in self.jobs] + [process.pid for process in self.nodes.processes]
        for pid in children_of(os.getpid()):
            if pid not in own:
                with contextlib.suppress(ChildProcessError):
                    os.waitpid(pid, os.WNOHANG)

    def processes(self):
        """Each process of a job, with the PID of its grex-lock, and what it is."""
        for job in self.jobs:
            yield job.pid, job.pid, "grex-lock"
            for pid in children_of(job.pid):
                yield pid, job.pid, "keeper" if name_of(pid).startswith("grex-lock") else "command"

    def may_strike(self, job, role):
        last, until = self.struck.get(job, (role, 0))
        return role == "command" or role == last or time.monotonic() >= until

    def strike(self):
        victims = [victim for victim in self.processes() if self.may_strike(*victim[1:])]
        if self.random.random() < 0.1:
            victims = [(process.pid, 0, "node") for process in self.nodes.processes if process.poll() is None]
            self.count["node"] += 1
        if not victims:
            return
        pid, job, role = self.random.choice(victims)
        started = start_time(pid)
        number = self.random.choice([signal.SIGKILL, signal.SIGSTOP])
        if started is None or not send_signal(pid, started, number):
            return
        self.count["kill" if number == signal.SIGKILL else "stop"] += 1
        until = time.monotonic() + LEASE  # by then, another keeper has been started
        if number == signal.SIGSTOP:
            until = time.monotonic() + self.random.choice([0.1, 1, LEASE / 2, LEASE * 1.5])
            self.stopped.append((until, pid, started))
        if role in ("grex-lock", "keeper"):
            self.struck[job] = (role, max(until, self.struck.get(job, (role, 0))[1]))
        self.blows.append(f"{time.time():.3f} {number.name} {role} {pid} of {job}")

    def go_on(self, now):
        for stopped in [stopped for stopped in self.stopped if stopped[0] <= now]:
            self.stopped.remove(stopped)
            send_signal(stopped[1], stopped[2], signal.SIGCONT)
            self.blows.append(f"{time.time():.3f} SIGCONT {stopped[1]}")

    def run(self, seconds):
        self.nodes.wait_until_healthy()
        end = time.monotonic() + seconds
        kill_leader_at = time.monotonic() + 5
        while (now := time.monotonic()) < end:
            self.collect()
            while len(self.jobs) < JOBS:
                self.start_job()
            self.go_on(now)
            if now >= kill_leader_at:
                kill_leader_at = now + 10
                self.nodes.revive()
                leader = self.nodes.leader()
                if leader is not None:
                    self.nodes.kill(leader)
                    self.count["leader"] += 1
            if self.random.random() < 0.03:
                self.strike()
            time.sleep(0.05)  # between two blows
        self.finish()

    def finish(self):
        self.nodes.revive()
        self.go_on(float("inf"))
        deadline = time.monotonic() + HANG
        while self.jobs or self.leftovers():
            self.collect()
            if time.monotonic() > deadline:
                raise Wrong(f"left: {len(self.jobs)} jobs, processes {self.leftovers()}")
            time.sleep(0.05)  # until the last one has ended
        self.nodes.wait_until_healthy()
        deadline = time.monotonic() + LEASE + HANG
        while self.nodes.keys():
            if time.monotonic() > deadline:
                raise Wrong(f"keys are left: {self.nodes.keys()}")
            time.sleep(0.2)  # until a lost lease has run out

    def leftovers(self):
        """The processes of jobs, and keepers."""
        found = []
        for pid in (int(name) for name in os.listdir("/proc") if name.isdigit()):
            with contextlib.suppress(OSError), open(f"/proc/{pid}/environ", "rb") as environ:
                if f"{TAG}={os.getpid()}".encode() in environ.read().split(b"\0"):
                    found.append(pid)
        return found + [pid for pid in children_of(os.getpid()) if name_of(pid) == "grex-lock-etcd"]

    def judge(self):
        """No token was written after a larger one."""
        largest = 0
        with open(self.log, encoding="ascii") as log:
            lines = log.read().splitlines()
        tokens = [int(line.split()[0]) for line in lines]
        for number, token in enumerate(tokens):
            if token < largest:
                raise Wrong(f"token {token} was written after {largest}; token, parent and time of the writers:\n" +
                            "\n".join([*lines[max(0, number - 8):number + 8], "signals:", *self.blows]))
            largest = token
        return len(set(tokens)), len(tokens)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("tool")
    parser.add_argument("--seconds", type=float, default=20)
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(1 << 32))
    options = parser.parse_args()
    adopted.adopt()
    directory = tempfile.mkdtemp(prefix="grex-lock-cluster.")
    chaos = None
    try:
        chaos = Chaos(options, directory)
        chaos.run(options.seconds)
        holders, writes = chaos.judge()
        if holders == 0:
            raise Wrong("no job ran")
    except Wrong as wrong:
        print(f"cluster: {wrong} (--seed {options.seed})", file=sys.stderr)
        return 1
    finally:
        if chaos is not None:
            for pid in [job.pid for job in chaos.jobs] + chaos.leftovers():
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            chaos.nodes.end()
        shutil.rmtree(directory, ignore_errors=True)
    count = ", ".join(f"{number} {name}" for name, number in chaos.count.items())
    ends = ", ".join(f"{number} with {code}" for code, number in sorted(chaos.ends.items()))
    print(f"cluster: {options.seconds:.0f} s: {count}; {holders} holders, {writes} writes in order; ends: {ends}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
