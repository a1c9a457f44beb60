#!/usr/bin/env python3
"""Checks that the README and the man pages are short enough, and that their examples are tested.
usage: pages.py SOURCE-DIRECTORY

Each example of the man pages must be a block of the README or of docs/recipes.md, which
recipes.sh runs.
"""

import re
import subprocess
import sys
from pathlib import Path

MOST_README_LINES = 200
MOST_MAN_LINES = 450  # of grex-lock(1), at 80 columns
ESCAPES = {r"\-": "-", r"\(ti": "~", r"\(aq": "'", r"\(ha": "^", r"\(ga": "`", r"\e": "\\"}


def main(source):
    command, background = source / "man/grex-lock.1", source / "man/grex-lock.7"
    subprocess.run(["mandoc", "-T", "lint", "-W", "warning", command, background], check=True)

    readme, recipes = source / "README.md", source / "docs/recipes.md"
    within("README.md", readme.read_text(encoding="utf-8"), MOST_README_LINES)
    shown = subprocess.run(["mandoc", "-T", "utf8", "-O", "width=80", command], check=True,
                           stdout=subprocess.PIPE, encoding="utf-8").stdout
    within("man/grex-lock.1", shown, MOST_MAN_LINES)

    tested = blocks(readme) | blocks(recipes)
    for page, section in (command, "EXAMPLES"), (background, "RECIPES"):
        for example in examples(page, section):
            check(example in tested, f"{page.name}: this example is in no document that is tested:\n{example}")
    check(blocks(recipes) <= set(examples(background, "RECIPES")), "a recipe is missing in grex-lock.7")


def within(name, text, most):
    lines = len(text.splitlines())
    check(lines <= most, f"{name} has {lines} lines; at most {most} are allowed")


def blocks(page):
    return set(re.findall(r"^```(?:sh|fish|csh)\n(.*?)^```$", page.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL))


def examples(page, section):
    """The literal blocks in a section of a man page, as a terminal shows them."""
    text = re.search(rf"^\.Sh {section}.*?(?=^\.Sh )", page.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)[0]
    found = re.findall(r"^\.Bd -literal.*?\n(.*?)^\.Ed$", text, re.MULTILINE | re.DOTALL)
    check(found, f"{page.name} has no examples in {section}")
    return [re.sub(r"\\(\(..|.)", lambda escape: ESCAPES[escape[0]], example) for example in found]


def check(holds, message):
    if not holds:
        sys.exit(f"pages.py: {message}")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
