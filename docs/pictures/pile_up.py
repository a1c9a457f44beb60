"""Creates a real pile-up of locks, and captures what `grex-lock status` shows of it.

What differs between runs is replaced in the text:

- the directory of the workspace by /home/ada/ws
- the user by ada
- process ids, in ascending order, by 20601, 20603, 20605 and so on
- the times for which locks have been held, from the top, by HELD_FOR

The columns get the width that grex-lock would give them for these values.
"""

import contextlib
import os
import re
import shlex
import signal
import subprocess
import tempfile
import time

TIME_LIMIT = 60  # seconds; a process that takes longer hangs

HELD_FOR = ["12s", "9.7s", "41s", "6.3s"]

# Each script prints its process id and continues when it has read a line. The two
# that wait for each other give up after 300 s, in case nothing kills them before.
SCRIPTS = {
    "build.sh": "echo $$; read -r go",
    "test.sh": "echo $$; read -r go",
    "release.sh": "echo $$; read -r go; exec flock -w 300 docs/.grex-lock make -C docs",
    "docs.sh": "echo $$; read -r go; exec flock -w 300 lib/.grex-lock make -C lib",
}


def status_of_pile_up(grex_lock):
    """Returns what `status -r` prints in colour, with the escape sequences of a terminal."""
    while True:
        with PileUp(grex_lock) as pile_up:
            pile_up.make()
            # If process ids wrapped around, the order of the processes would differ.
            if pile_up.pids == sorted(pile_up.pids):
                return neutralise(pile_up.status(), pile_up.workspace)


class PileUp(contextlib.ExitStack):
    """Processes in a temporary workspace. At the end, they are killed and it is removed."""

    def __init__(self, grex_lock):
        super().__init__()
        root = os.path.realpath(self.enter_context(tempfile.TemporaryDirectory(prefix="grex-lock-pile-up.")))
        os.mkdir(root + "/bin")
        os.symlink(os.path.realpath(grex_lock), root + "/bin/grex-lock")
        self.workspace = root + "/ws"
        self.environment = {name: value for name, value in os.environ.items() if not name.startswith("GREX_")}
        self.environment |= {"PATH": f"{root}/bin:{os.environ['PATH']}", "GREX_PARALLEL": "4"}
        self.pids = []

    def make(self):
        for pack in ("app", "docs", "lib"):
            os.makedirs(f"{self.workspace}/{pack}")
        for name, text in SCRIPTS.items():
            with open(f"{self.workspace}/{name}", "w", encoding="utf-8") as file:
                file.write(text + "\n")

        self.output_of("grex-lock run --no-record -t workspace-sync . -- true")
        self.job("grex-lock run --note 'nightly build' app -- sh build.sh")
        self.job("grex-lock run -t semaphore . -- sh test.sh app")
        self.job("grex-lock run -t semaphore . -- sh test.sh docs")
        deadlock = [
            self.job("grex-lock run --note release lib -- sh release.sh"),
            self.job("flock docs/.grex-lock sh docs.sh"),
        ]
        for process, pid in deadlock:
            process.stdin.write("go\n")
            process.stdin.flush()
            wait_until_queued(pid)
        wait_until_queued(self.start("grex-lock run app -- git -C app pull").pid)
        wait_until_queued(self.start("flock app/.grex-lock make -C app").pid)

    def status(self):
        return self.output_of("grex-lock status --color=always -r .")

    def output_of(self, command):
        return subprocess.run(shlex.split(command), cwd=self.workspace, env=self.environment, timeout=TIME_LIMIT,
                              stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, encoding="utf-8", check=True).stdout

    def job(self, command):
        """Starts a command that runs one of SCRIPTS. Returns its process, and the process id of the script."""
        process = self.start(command)
        return process, int(process.stdout.readline())

    def start(self, command):
        process = subprocess.Popen(shlex.split(command), cwd=self.workspace, env=self.environment, encoding="utf-8",
                                   stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
                                   start_new_session=True)
        self.callback(kill, process)
        self.pids.append(process.pid)
        return process


def kill(process):
    os.killpg(process.pid, signal.SIGKILL)
    with process:  # waits for it, and closes its pipes
        pass


def wait_until_queued(pid):
    """Waits until the process is in the kernel's queue for a lock."""
    end = time.monotonic() + TIME_LIMIT
    waits = re.compile(rf"-> +FLOCK +\w+ +\w+ +{pid} ")
    while True:
        with open("/proc/locks", encoding="ascii") as locks:
            if waits.search(locks.read()):
                return
        if time.monotonic() > end:
            raise TimeoutError(f"process {pid} is not waiting for a lock")
        time.sleep(0.01)


# The line of a process, listed below its lock: label, style, process id, user, time, command.
ROW = re.compile(r"^(  .{7}  )(\033\[\d+m) *(\d+)  \033\[0m\S+ +(?:(\d\S*)  )? *(.*)$")


def neutralise(text, workspace):
    text = text.replace(workspace, "/home/ada/ws")
    held_for = iter(HELD_FOR)
    width = max(map(len, HELD_FOR))
    lines = []
    for line in text.splitlines():
        if row := ROW.match(line):
            label, style, pid, held, command = row.groups()
            shown = next(held_for) if held else ""
            line = f"{label}{style}{pid}  \033[0mada  {shown:>{width}}  {command}"
        lines.append(line)
    text = "\n".join(lines)

    pids = sorted({row[3] for row in map(ROW.match, lines) if row}, key=int)
    numbers = {pid: str(20601 + 2 * i) for i, pid in enumerate(pids)}
    return re.sub(r"(\033\[\d+m|, held by |: kill )(\d+)", lambda found: found[1] + numbers[found[2]], text)
