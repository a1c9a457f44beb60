"""The jobs that run at random, and how each of them is started."""

import fcntl
import os
import shutil
import signal

from exit_codes import BUSY
from runs import Runs

FAILED_BEFORE_EXEC = 99


class Actors:
    def __init__(self, options, random, jobs, locks, events, disruption):
        self.options = options
        self.tool = os.path.realpath(options.tool)
        self.claimant = os.path.realpath(options.claimant)
        self.random = random
        self.jobs = jobs
        self.locks = locks
        self.events = events
        self.runs = Runs(self, disruption)
        self.weights = {
            self.runs.start_one: 60,
            self.start_hold: 15,
            self.start_flock: 12,
            self.start_python: 8,
            self.start_fd: 8,
            self.start_wait: 6,
            self.start_query: 5,
        }

    def start_one(self):
        if self.options.unlocked and self.random.randrange(self.options.unlocked) == 0:
            self.start_unlocked()
            return
        self.random.choices(list(self.weights), list(self.weights.values()))[0]()

    def command(self, job, shared=False, holder=0):
        """The command line of a claimant for the locks of this job."""
        job.has_command = True
        job.command_code = self.random.randrange(5, 60)
        mean = 40_000 if job.is_chain else 12_000 if job.has_shell else 3000
        pause = int(self.random.expovariate(1 / mean))
        claims = [lock.claim(shared) for lock in job.locks]
        numbers = [str(job.command_code), str(pause), "chain" if job.is_chain else str(holder)]
        return [self.claimant, str(self.events.writing_end), job.name, *numbers, *claims]

    def waiting_options(self, job):
        choice = self.random.random()
        if choice < 0.1:
            job.may_be_busy = True
            return ["-n"]
        if choice < 0.3:
            job.may_be_busy = True
            return ["-w", f"{self.random.randrange(1, 40)}ms"]
        return []

    def choose_shared(self, job):
        return self.random.random() < 0.2 and self.locks.semaphore not in job.locks

    def start_hold(self):
        job = self.jobs.new("hold", self.locks.choose(3))
        endings = ["term", "kill", "watched"]
        # A semaphore can have several holds, and if locks do not work, so can every
        # lock. `release` refuses to end one of several: that is left to kill(1).
        if job.locks[-1] is not self.locks.semaphore and not self.options.overlaps:
            endings.append("release")
        job.ending = self.random.choice(endings)
        options = self.waiting_options(job)
        if job.ending == "watched":
            # A process that lives until it is killed.
            job.watched = self.jobs.spawn(job, ["/bin/sleep", "infinity"], "watched process")
            options += ["--while-pid", str(job.watched)]
        if self.random.random() < 0.5:
            options.append("--export")
        self.jobs.spawn(job, [self.tool, "hold", "--detach", *options, *self.locks.arguments_for(job.locks)])

    def start_proxy(self, hold):
        """A claimant that makes the claims of a hold."""
        job = self.jobs.new("proxy", hold.locks)
        job.hold = hold
        self.jobs.spawn(job, self.command(job, holder=hold.holder))

    def start_release(self, hold):
        job = self.jobs.new("release", hold.locks)
        self.jobs.spawn(job, [self.tool, "release", hold.locks[-1].path])

    def start_flock(self):
        job = self.jobs.new("flock", self.locks.choose(1))
        shared = self.choose_shared(job)
        options = ["-E", str(BUSY), *self.waiting_options(job)] + (["-s"] if shared else [])
        options = [f"{int(word[:-2]) / 1000}" if word.endswith("ms") else word for word in options]
        file = self.random.choice(job.locks[0].files)
        self.jobs.spawn(job, [shutil.which("flock"), *options, file, *self.command(job, shared)])

    def start_python(self):
        job = self.jobs.new("python", self.locks.choose(1))
        shared = self.choose_shared(job)
        job.may_be_busy = self.random.random() < 0.1
        file = self.random.choice(job.locks[0].files)
        argv = self.command(job, shared)
        operation = (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | (fcntl.LOCK_NB if job.may_be_busy else 0)
        pid = fork_locker(file, operation, argv, self.jobs.environment)
        self.jobs.add_process(job, pid, "job", f"fcntl.flock {file} " + " ".join(argv))

    def start_fd(self):
        """Start a script that locks its own descriptor and then becomes the command."""
        job = self.jobs.new("fd", self.locks.choose(1))
        options = self.waiting_options(job)
        file = self.random.choice(job.locks[0].files)
        script = f'exec 9>>"$1"; shift; {self.tool} fd {" ".join(options)} 9 || exit; exec "$@"'
        self.jobs.spawn(job, ["/bin/sh", "-c", script, "sh", file, *self.command(job)])

    def start_unlocked(self):
        """Start a command without its lock: the test must notice."""
        job = self.jobs.new("unlocked", self.locks.choose(1))
        self.jobs.spawn(job, self.command(job))

    def start_wait(self):
        job = self.jobs.new("wait", self.locks.choose(3))
        options = self.waiting_options(job)
        self.jobs.spawn(job, [self.tool, "wait", *options, *self.locks.arguments_for(job.locks)])

    def start_query(self):
        if self.random.random() < 0.3:
            job = self.jobs.new("status", self.locks.packs)
            self.jobs.spawn(job, [self.tool, "status", "--json", "-r", self.locks.workspace])
        else:
            job = self.jobs.new("probe", self.locks.choose(1))
            job.may_be_busy = True
            self.jobs.spawn(job, [self.tool, "probe", *job.locks[0].arguments()])


def fork_locker(file, operation, argv, environment):
    """Fork a child that locks the file with fcntl.flock and then executes argv. Returns its pid."""
    # The handlers of the test must not run in the child.
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
            fcntl.flock(lock, operation)
            os.set_inheritable(lock, True)
            os.execve(argv[0], argv, environment)
        except BlockingIOError:
            os._exit(BUSY)
        except BaseException:
            os._exit(FAILED_BEFORE_EXEC)
    signal.pthread_sigmask(signal.SIG_SETMASK, old_mask)
    return pid
