#!/usr/bin/env python3
"""Types the console blocks of the documents in a fresh shell, and checks what they show.
usage: tour.py GREX-LOCK SOURCE-DIRECTORY

Each page gets a home directory of its own. If it needs the first job of the README, that
runs in a second shell, and is ended when a command has reported that it waits for it.
What differs between runs is made general on both sides: the home directory, the user,
the host, process ids, times, durations, and the width of columns.
"""

import difflib
import getpass
import os
import re
import signal
import socket
import subprocess
import sys
import tempfile
from pathlib import Path

TIME_LIMIT = 60  # seconds; a command that takes longer hangs
PAGES = {"README.md": True, "docs/json.md": True, "docs/how-it-works.md": False}  # whether the first job runs
DONE = "-- done --"


def main(grex_lock, source):
    signal.signal(signal.SIGALRM, on_alarm)
    signal.signal(signal.SIGTERM, lambda number, _: sys.exit(128 + number))
    first_job = blocks(source / "README.md", "sh", "First job")[0]
    failed = False
    for page, with_job in PAGES.items():
        # As root, in a directory below which no other user can write: the search for
        # workspaces stops at others.
        parent = "/root" if os.geteuid() == 0 and os.access("/root", os.W_OK) else None
        with tempfile.TemporaryDirectory(prefix="grex-lock-tour.", dir=parent) as scratch:
            home = Path(scratch).resolve()
            (home / "bin").mkdir()
            (home / "bin/grex-lock").symlink_to(grex_lock.resolve())
            (home / "ws/app").mkdir(parents=True)
            shown, printed = "", ""
            try:
                with Shell(home) as job, Shell(home) as shell:
                    if with_job:
                        start(job, first_job, home)
                    for block in blocks(source / page, "console"):
                        shown += block
                        printed += type_in(shell, job, block)
            finally:  # a hold has left the shell
                subprocess.run([grex_lock, "release", "-q", "--if-held", home / "ws/app"], check=False)
        failed |= not same(page, general(shown, Path("/home/ada"), "ada", "build1"),
                           general(printed, home, getpass.getuser(), socket.gethostname()))
    sys.exit(failed)


def blocks(page, language, heading=None):
    """The code blocks of a page, or of one of its sections."""
    text = page.read_text(encoding="utf-8")
    if heading:
        text = re.search(rf"^## {re.escape(heading)}\n(.*?)(?=^## |\Z)", text, re.MULTILINE | re.DOTALL)[1]
    return re.findall(rf"^```{language}\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)


class Shell:
    """A bash that reads commands from a pipe. All of its processes are ended with it."""

    def __init__(self, home):
        environment = {name: value for name, value in os.environ.items() if not name.startswith("GREX_")}
        environment |= {"HOME": str(home), "PATH": f"{home}/bin:{os.environ['PATH']}"}
        self.process = subprocess.Popen(["bash", "--norc"], cwd=home, env=environment, encoding="utf-8",
                                        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                                        start_new_session=True)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.end()
        with self.process:  # waits for it, and closes its pipes
            pass

    def end(self):
        try:
            os.killpg(self.process.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass

    def write(self, command):
        self.process.stdin.write(command)
        self.process.stdin.flush()

    def lines_of(self, command):
        """Runs a command, yields the lines that it prints, and leaves its exit status in $?."""
        signal.alarm(TIME_LIMIT)
        self.write(f"{command}\n{{ tour=$?; echo '{DONE}'; (exit $tour); }} 2>&1\n")
        for line in self.process.stdout:
            if line == f"{DONE}\n":
                break
            yield line
        signal.alarm(0)


def start(job, commands, home):
    """Runs the first job, and returns when it has the lock."""
    job.write(commands)
    probe = [home / "bin/grex-lock", "probe", "-q", home / "ws/app"]
    signal.alarm(TIME_LIMIT)
    while subprocess.run(probe, check=False).returncode != 75:
        pass
    signal.alarm(0)


def type_in(shell, job, block):
    """Types the commands of a block, and returns them with what they print."""
    printed = ""
    for command in re.findall(r"^\$ (.*)$", block, re.MULTILINE):
        printed += f"$ {command}\n"
        for line in shell.lines_of(command):
            if line.startswith("grex-lock: waiting "):
                job.end()
            printed += line
    return printed


def general(text, home, user, host):
    text = text.replace(str(home), "HOME")
    text = re.sub(r'"uid": ?\d+', '"uid": U', text).replace(f'"host":"{host}"', '"host": "H"')
    text = text.replace(f'"host": "{host}"', '"host": "H"').replace(f'"user": "{user}"', '"user": "USER"')
    text = re.sub(rf"\b{re.escape(user)}\b", "USER", text)
    text = re.sub(r"(\d{4}-\d\d-\d\d[ T])?\d\d:\d\d:\d\d(\.\d+)?([+-]\d\d:\d\d|Z)", "TIME", text)
    text = re.sub(r'(_ms": ?)\d+', r"\1N", text)
    pids = {}
    text = re.sub(r'(\bpid |^ +(?:held by|waits|last)? +|pid": ?)(\d+)\b',
                  lambda found: found[1] + pids.setdefault(found[2], f"PID{len(pids) + 1}"), text, flags=re.MULTILINE)
    lines = []
    for line in text.splitlines():
        if not line.startswith("$ "):
            line = re.sub(r"\b\d+(\.\d+)?(ms|s|m|h)( \d+[ms])?\b", "T", line)
            line = re.sub(r"   *", "  ", line)
        if line not in lines[-1:]:  # a long wait is reported again
            lines.append(line)
    return lines


def same(page, shown, printed):
    for line in difflib.unified_diff(shown, printed, f"shown in {page}", "printed", lineterm=""):
        print(line)
    return shown == printed


def on_alarm(*_):
    raise TimeoutError("a command did not end")


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
