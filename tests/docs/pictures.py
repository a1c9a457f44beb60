#!/usr/bin/env python3
"""Checks that the pictures of the documents are up to date, valid, legible and shown.
usage: pictures.py GREX-LOCK SOURCE-DIRECTORY
"""

import re
import subprocess
import sys
import tempfile
import xml.etree.ElementTree as xml
from pathlib import Path

SVG = "{http://www.w3.org/2000/svg}"
SCHEME = re.compile(r"@media\(prefers-color-scheme:dark\)\{(.*)\}", re.DOTALL)


def main(grex_lock, source):
    kept = {path.name: path.read_bytes() for path in (source / "docs/pictures").glob("*.svg")}
    with tempfile.TemporaryDirectory(prefix="grex-lock-pictures.") as scratch:
        subprocess.run([source / "docs/pictures/draw", grex_lock, scratch], check=True)
        drawn = {path.name: path.read_bytes() for path in Path(scratch).iterdir()}
    check(drawn.keys() == kept.keys(), f"drawn: {sorted(drawn)}, kept: {sorted(kept)}")

    shown = shown_in(source / "README.md", "docs/pictures")
    for page in (source / "docs").glob("*.md"):
        shown |= shown_in(page, "pictures")
    check(shown == kept.keys(), f"the documents show {sorted(shown)} with alternative text")

    for name in sorted(kept):
        check_svg(name, xml.fromstring(kept[name]))
        check(drawn[name] == kept[name], f"{name} differs from what is drawn now; use './dev pictures' to redraw it:\n"
              + difference(kept[name], drawn[name]))


def shown_in(document, directory):
    """The names of the pictures that a document shows with alternative text."""
    text = document.read_text(encoding="utf-8")
    return set(re.findall(rf'<img src="{directory}/([^"]+)"[^>]* alt="[^"]+"', text))


def check_svg(name, svg):
    check(svg.tag == SVG + "svg" and svg.get("role") == "img", f"{name} is not an image")
    for part in ("title", "desc"):
        check((svg.findtext(SVG + part) or "").strip(), f"{name} has no {part}")
    outside = [value for element in svg.iter() for key, value in element.attrib.items() if key.endswith("href")]
    style = svg.findtext(SVG + "style")
    check(not outside and "url(" not in style and "@import" not in style, f"{name} needs another file")

    light, dark = colours(SCHEME.sub("", style)), colours("".join(SCHEME.findall(style)))
    for scheme in (light, light | dark):
        for element in svg.iter(SVG + "text"):
            colour = element.get("class").split()[0]
            # Text in the colour of the page is on a bar in the colour `lock`.
            ground = "lock" if colour == "page" else "page"
            ratio = contrast(scheme[colour], scheme[ground])
            check(ratio >= 4.5, f"{name}: the contrast of {colour} on {ground} is only {ratio:.2f}")


def colours(style):
    return dict(re.findall(r"\.(\w+)\{color:#(\w{6})\}", style))


def contrast(one, other):
    """The contrast ratio, as WCAG 2 defines it."""
    darker, lighter = sorted(map(luminance, (one, other)))
    return (lighter + 0.05) / (darker + 0.05)


def luminance(colour):
    parts = [int(colour[at:at + 2], 16) / 255 for at in (0, 2, 4)]
    red, green, blue = (part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def difference(kept, drawn):
    kept, drawn = kept.decode().splitlines(), drawn.decode().splitlines()
    gone = [f"- {line}" for line in kept if line not in drawn]
    return "\n".join(gone + [f"+ {line}" for line in drawn if line not in kept])


def check(holds, message):
    if not holds:
        sys.exit(f"pictures.py: {message}")


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]))
