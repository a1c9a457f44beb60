#!/usr/bin/env python3
"""Writes src/function_order.ld, in which the linker finds what a run executes and uses.

usage: tests/bench/order.py build/release

Functions, constants and variables that are 0 at the start get pages of their own: first those
that all of the usual commands use, then those of two of them, then the others, each in the order
of their first use. Reads what was built there, and runs it under valgrind. To be repeated when
much of the program has changed: what is not listed is linked behind the rest, and costs a page
fault.
"""

import bisect
import collections
import contextlib
import fcntl
import pathlib
import re
import subprocess
import sys
import tempfile

SOURCE = pathlib.Path(__file__).resolve().parents[2]
ORDER = SOURCE / "src/function_order.ld"
USUAL = ["run PATH -- true", "probe PATH", "status PATH"]
COMMANDS = [*USUAL, "status HELD", "run -n PATH -- true", "run -F PATH -- true", "run -w 5 PATH -- true", "status --json PATH", "status -r PATH",
            "hold --for 1ms PATH", "wait PATH", "--help", "run"]
# Runs at the start, to find the vDSO, which valgrind hides.
HIDDEN = [*(f"*libc.a:{member}(.text)" for member in ("dl-object.o", "dl-lookup.o", "dl-setup_hash.o")),
          "*libc.a:strcmp-avx2.o(.text.avx)"]


def link(build, program, linker_map):
    """Links the program again, with symbols and a map."""
    command = subprocess.check_output(["ninja", "-C", build, "-t", "commands", "grex-lock"], text=True).splitlines()[-1]
    words = [word for word in command.split() if word not in ("-s", ":", "&&")]
    words[words.index("-o") + 1] = program
    subprocess.run(words + [f"-Wl,-Map={linker_map}"], cwd=build, check=True)


class Sections:
    """The sections of one kind in a linker map, as (address, size, name, file)."""

    def __init__(self, linker_map, kind):
        text = pathlib.Path(linker_map).read_text().split("Linker script and memory map")[1]
        lines = re.findall(rf"^ (\.{kind}\S*)\s+0x([0-9a-f]+)\s+0x([0-9a-f]+) (\S.*)$", text, re.M)
        self.all = sorted((int(address, 16), int(size, 16), name, file)
                          for name, address, size, file in lines if int(size, 16))
        self._starts = [section[0] for section in self.all]

    def patterns_of(self, addresses):
        """The patterns of the sections with these addresses, in their order."""
        for address in addresses:
            start, size, name, file = self.all[bisect.bisect(self._starts, address) - 1]
            if start <= address < start + size:
                yield pattern_of(name, file)


def touched(program, words, trace):
    """The addresses of all instructions, and those of data that is read or written, in their order."""
    subprocess.run(["valgrind", "--tool=lackey", "--trace-mem=yes", f"--log-file={trace}", program, *words],
                   env={"PATH": "/usr/bin:/bin"}, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    addresses = {"I ": {}, " L": {}, " S": {}, " M": {}}
    with open(trace) as lines:
        for line in lines:
            if line[:2] in addresses:
                addresses[line[:2]][int(line[3:].split(",")[0], 16)] = True
    return addresses["I "], [*addresses[" S"], *addresses[" M"], *addresses[" L"]]


def pattern_of(name, file):
    """How a linker script names a section. Those of the C library have one name in common."""
    if re.match(r"\.\w+\._Z", name):
        return f"*({name})"
    archive, member = re.search(r"([^/(]*)(?:\(([^)]*)\))?$", file).groups()
    return f"*{archive}:{member}({name})" if member else f"*{archive}({name})"


def with_variants(patterns, sections):
    """With the variants of the same string functions that the C library chooses on other
    processors than the one that valgrind emulates."""
    for pattern in patterns:
        yield pattern
        if match := re.match(r"\*libc\.a:(\w+)-(?:avx|evex|sse)", pattern):
            variants = re.compile(rf"libc\.a\({match[1]}-(?:avx2|evex|avx512-unaligned)(?!.*rtm)")
            yield from (pattern_of(name, file) for _, _, name, file in sections if variants.search(file))


def constants_of(pattern):
    """The pattern for the constants of a function, or of a member of the C library."""
    file, section = re.match(r"(.*)\((.*)\)$", pattern).groups()
    name = section.removeprefix(".text") if section.startswith(".text._Z") else ""
    return f"{file}(.rodata{name} .rodata{name}.*)"


def section(name, patterns):
    """An output section with these input sections, before all others of its kind."""
    return ["SECTIONS {", f"  {name}.run : {{", *(f"    {pattern}" for pattern in patterns), "  }", "}",
            f"INSERT BEFORE {name};"]


class Order:
    """The patterns that each command uses: first those that most of the usual ones use."""

    def __init__(self):
        self._of = []

    def add(self, patterns):
        self._of.append(dict.fromkeys(patterns))

    def __iter__(self):
        users = collections.Counter(pattern for used in self._of[:len(USUAL)] for pattern in used)
        patterns = dict.fromkeys(pattern for used in self._of for pattern in used)
        return iter(sorted(patterns, key=lambda pattern: -users[pattern]))


def main(build):
    executed, used = Order(), Order()
    with contextlib.ExitStack() as stack:
        directory = stack.enter_context(tempfile.TemporaryDirectory())
        program = f"{directory}/grex-lock"
        link(build, program, f"{directory}/map")
        functions, variables = Sections(f"{directory}/map", "text"), Sections(f"{directory}/map", "bss")
        pack = f"{directory}/pack"
        pathlib.Path(pack).mkdir()
        subprocess.run([program, "run", pack, "--", "true"], check=True)  # creates the lock files
        held = f"{directory}/held"
        pathlib.Path(held).mkdir()
        file = stack.enter_context(open(f"{held}/.grex-lock", "w", encoding="ascii"))
        fcntl.flock(file, fcntl.LOCK_EX)  # the kernel's list is hardly ever empty
        for command in COMMANDS:
            words = [{"PATH": pack, "HELD": held}.get(word, word) for word in command.split()]
            instructions, data = touched(program, words, f"{directory}/trace")
            executed.add(functions.patterns_of(instructions))
            used.add(variables.patterns_of(data))
    patterns = list(dict.fromkeys(with_variants([*HIDDEN, *executed], functions.all)))
    lines = ["/* The order of the functions in the static program, of their constants, and of variables. Written",
             "   by tests/bench/order.py; names that do not exist any more do no harm. INSERT adds to the",
             "   linker's own script. */",
             *section(".text", patterns), *section(".rodata", ["*(.rodata.cst*)", *map(constants_of, patterns)]),
             *section(".bss", used)]
    ORDER.write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    main(sys.argv[1])
