#!/usr/bin/env python3
"""Checks that the links and pictures of the documents lead to files, and to headings in them.
usage: links.py DIRECTORY

DIRECTORY is that of the README: the source directory, or where it is installed.
"""

import re
import sys
from pathlib import Path

TARGET = re.compile(r'\]\(([^)\s]+)\)|<img src="([^"]+)"')


def main(directory):
    pages = [*directory.glob("*.md"), *directory.glob("docs/*.md")]
    broken = [f"{page.relative_to(directory)}: {target}" for page in pages for target in targets(page)
              if not leads_somewhere(page, target)]
    if not (directory / "README.md") in pages or broken:
        sys.exit("\n".join(["links.py: these links lead nowhere:", *broken]))


def targets(page):
    """The links that are relative, outside code."""
    text = re.sub(r"^```.*?^```$|`[^`\n]*`", "", page.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL)
    found = (match[1] or match[2] for match in TARGET.finditer(text))
    return [target for target in found if not re.match(r"[a-z]+:", target)]


def leads_somewhere(page, target):
    path, _, anchor = target.partition("#")
    file = page.parent / path if path else page
    return file.is_file() and (not anchor or anchor in anchors(file))


def anchors(page):
    """The anchors that GitHub gives to headings."""
    headings = re.findall(r"^#+ (.*)$", page.read_text(encoding="utf-8"), re.MULTILINE)
    return [re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings]


if __name__ == "__main__":
    main(Path(sys.argv[1]))
