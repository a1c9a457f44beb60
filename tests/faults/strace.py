"""How strace(1) is driven, and how its output is read.

strace counts the calls of each process and thread separately, so the n-th call of a
child has the same number as the n-th of its parent. What runs before main() of
grex-lock belongs to the loader and the C library, and is left out. main() begins with
the call fcntl(0, F_GETFD).
"""

import re
import shutil
import subprocess
from collections import Counter, namedtuple

from wrong import Wrong

# A system call in the trace: the number-th of this name in its process.
# made_by is the call that made its descriptor, if that is not a file.
Call = namedtuple("Call", "name number arguments in_main made_by")

MAKERS = ("socketpair", "eventfd2", "signalfd4")


def why_unavailable():
    """Why strace cannot trace on this machine; None if it can."""
    if shutil.which("strace") is None:
        return "there is no strace"
    tried = subprocess.run(["strace", "-o", "/dev/null", "true"], capture_output=True, text=True, check=False)
    return f"strace cannot trace here: {tried.stderr.strip()}" if tried.returncode else None


def command(log, options, argv):
    """The command line that traces argv and its children, but not the command they execute."""
    quiet = "--quiet=path-resolution,attach"
    return ["strace", "-D", "-f", quiet, "-b", "execve", "-o", log, *options, *argv]


def injection(call, errno, number):
    """Options that make one call of each process fail."""
    return ["-e", f"trace={call}", "-e", f"inject={call}:error={errno}:when={number}"]


def was_injected(log):
    with open(log, encoding="utf-8", errors="replace") as lines:
        return "(INJECTED)" in lines.read()


def read_calls(log, is_filtered):
    """The calls that main() and the child processes make; a filtered trace shows only some of them."""
    reader = TraceReader(is_filtered)
    with open(log, encoding="utf-8", errors="replace") as lines:
        for line in lines:
            match = re.match(r"(\d+) +(\w+)\((.*)", line)
            if match:
                reader.read(*match.groups())
    if not reader.main_began:
        raise Wrong("main() no longer begins with fcntl(0, F_GETFD)")
    return reader.calls


class TraceReader:
    def __init__(self, is_filtered):
        self.calls = []
        self.main_began = is_filtered
        self.main_pid = None
        self.seen = Counter()
        self.startup = Counter()  # how many of each call come before main()
        self.made_by = {}  # descriptor: the call that made it, if it is not a file

    def read(self, pid, name, arguments):
        self.main_pid = self.main_pid or pid
        in_main = pid == self.main_pid
        self.seen[pid, name] += 1
        number = self.seen[pid, name]
        if in_main and name == "execve":
            number -= 1  # strace does not count the one that starts grex-lock
        if in_main and not self.main_began:
            self.main_began = name == "fcntl" and arguments.startswith("0, F_GETFD")
            if not self.main_began:
                self.startup[name] = number
                return
        self.note_maker(name, arguments)
        if not in_main and number <= self.startup[name]:
            return  # an injection with this number would hit the loader
        made_by = self.made_by.get(arguments.split(",")[0])
        self.calls.append(Call(name, number, arguments, in_main, made_by))

    def note_maker(self, name, arguments):
        if name in MAKERS:
            made = re.findall(r"\d+", arguments.rpartition("[" if name == "socketpair" else "=")[2])
            self.made_by.update({fd: name for fd in made})
        elif name == "openat" and " = " in arguments:
            self.made_by.pop(arguments.rpartition(" = ")[2].strip(), None)
