"""The stage of the measurements: a temporary directory, and the processes started
in it. Afterwards, both are gone."""

import contextlib
import json
import os
import pathlib
import re
import resource
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request

sys.path.insert(0, os.path.join(os.path.dirname(os.path.realpath(__file__)), "../support"))
from free_port import free_port  # noqa: E402

# Locks the files that its input names, up to an empty line.
HOLDER = """
import fcntl, sys
files = [open(path, "r+") for path in iter(lambda: sys.stdin.readline().rstrip("\\n"), "")]
for file in files:
    fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
print("locked", flush=True)
sys.stdin.read()
"""


# Starts as many processes as its argument says, which do nothing.
IDLE = """
import os, signal, sys
for _ in range(int(sys.argv[1])):
    if os.fork() == 0:
        signal.pause()
print("started", flush=True)
signal.pause()
"""

# The C library reads each variable when a program starts.
SMALL_ENVIRONMENT = {"PATH": "/usr/bin:/bin", "LANG": "C.UTF-8"}


def key_count(client):
    """How many keys an etcd has."""
    every_key = {"key": "AA==", "range_end": "AA==", "count_only": True}
    request = urllib.request.Request(f"http://{client}/v3/kv/range", json.dumps(every_key).encode())
    with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(request) as answer:
        return int(json.load(answer).get("count", 0))


class Samples:
    """The costs of several runs of one command. Memory and faults are medians."""

    def __init__(self):
        self.runs = []

    def add(self, numbers):
        self.runs.append(numbers)

    def _values(self, column):
        return [run[column] for run in self.runs]

    def _median(self, column):
        return statistics.median(self._values(column))

    @property
    def time(self):
        """A list of nanoseconds, one for each run."""
        return self._values(0)

    @property
    def processor(self):
        """The same for processor time, which other processes disturb less."""
        return self._values(1)

    @property
    def memory(self):
        """In bytes."""
        return self._median(2) * 1024

    @property
    def faults(self):
        return self._median(3)


class Stage:
    """For use in a `with`. When that ends, even by a signal, the processes are
    killed and the directory is removed."""

    def __init__(self, grex_lock, programs):
        self.tool = os.path.realpath(grex_lock)
        self.programs = pathlib.Path(programs).resolve()
        self._processes = []

    def _install(self):
        """Copies the measured programs. The linker doesn't write its output in order, so
        the page cache has it in small pieces, and it takes longer to start."""
        tool = shutil.copy(self.tool, self.directory)
        keeper = f"{self.tool}-etcd"
        self.has_cluster = os.path.exists(keeper) and bool(shutil.which("etcd")) and bool(shutil.which("etcdctl"))
        if self.has_cluster:
            shutil.copy(keeper, self.directory)
        programs = self.directory / "programs"
        shutil.copytree(self.programs, programs)
        self.tool = str(tool)
        self.programs = programs

    def __enter__(self):
        for variable in [name for name in os.environ if name.startswith("GREX_")]:
            del os.environ[variable]
        os.environ["PATH"] = "/usr/bin:/bin"
        most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, self._stop)
        self.directory = pathlib.Path(tempfile.mkdtemp(prefix="grex-lock-bench."))
        self._install()
        return self

    def __exit__(self, *_):
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, signal.SIG_IGN)
        for process in self._processes:
            self._end(process)
        shutil.rmtree(self.directory)

    @staticmethod
    def _stop(number, _):
        raise SystemExit(128 + number)

    @staticmethod
    def _end(process):
        """Kills a process and all that it started: each process has its own session."""
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
        process.communicate()

    def _start(self, words, text=True, **streams):
        blocked = signal.pthread_sigmask(signal.SIG_BLOCK, (signal.SIGINT, signal.SIGTERM, signal.SIGHUP))
        try:
            unblock = lambda: signal.pthread_sigmask(signal.SIG_SETMASK, blocked)
            process = subprocess.Popen(words, start_new_session=True, text=text, cwd=self.directory,
                                       preexec_fn=unblock, **streams)
            self._processes.append(process)
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, blocked)
        return process

    @contextlib.contextmanager
    def _helper(self, words, **more):
        process = self._start(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, **more)
        try:
            yield process
        finally:
            self._end(process)
            self._processes.remove(process)

    def _output(self, words, **streams):
        process = self._start(words, **streams)
        output = [text for text in process.communicate() if text is not None]
        self._processes.remove(process)
        if process.returncode != 0:
            raise SystemExit(f"bench: exit status {process.returncode}: {' '.join(words)}\n{''.join(output)}")
        return "".join(output)

    def _stopwatch(self, *words):
        return self._output([str(self.programs / "stopwatch"), *map(str, words)], stdout=subprocess.PIPE)

    def pack(self, name):
        """Creates a pack with a lock file. Returns the paths of both."""
        directory = self.directory / name
        directory.mkdir(parents=True, exist_ok=True)
        file = directory / ".grex-lock"
        file.touch()
        return str(directory), str(file)

    @contextlib.contextmanager
    def held(self, files):
        """Another process holds a lock on each of the files: a lock of this one would be that
        of an ancestor of the commands, which they report as a deadlock."""
        with self._helper([sys.executable, "-c", HOLDER]) as holder:
            holder.stdin.write("".join(f"{path}\n" for path in (*files, "")))
            holder.stdin.flush()
            if holder.stdout.readline() != "locked\n":
                raise SystemExit("bench: the files could not be locked")
            yield

    @contextlib.contextmanager
    def idle_processes(self, count):
        with self._helper([sys.executable, "-c", IDLE, str(count)]) as parent:
            if parent.stdout.readline() != "started\n":
                raise SystemExit("bench: the processes could not be started")
            yield

    @contextlib.contextmanager
    def etcd(self):
        """Runs a node of etcd. Yields its address."""
        client, peer = (f"127.0.0.1:{free_port()}" for _ in range(2))
        words = ["etcd", "--name", "bench", "--data-dir", f"{self.directory}/etcd", "--log-level", "fatal",
                 "--listen-client-urls", f"http://{client}", "--advertise-client-urls", f"http://{client}",
                 "--listen-peer-urls", f"http://{peer}", "--initial-advertise-peer-urls", f"http://{peer}",
                 "--initial-cluster", f"bench=http://{peer}"]
        with self._helper(words, stderr=subprocess.DEVNULL):
            while subprocess.run(["etcdctl", "--endpoints", client, "endpoint", "health"], check=False,
                                 env=os.environ | {"ETCDCTL_API": "3"}, capture_output=True).returncode != 0:
                pass
            yield client

    @contextlib.contextmanager
    def tier_stack(self):
        """Holds five locks, and yields their tier stack as text."""
        outer, _ = self.pack("outer")
        tiers = ("workspace-sync", "semaphore", "per-pack", "backend", "manifest")
        locks = [word for tier in tiers for word in ("-l", f"{tier}:{outer}")]
        script = 'printf "%s\\n" "$GREX_LOCK_STACK"; read -r _'
        with self._helper([self.tool, "run", *locks, "--", "/bin/sh", "-c", script]) as holder:
            yield holder.stdout.readline().rstrip("\n")

    @staticmethod
    def _listed(commands):
        return [word for command in commands for word in (",", *command)]

    def each(self, rounds, contestants, samples=None):
        """Runs each contestant once a round. Returns their samples, by name."""
        samples = samples or {name: Samples() for name in contestants}
        names = list(contestants)
        for line in self._stopwatch("each", rounds, *self._listed(contestants.values())).splitlines():
            index, *numbers = map(int, line.split())
            samples[names[index]].add(numbers)
        return samples

    def crowd(self, total, at_once, command):
        """Returns the nanoseconds for `total` runs, `at_once` of them at a time."""
        return int(self._stopwatch("crowd", total, at_once, ",", *command))

    def handover(self, rounds, file, contestants):
        """Returns a list of nanoseconds since the unlock of the file for each contestant, by name."""
        times = {name: [] for name in contestants}
        names = list(contestants)
        for line in self._stopwatch("handover", rounds, file, *self._listed(contestants.values())).splitlines():
            index, time = map(int, line.split())
            times[names[index]].append(time)
        return times

    def cluster_handover(self, rounds, client, contestants):
        """Returns a list of nanoseconds from the end of one command to the start of the next, which
        has waited for the lock in the cluster, for each contestant, by name."""
        times = {name: [] for name in contestants}
        clock = str(self.programs / "clock")
        fifo = str(self.directory / "fifo")  # etcdctl gives its command no standard input
        os.mkfifo(fifo)

        for _ in range(rounds):
            for name, command in contestants.items():
                script = f"read _ <{fifo}; exec {clock}"
                with self._helper([*command, "/bin/sh", "-c", script], text=False) as holder, \
                        open(fifo, "w", encoding="ascii") as end, \
                        self._helper([*command, clock], text=False) as waiter:
                    while key_count(client) < 2:
                        pass
                    time.sleep(0.005)  # by then, it does nothing but wait
                    print(file=end, flush=True)
                    ended, begun = (int.from_bytes(process.communicate()[0], "little") for process in (holder, waiter))
                    times[name].append(begun - ended)
        return times

    def wait(self, seconds, command):
        """Returns the nanoseconds of processor time, and the bytes written to the terminal."""
        return tuple(map(int, self._stopwatch("wait", seconds, ",", *command).split()))

    def instructions(self, command):
        """Returns the user-space instructions of the command itself, without what it runs, in a
        small environment."""
        words = list(command)
        environment = dict(SMALL_ENVIRONMENT)
        while "=" in words[0]:
            name, value = words.pop(0).split("=", 1)
            environment[name] = value
        output = self._output(["valgrind", "--tool=callgrind", "--callgrind-out-file=/dev/null", *words],
                              stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, env=environment)
        return int(re.search(r"Collected : (\d+)", output).group(1))
