#!/usr/bin/env -S python3 -B
"""Random SIGKILL, SIGTERM, SIGSTOP and SIGCONT for everyone around a few locks.

usage: chaos.py GREX-LOCK CLAIMANT [--seconds S] [--seed N] [--unlocked ONE_IN] [--preload LIBRARY] [--overlaps]

`grex-lock run`, `hold --detach` and `fd`, flock(1) and Python's fcntl.flock take
the same locks, with a command (claimant.cpp) that counts overlaps by files of its
own. Meanwhile whoever runs, waits or holds is killed, told to end, stopped and
continued. What has to hold:

- nobody is in together with somebody who keeps it out;
- every process ends, with the status that fits what was done to it;
- in the end nothing is locked, and no process is left.

Nothing here sleeps to let something happen: the loop waits for ends and lines,
and for the next random moment. The seed gives the same plan again, not the same
run: the kernel takes part.

--unlocked and --preload test the test: one job in so many takes no lock, or
LIBRARY is put before the C library of all jobs. With --overlaps, finding one is
the success.
"""

import argparse
import fcntl
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
from collections import Counter

sys.path.insert(0, os.path.join(os.path.dirname(os.path.realpath(__file__)), "../support"))
import adopted  # noqa: E402
import interruption  # noqa: E402
from interruption import Interrupted  # noqa: E402
from lock_probe import is_locked  # noqa: E402
from wrong import Wrong  # noqa: E402

PATIENCE = 60  # seconds; what takes longer to end hangs
BUSY = 75
HOLDER_GONE, OVERLAP_FOUND = 3, 4  # what the claimant says
CONCURRENT = 12


def start_time(pid):
    """Of a process that is there: with the number, its identity."""
    try:
        with open(f"/proc/{pid}/stat", encoding="utf-8", errors="replace") as stat:
            return int(stat.read().rpartition(")")[2].split()[19])
    except (OSError, IndexError):
        return None


class Lock:
    """One lock of the workspace: how it is asked for, and where its claims lie."""

    def __init__(self, sandbox, name, permits):
        self.name = name
        self.permits = permits
        self.claims = f"{sandbox}/claims/{name}"
        os.makedirs(self.claims)

    def claim(self, shared):
        return f"{self.claims}:{'shared' if shared else self.permits}"


class Pack(Lock):
    def __init__(self, sandbox, name):
        super().__init__(sandbox, name, 1)
        self.path = f"{sandbox}/ws/{name}"
        self.files = [f"{self.path}/.grex-lock"]
        os.makedirs(self.path)

    def words(self):
        return [self.path]

    def extra(self):
        return ["-l", f"per-pack:{self.path}"]


class Permits(Lock):
    def __init__(self, sandbox, permits):
        super().__init__(sandbox, "permits", permits)
        self.path = f"{sandbox}/ws"
        self.files = [f"{self.path}/.grex.slot-{k}.lock" for k in range(permits)]

    def words(self):
        return ["-t", "semaphore", "--slots", str(self.permits), self.path]

    def extra(self):
        return ["--slots", str(self.permits), "-l", f"semaphore:{self.path}"]


class Job:
    """One process that was started, what it may do, and what was done to it."""

    def __init__(self, name, kind, locks):
        self.name = name
        self.kind = kind
        self.locks = locks
        self.pid = None
        self.code = 0  # its command's
        self.may_be_busy = False
        self.has_command = False
        self.sent = set()  # signals that reached the process
        self.sent_inside = set()  # and its command
        self.inside = None  # the command's pid, once it is in
        self.inside_start = None
        self.is_out = False
        self.holder = None  # for whom a keeper claims
        self.ending = None  # how a hold is to be ended
        self.is_told = False  # to end
        self.hold = None  # that of a keeper
        self.watched = None
        self.trail = []
        self.born = time.monotonic()

    def note(self, text):
        self.trail.append(f"{time.monotonic() - self.born:8.4f} {text}")

    def told(self):
        return f"job {self.name} ({self.kind}, pid {self.pid}):\n  " + "\n  ".join(self.trail)


class Chaos:
    def __init__(self, options):
        self.options = options
        self.random = random.Random(options.seed)
        self.tool = os.path.realpath(options.tool)
        self.claimant = os.path.realpath(options.claimant)
        self.sandbox = tempfile.mkdtemp(prefix="grex-lock-chaos.")
        self.packs = [Pack(self.sandbox, name) for name in ("app", "doc", "lib")]
        self.permits = Permits(self.sandbox, 3)
        self.environment = {k: v for k, v in os.environ.items() if not k.startswith("GREX_")}
        if options.preload:
            self.environment["LD_PRELOAD"] = os.path.realpath(options.preload)
        # SIGCHLD and the jobs' lines wake the loop.
        self.wake, wake_end = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
        signal.set_wakeup_fd(wake_end, warn_on_full_buffer=False)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        self.lines, self.events = os.pipe()
        os.set_blocking(self.lines, False)
        os.set_inheritable(self.events, True)
        self.unread = b""
        self.jobs = {}  # name: Job, while it matters
        self.late = {}  # killed, but their commands may still come in
        self.processes = {}  # pid: (Job, role), our children, adopted ones included
        self.stopped = []  # (when, pid, start time) to be continued
        self.count = Counter()
        self.serial = 0

    # Starting

    def new_job(self, kind, locks):
        self.serial += 1
        job = Job(str(self.serial), kind, locks)
        self.jobs[job.name] = job
        self.count[kind] += 1
        return job

    def output(self, job, stream):
        return f"{self.sandbox}/{stream}.{job.name}"

    def spawn(self, job, argv, role="self"):
        """Starts a process with a session of its own, so that no terminal has a say."""
        write = os.O_WRONLY | os.O_CREAT | os.O_APPEND
        pid = os.posix_spawn(
            argv[0],
            argv,
            self.environment,
            setsid=True,
            file_actions=[
                (os.POSIX_SPAWN_OPEN, 0, "/dev/null", os.O_RDONLY, 0),
                (os.POSIX_SPAWN_OPEN, 1, self.output(job, "out"), write, 0o600),
                (os.POSIX_SPAWN_OPEN, 2, self.output(job, "err"), write, 0o600),
            ],
        )
        self.adopt(job, pid, role, " ".join(argv))

    def adopt(self, job, pid, role, what):
        if role == "self":
            job.pid = pid
        self.processes[pid] = (job, role)
        job.note(f"pid {pid} is {role}: {what}")

    def command(self, job, shared=False, holder=0):
        job.has_command = True
        job.code = self.random.randrange(5, 60)
        pause = int(self.random.expovariate(1 / 3000))
        claims = [lock.claim(shared) for lock in job.locks]
        return [self.claimant, str(self.events), job.name, str(job.code), str(pause), str(holder), *claims]

    def waiting_options(self, job):
        choice = self.random.random()
        if choice < 0.1:
            job.may_be_busy = True
            return ["-n"]
        if choice < 0.3:
            job.may_be_busy = True
            return ["-w", f"{self.random.randrange(1, 40)}ms"]
        return []

    def choose_locks(self, most):
        """In any order, permits among them or alone."""
        packs = self.random.sample(self.packs, self.random.choice([1, 1, 1, 2, 3]))[:most]
        choice = self.random.random()
        if choice < 0.3:
            return [self.permits]
        return [self.permits, *packs] if choice < 0.4 and most > 1 else packs

    def words_for(self, locks):
        if locks[0] is self.permits and len(locks) > 1:
            return self.permits.extra() + [lock.path for lock in locks[1:]]
        if len(locks) > 1 and self.random.random() < 0.3:
            return [word for lock in locks for word in lock.extra()]
        return locks[0].words() + [lock.path for lock in locks[1:]]

    def start_run(self):
        job = self.new_job("run", self.choose_locks(3))
        shared = self.random.random() < 0.2 and self.permits not in job.locks
        options = self.waiting_options(job) + (["-s"] if shared else [])
        choice = self.random.random()
        if choice < 0.15:
            job.kind = "run -F"
            options.append("-F")
        elif choice < 0.25:
            options.append("--linger")
        command = ["--", *self.command(job, shared)]
        self.spawn(job, [self.tool, "run", *options, *self.words_for(job.locks), *command])

    def start_hold(self):
        job = self.new_job("hold", self.choose_locks(3))
        endings = ["term", "kill", "watched"]
        # Of permits there may be several holds, and of everything where locks don't
        # work: release leaves those to kill(1).
        if job.locks[-1] is not self.permits and not self.options.overlaps:
            endings.append("release")
        job.ending = self.random.choice(endings)
        options = self.waiting_options(job)
        if job.ending == "watched":
            # Somebody who lives until it is killed.
            self.spawn(job, ["/bin/sleep", "infinity"], "watched")
            job.watched = next(pid for pid, of in self.processes.items() if of == (job, "watched"))
            options += ["--while-pid", str(job.watched)]
        self.spawn(job, [self.tool, "hold", "--detach", *options, *self.words_for(job.locks)])

    def start_flock(self):
        job = self.new_job("flock", self.choose_locks(1))
        shared = self.random.random() < 0.2 and self.permits not in job.locks
        options = ["-E", str(BUSY), *self.waiting_options(job)] + (["-s"] if shared else [])
        options = [f"{int(word[:-2]) / 1000}" if word.endswith("ms") else word for word in options]
        file = self.random.choice(job.locks[0].files)
        self.spawn(job, [shutil.which("flock"), *options, file, *self.command(job, shared)])

    def start_python(self):
        job = self.new_job("python", self.choose_locks(1))
        shared = self.random.random() < 0.2 and self.permits not in job.locks
        job.may_be_busy = self.random.random() < 0.1
        file = self.random.choice(job.locks[0].files)
        argv = self.command(job, shared)
        # Our handlers are not for the child.
        handled = {signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGCHLD, signal.SIGALRM}
        old_mask = signal.pthread_sigmask(signal.SIG_BLOCK, handled)
        pid = os.fork()
        if pid == 0:
            try:
                signal.set_wakeup_fd(-1)
                for number in handled:
                    signal.signal(number, signal.SIG_DFL)
                signal.pthread_sigmask(signal.SIG_SETMASK, old_mask)
                os.setsid()
                lock = os.open(file, os.O_RDWR | os.O_CREAT, 0o666)
                operation = (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | (fcntl.LOCK_NB if job.may_be_busy else 0)
                fcntl.flock(lock, operation)
                os.set_inheritable(lock, True)
                os.execve(argv[0], argv, self.environment)
            except BlockingIOError:
                os._exit(BUSY)
            except BaseException:
                os._exit(99)
        signal.pthread_sigmask(signal.SIG_SETMASK, old_mask)
        self.adopt(job, pid, "self", f"fcntl.flock {file} " + " ".join(argv))

    def start_fd(self):
        """A script that locks its own descriptor, and becomes the command."""
        job = self.new_job("fd", self.choose_locks(1))
        options = self.waiting_options(job)
        file = self.random.choice(job.locks[0].files)
        script = f'exec 9>>"$1"; shift; {self.tool} fd {" ".join(options)} 9 || exit; exec "$@"'
        self.spawn(job, ["/bin/sh", "-c", script, "sh", file, *self.command(job)])

    def start_unlocked(self):
        job = self.new_job("unlocked", self.choose_locks(1))
        self.spawn(job, self.command(job))

    def start_wait(self):
        job = self.new_job("wait", self.choose_locks(3))
        self.spawn(job, [self.tool, "wait", *self.waiting_options(job), *self.words_for(job.locks)])

    def start_look(self):
        if self.random.random() < 0.3:
            job = self.new_job("status", self.packs)
            self.spawn(job, [self.tool, "status", "--json", "-r", f"{self.sandbox}/ws"])
        else:
            job = self.new_job("probe", self.choose_locks(1))
            job.may_be_busy = True
            self.spawn(job, [self.tool, "probe", *job.locks[0].words()])

    def start_one(self):
        if self.options.unlocked and self.random.randrange(self.options.unlocked) == 0:
            self.start_unlocked()
            return
        starts = {
            self.start_run: 50,
            self.start_hold: 15,
            self.start_flock: 12,
            self.start_python: 8,
            self.start_fd: 8,
            self.start_wait: 6,
            self.start_look: 5,
        }
        self.random.choices(list(starts), list(starts.values()))[0]()

    # Doing harm

    def send(self, pid, started, number):
        """Whether the signal went to the process that was meant."""
        try:
            handle = os.pidfd_open(pid)
        except OSError:
            return False
        try:
            if start_time(pid) != started:
                return False
            signal.pidfd_send_signal(handle, number)
            return True
        except OSError:
            return False
        finally:
            os.close(handle)

    def harm_one(self):
        victims = []
        for pid, (job, role) in self.processes.items():
            if role in ("self", "holder") and job.kind != "keeper":
                victims.append((job, role, pid, None))
        for job in self.jobs.values():
            if job.inside and job.kind != "keeper" and job.inside != job.pid and not job.is_out:
                victims.append((job, "inside", job.inside, job.inside_start))
        if not victims:
            return
        job, role, pid, started = self.random.choice(victims)
        started = started or start_time(pid)  # a child of ours that is not reaped
        numbers = [signal.SIGSTOP, signal.SIGSTOP, signal.SIGKILL, signal.SIGTERM]
        if role == "holder":
            # Who is told to end lets go while it is claimed for; and release
            # would then end the hold that comes next.
            numbers = [signal.SIGSTOP] if job.ending == "release" else [signal.SIGSTOP, signal.SIGKILL]
        if job.kind == "release":
            numbers = [signal.SIGSTOP]
        number = self.random.choice(numbers)
        if not self.send(pid, started, number):
            return
        job.note(f"{number.name} to {role}, pid {pid}")
        self.count[number.name] += 1
        if number == signal.SIGSTOP:
            self.stopped.append((time.monotonic() + self.random.expovariate(1 / 0.01), pid, started))
        else:
            (job.sent_inside if role == "inside" else job.sent).add(number)

    def continue_stopped(self, everyone=False):
        now = time.monotonic()
        due = [entry for entry in self.stopped if everyone or entry[0] <= now]
        self.stopped = [entry for entry in self.stopped if entry not in due]
        for _, pid, started in due:
            if self.send(pid, started, signal.SIGCONT):
                self.count["SIGCONT"] += 1

    # Hearing of it

    def read_lines(self):
        while True:
            try:
                piece = os.read(self.lines, 65536)
            except BlockingIOError:
                break
            if not piece:
                break
            self.unread += piece
        *lines, self.unread = self.unread.split(b"\n")
        for line in lines:
            what, name, more = line.decode().split(" ", 2)
            job = self.jobs.get(name) or self.late[name]
            job.note(f"says: {what} {more}")
            if what == "wrong":
                self.count["overlaps"] += "together" in more or "lost" in more
                self.fail(f"job {name} {more}", job, *(self.jobs.get(word) for word in more.split()))
            if what == "in":
                self.count["claims"] += 1
                self.jobs[name] = job
                self.late.pop(name, None)
                job.inside = int(more)
                job.inside_start = start_time(job.inside)
            if what == "out":
                job.is_out = True

    def reap(self):
        ended = []
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                break
            if pid == 0:
                break
            ended.append((pid, os.waitstatus_to_exitcode(status)))
        # What a process said came before its end.
        self.read_lines()
        for pid, code in ended:
            self.judge(pid, code)

    def fail(self, why, *jobs):
        told = "\n".join(dict.fromkeys(job.told() for job in jobs if job))
        errors = ""
        for job in jobs:
            try:
                with open(self.output(job, "err"), encoding="utf-8", errors="replace") as file:
                    errors += file.read()
            except (OSError, AttributeError):
                pass
        raise Wrong(f"{why}\n{told}\n{errors}")

    # Judging

    def judge(self, pid, code):
        job, role = self.processes.pop(pid, (None, None))
        if job is None:
            job = next((job for job in self.jobs.values() if job.inside == pid), None)
            role = "orphan" if job else "stranger"
        else:
            job.note(f"{role}, pid {pid}, ended with {code}")
        if code < 0 and -code not in (signal.SIGKILL, signal.SIGTERM):
            self.fail(f"a {role}, pid {pid}, crashed: signal {-code}", job)
        if role == "orphan":
            self.judge_command(job, code)
        elif role == "holder":
            self.judge_holder(job, code)
        elif role == "self":
            self.judge_job(job, code)
        if job and role in ("self", "orphan", "holder"):
            self.forget_if_over(job)

    def expect(self, job, code, allowed, what):
        # Where locks don't work, more is wrong than that.
        if code not in allowed and not self.options.overlaps:
            self.fail(f"{what} ended with {code}; it had to be one of {sorted(allowed)}", job)

    def judge_command(self, job, code):
        """A command whose parent has gone."""
        killed = {-number for number in job.sent_inside | job.sent - {signal.SIGKILL}}
        self.expect(job, code, killed | ({job.code} if job.is_out else set()), "an orphaned command")

    def judge_holder(self, job, code):
        allowed = {-signal.SIGKILL} if signal.SIGKILL in job.sent else set()
        if job.is_told:
            allowed.add(-signal.SIGKILL if job.ending == "kill" else 0)
        self.expect(job, code, allowed, "a holder")
        job.holder = None

    def judge_job(self, job, code):
        if job.kind == "keeper":
            gone = {HOLDER_GONE} if signal.SIGKILL in job.hold.sent else set()
            self.expect(job, code, {job.code} if job.is_out else gone, "a keeper")
            self.end_hold(job.hold)
        elif job.kind == "hold":
            self.judge_hold(job, code)
        else:
            self.expect(job, code, self.allowed_for(job), job.kind)

    def allowed_for(self, job):
        """The exit codes that fit what was done; those of signals are below 0."""
        allowed = {-number for number in job.sent}
        if signal.SIGTERM in job.sent and job.kind in ("run", "wait") or job.kind == "run -F" and not job.inside:
            # The end of its wait, or of its command.
            allowed.add(128 + signal.SIGTERM)
        if job.kind in ("wait", "status", "probe", "release"):
            allowed.add(0)
        if job.may_be_busy and not job.inside:
            allowed.add(BUSY)
        if job.inside and job.kind in ("run", "flock"):
            allowed |= {128 + number for number in job.sent_inside}
        if job.inside and job.kind == "run":
            # Nothing but SIGKILL ends a wrapper before its command.
            allowed.discard(-signal.SIGTERM)
        if job.is_out:
            allowed.add(job.code)
        if job.kind == "unlocked":
            allowed.add(OVERLAP_FOUND)
        return allowed

    def judge_hold(self, job, code):
        allowed = {-number for number in job.sent} | {0}
        if signal.SIGTERM in job.sent:
            allowed.add(128 + signal.SIGTERM)
        if job.may_be_busy:
            allowed.add(BUSY)
        self.expect(job, code, allowed, "hold --detach")
        with open(self.output(job, "out"), encoding="utf-8") as file:
            said = file.read()
        pid = int(said.split()[1]) if said.endswith("\n") else None
        if code != 0:
            # It may have got away in its last moment, when nobody heard of it.
            if pid and signal.SIGKILL in job.sent and self.is_child(pid):
                self.send(pid, start_time(pid), signal.SIGKILL)
            self.end_watched(job)
            return
        if pid is None:
            self.fail("hold --detach ended with 0 and did not say who holds", job)
        if not self.is_child(pid):
            self.fail(f"hold --detach ended with 0 and left no process {pid}", job)
        job.sent = set()
        job.holder = pid
        self.adopt(job, pid, "holder", said.strip())
        keeper = self.new_job("keeper", job.locks)
        keeper.hold = job
        self.spawn(keeper, self.command(keeper, holder=pid))

    def is_child(self, pid):
        try:
            os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG | os.WNOWAIT)
            return True
        except ChildProcessError:
            return False

    def end_watched(self, job):
        if job.watched:
            os.kill(job.watched, signal.SIGKILL)
            job.watched = None

    def end_hold(self, job):
        """Its keeper has removed the claims."""
        if job.ending == "watched":
            job.is_told = True
            self.end_watched(job)
        elif job.holder and job.ending == "release":
            job.is_told = True
            release = self.new_job("release", job.locks)
            self.spawn(release, [self.tool, "release", job.locks[-1].path])
        elif job.holder:
            self.tell_holder(job, signal.SIGTERM if job.ending == "term" else signal.SIGKILL)

    def tell_holder(self, job, number):
        job.is_told = True
        os.kill(job.holder, number)  # our child, not yet reaped
        job.note(f"{number.name} ends the hold")

    def forget_if_over(self, job):
        if job.holder or any(of is job and role != "watched" for of, role in self.processes.values()):
            return
        if job.inside and job.inside != job.pid and self.is_child(job.inside):
            return
        for stream in ("out", "err"):
            try:
                os.unlink(self.output(job, stream))
            except FileNotFoundError:
                pass
        del self.jobs[job.name]
        if job.has_command and not job.inside:
            self.late[job.name] = job

    # The whole

    def hear(self, until):
        ready, _, _ = select.select([self.wake, self.lines], [], [], max(0, until - time.monotonic()))
        if self.wake in ready:
            os.read(self.wake, 4096)
        self.reap()

    def run(self):
        start = time.monotonic()
        end = start + self.options.seconds
        next_harm = start
        while time.monotonic() < end:
            while len(self.processes) < CONCURRENT:
                self.start_one()
            due = [when for when, _, _ in self.stopped]
            self.hear(min([next_harm, end, *due]))
            self.continue_stopped()
            if time.monotonic() >= next_harm:
                self.harm_one()
                next_harm = time.monotonic() + self.random.expovariate(1 / 0.003)
        self.settle()
        self.check_rest()
        return time.monotonic() - start

    def settle(self):
        """Nothing new: everyone has to end."""
        hung = time.monotonic() + PATIENCE
        while self.processes or any(adopted.children()):
            self.continue_stopped(everyone=True)
            self.hear(min(hung, time.monotonic() + 1))
            if time.monotonic() >= hung:
                with open("/proc/locks", encoding="utf-8") as locks:
                    table = locks.read()
                left = sorted(adopted.children())
                self.fail(f"still there after {PATIENCE} s: {left}\n{table}", *self.jobs.values())

    def check_rest(self):
        # Whoever had that pipe is gone, adopted or not.
        os.close(self.events)
        self.events = -1
        if os.read(self.lines, 1) != b"":
            raise Wrong("somebody still speaks after the end")
        for lock in [*self.packs, self.permits]:
            for file in lock.files:
                if os.path.exists(file) and is_locked(file):
                    raise Wrong(f"{file} is still locked")
        said = subprocess.run(
            [self.tool, "status", "--json", "--held", "-r", f"{self.sandbox}/ws"], capture_output=True, check=False
        )
        if said.returncode != 0 or json.loads(said.stdout)["locks"]:
            raise Wrong(f"status says in the end: {said.returncode} {said.stdout} {said.stderr}")

    def clean_up(self):
        adopted.kill_all()
        shutil.rmtree(self.sandbox, ignore_errors=True)

    def told(self, seconds):
        count = self.count
        kinds = ("run", "hold", "fd", "flock", "python", "wait", "probe", "status", "release")
        starts = ", ".join(f"{count[kind]} {kind}" for kind in kinds)
        signals = ", ".join(f"{count[name]} {name}" for name in ("SIGKILL", "SIGTERM", "SIGSTOP"))
        harm = count["SIGKILL"] + count["SIGTERM"] + count["SIGSTOP"]
        return (
            f"chaos: {seconds:.1f} s; started {starts}\n"
            f"chaos: {harm} blows ({signals}), {harm / seconds * 60:.0f} a minute\n"
            f"chaos: {count['claims']} times in, {count['overlaps']} overlaps"
        )


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("tool")
    parser.add_argument("claimant")
    parser.add_argument("--seconds", type=float, default=8)
    parser.add_argument("--seed", type=int, default=None)
    parser.add_argument("--unlocked", type=int, metavar="ONE_IN")
    parser.add_argument("--preload", metavar="LIBRARY")
    parser.add_argument("--overlaps", action="store_true")
    options = parser.parse_args()
    if options.seed is None:
        options.seed = random.SystemRandom().randrange(1 << 32)
    print(f"chaos: seed {options.seed}", flush=True)

    interruption.raise_on_signals(signal.SIGALRM)
    # Orphans become ours, so that none is lost sight of.
    adopted.adopt()
    signal.alarm(int(options.seconds) + 2 * PATIENCE)  # should the test itself hang
    chaos = Chaos(options)
    start = time.monotonic()
    try:
        print(chaos.told(chaos.run()))
    except Wrong as wrong:
        found = chaos.count["overlaps"] > 0
        if options.overlaps and found:
            print(f"chaos: found after {time.monotonic() - start:.1f} s, as it should: {str(wrong).splitlines()[0]}")
            return 0
        print(chaos.told(time.monotonic() - start))
        print(f"chaos: FAILED with seed {options.seed}: {wrong}")
        return 1
    except Interrupted as by:
        print(f"chaos: interrupted by {by}, seed {options.seed}\n{chaos.told(time.monotonic() - start)}")
        return 1
    finally:
        signal.alarm(0)
        interruption.ignore_signals()
        chaos.clean_up()
    if options.overlaps:
        print("chaos: no overlap was found, and there had to be one")
    return 1 if options.overlaps else 0


sys.exit(main())
