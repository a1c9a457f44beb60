#!/usr/bin/env python3
"""Writes src/function_order.ld, in which the linker finds the functions that a run executes.

usage: tests/bench/order.py build/release

They get pages of their own, in the order of their first call. Reads what was built there, and
runs it under valgrind. To be repeated when much of the program has changed: a function that is
not listed is linked behind the others, and costs a page fault.
"""

import bisect
import pathlib
import re
import subprocess
import sys
import tempfile

SOURCE = pathlib.Path(__file__).resolve().parents[2]
ORDER = SOURCE / "src/function_order.ld"
COMMANDS = ["run PATH -- true", "run -F PATH -- true", "run -w 5 PATH -- true", "probe PATH", "status PATH",
            "hold --for 1ms PATH", "wait PATH", "--help", "run", "status --json PATH", "status -r PATH"]
# Runs at the start, to find the vDSO, which valgrind hides.
HIDDEN = [f"*libc.a:{member}(.text)" for member in ("dl-object.o", "dl-lookup.o", "dl-setup_hash.o", "strcmp.o")]


def link(build, program, linker_map):
    """Links the program again, with symbols and a map."""
    command = subprocess.check_output(["ninja", "-C", build, "-t", "commands", "grex-lock"], text=True).splitlines()[-1]
    words = [word for word in command.split() if word not in ("-s", ":", "&&")]
    words[words.index("-o") + 1] = program
    subprocess.run(words + [f"-Wl,-Map={linker_map}"], cwd=build, check=True)


def sections_in(linker_map):
    """(address, size, name, file) of each section with code."""
    text = pathlib.Path(linker_map).read_text().split("Linker script and memory map")[1]
    lines = re.findall(r"^ (\.text\S*)\s+0x([0-9a-f]+)\s+0x([0-9a-f]+) (\S.*)$", text, re.M)
    return sorted((int(address, 16), int(size, 16), name, file) for name, address, size, file in lines if int(size, 16))


def executed(program, words, trace):
    """The addresses of all instructions, in their order."""
    subprocess.run(["valgrind", "--tool=lackey", "--trace-mem=yes", f"--log-file={trace}", program, *words],
                   env={"PATH": "/usr/bin:/bin"}, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    with open(trace) as lines:
        return [int(line[3:].split(",")[0], 16) for line in lines if line.startswith("I ")]


def pattern_of(name, file):
    """How a linker script names a section. Those of the C library have one name in common."""
    if name.startswith(".text._Z"):
        return f"*({name})"
    archive, member = re.search(r"([^/(]*)(?:\(([^)]*)\))?$", file).groups()
    return f"*{archive}:{member}({name})" if member else f"*{archive}({name})"


def with_newer(patterns, sections):
    """With the variants of the same string functions that the C library chooses on newer
    processors: valgrind emulates an older one."""
    for pattern in patterns:
        yield pattern
        if match := re.match(r"\*libc\.a:(\w+)", pattern):
            newer = re.compile(rf"libc\.a\({match[1]}-(?:evex|avx512-unaligned)(?!.*rtm)")
            yield from (pattern_of(name, file) for _, _, name, file in sections if newer.search(file))


def constants_of(pattern):
    """The pattern for the constants of a function, or of a member of the C library."""
    file, section = re.match(r"(.*)\((.*)\)$", pattern).groups()
    name = section.removeprefix(".text") if section.startswith(".text._Z") else ""
    return f"{file}(.rodata{name} .rodata{name}.*)"


def section(name, patterns):
    """An output section with these input sections, before all others of its kind."""
    return ["SECTIONS {", f"  {name}.run : {{", *(f"    {pattern}" for pattern in patterns), "  }", "}",
            f"INSERT BEFORE {name};"]


def main(build):
    with tempfile.TemporaryDirectory() as directory:
        program = f"{directory}/grex-lock"
        link(build, program, f"{directory}/map")
        sections = sections_in(f"{directory}/map")
        starts = [section[0] for section in sections]
        pack = f"{directory}/pack"
        pathlib.Path(pack).mkdir()
        subprocess.run([program, "run", pack, "--", "true"], check=True)  # creates the lock files
        order = {}
        for command in COMMANDS:
            words = [pack if word == "PATH" else word for word in command.split()]
            for address in executed(program, words, f"{directory}/trace"):
                start, size, name, file = sections[bisect.bisect(starts, address) - 1]
                if address < start + size:
                    order[pattern_of(name, file)] = True
    patterns = list(dict.fromkeys(with_newer([*HIDDEN, *order], sections)))
    lines = ["/* The order of the functions in the static program, and of their constants. Written by",
             "   tests/bench/order.py; names that do not exist any more do no harm. INSERT adds to the linker's",
             "   own script. */",
             *section(".text", patterns), *section(".rodata", ["*(.rodata.cst*)", *map(constants_of, patterns)])]
    ORDER.write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    main(sys.argv[1])
