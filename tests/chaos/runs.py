"""The ways in which `grex-lock run` is started: plainly, and where it is hard to keep exclusion or to end.

Each job takes its locks by `grex-lock run`, except that a deaf or hurried one may also
be a `hold`, a `wait` or a `probe`.
"""

import signal

from jobs import STATUS_FD

MOST_DEAF = 2  # at a time: each may take a second longer to end than others
# The claimant is a child of the shell, which may die before it.
CATCHES_SIGTERM = 'trap "exit 143" TERM; "$@" & wait $!; exit $?'
SHELLS = ('"$@"; exit $?', '"$@" & wait $!', CATCHES_SIGTERM, 'setsid sleep 0.1 & "$@"; exit $?')
# Locks the file, closes it, and then wants the same lock, with the stack of the first.
CLOSED_FD = 'exec 9>>"$1"; stack=$("$2" fd --export 9) || exit; shift; eval "$stack"; exec 9>&-; exec "$@"'


class Runs:
    def __init__(self, actors, disruption):
        self.actors = actors
        self.random = actors.random
        self.jobs = actors.jobs
        self.locks = actors.locks
        self.disruption = disruption
        self.weights = {
            self.start_plain: 22,
            self.start_in_place: 5,
            self.start_shell: 9,
            self.start_stale: 6,
            self.start_closed: 3,
            self.start_nested: 4,
            self.start_chain: 3,
            self.start_hurried: 8,
            self.start_deaf: 3,
        }
        only = actors.options.only
        if only:
            wanted = {self.start_plain.__name__, *(f"start_{name}" for name in only.split(","))}
            self.weights = {start: weight for start, weight in self.weights.items() if start.__name__ in wanted}

    def start_one(self):
        self.random.choices(list(self.weights), list(self.weights.values()))[0]()

    def new(self, variant, locks=None):
        self.jobs.count[variant] += 1
        return self.jobs.new("run", locks or self.locks.choose(3))

    def spawn(self, job, options, command):
        arguments = self.locks.arguments_for(job.locks)
        self.jobs.spawn(job, [self.actors.tool, "run", *options, *arguments, "--", *command])

    def start_plain(self):
        job = self.new("plain")
        shared = self.actors.choose_shared(job)
        options = self.actors.waiting_options(job) + (["-s"] if shared else [])
        if self.random.random() < 0.1:
            options.append("--linger")
        self.spawn(job, options, self.actors.command(job, shared))

    def start_in_place(self):
        job = self.new("in place")
        job.kind = "run -F"
        shared = self.actors.choose_shared(job)
        options = self.actors.waiting_options(job) + (["-s"] if shared else [])
        self.spawn(job, ["-F", *options], self.actors.command(job, shared))

    def start_shell(self):
        """Start a shell whose child is the claimant: it works on if only the shell is killed."""
        job = self.new("shell")
        job.has_shell = True
        options = self.actors.waiting_options(job)
        script = self.random.choice(SHELLS)
        job.shell_catches_sigterm = script == CATCHES_SIGTERM
        self.spawn(job, options, ["/bin/sh", "-c", script, "sh", *self.actors.command(job)])

    def start_nested(self):
        """Start a grex-lock that finds the locks held by its ancestor."""
        job = self.new("nested", self.locks.choose_packs())
        job.has_shell = True
        job.shell_forwards = True
        options = self.actors.waiting_options(job)
        inner = [self.actors.tool, "run", "--reentrant", *self.locks.arguments_for(job.locks), "--"]
        self.spawn(job, options, [*inner, *self.actors.command(job)])

    def start_chain(self):
        """Start a claimant whose work goes on, if it is killed, in processes that are hard to catch."""
        job = self.new("chain")
        job.is_chain = True
        self.spawn(job, self.actors.waiting_options(job), self.actors.command(job))

    def start_stale(self):
        """Start a job with the stack of another job, which may hold its locks still, or no longer."""
        stack, locks = self.jobs.choose_stack(self.random)
        if not stack:
            self.start_plain()
            return
        job = self.new("stale", locks)
        job.may_be_refused = True
        job.environment = {"GREX_LOCK_STACK": stack}
        shared = self.actors.choose_shared(job)
        options = self.actors.waiting_options(job) + (["-s"] if shared else [])
        if self.random.random() < 0.8:
            options.append("--reentrant")
        self.spawn(job, options, self.actors.command(job, shared))

    def start_closed(self):
        """Start a script that exports the lock of a descriptor, and closes the descriptor."""
        job = self.new("closed", self.locks.choose_packs(1))
        job.may_be_refused = True
        options = ["--reentrant", *self.actors.waiting_options(job)]
        command = [self.actors.tool, "run", *options, *self.locks.arguments_for(job.locks), "--"]
        file = self.random.choice(job.locks[0].files)
        words = ["/bin/sh", "-c", CLOSED_FD, "sh", file, *command, *self.actors.command(job)]
        self.jobs.spawn(job, words)

    def start_hurried(self):
        """Start a job that gets a signal at any moment from its beginning, and whose events are checked."""
        if self.random.random() < 0.25:
            job = self.start_hold("hurried", ["--json-status-fd", str(STATUS_FD)])
            numbers = [signal.SIGTERM, signal.SIGINT, signal.SIGHUP]
        else:
            job = self.new("hurried")
            job.has_events = True
            options = [*self.actors.waiting_options(job), "--json-status-fd", str(STATUS_FD)]
            self.spawn(job, options, self.actors.command(job))
            numbers = [signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGQUIT, signal.SIGUSR1]
        for _ in range(self.random.choice([1, 1, 2])):
            self.disruption.signal_later(job, self.random.choice(numbers), self.random.expovariate(1 / 0.008))

    def start_hold(self, variant, options, deaf=False):
        self.jobs.count[variant] += 1
        job = self.jobs.new("hold --for", self.locks.choose(3))
        job.has_events = not deaf
        job.is_deaf = deaf
        options = ["--for", "20ms", *options, *self.actors.waiting_options(job)]
        self.jobs.spawn(job, [self.actors.tool, "hold", *options, *self.locks.arguments_for(job.locks)])
        return job

    def start_deaf(self):
        """Start a job whose messages and events no process reads."""
        if sum(job.is_deaf for job, _ in self.jobs.processes.values()) >= MOST_DEAF:
            self.start_plain()
            return
        verbose = self.random.choice([["-v"], []])
        events = self.random.choice([["--json-status-fd", str(self.jobs.unread.writing_end)], []])
        kind = self.random.choice(["run", "run", "hold --for", "wait", "probe"])
        if kind == "hold --for":
            self.start_hold("deaf", [*verbose, *events], deaf=True)
            return
        self.jobs.count["deaf"] += 1
        job = self.jobs.new(kind, self.locks.choose(3 if kind != "probe" else 1))
        job.is_deaf = True
        if kind == "run":
            self.spawn(job, [*self.actors.waiting_options(job), *verbose, *events], self.actors.command(job))
            return
        job.may_be_busy = kind == "probe"
        options = [] if kind == "probe" else [*self.actors.waiting_options(job), *verbose]
        self.jobs.spawn(job, [self.actors.tool, kind, *options, *self.locks.arguments_for(job.locks)])
