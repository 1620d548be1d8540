"""Draws the pictures of the pages: runs the command that each page shows.

    python docs/pictures.py [NAME...]

Pictures are reduced to a palette of 64 colours and written to docs/environments/pictures.
"""

from __future__ import annotations

import argparse
import re
import shlex
import tempfile
from pathlib import Path

from PIL import Image

from benchmarks.cli import main as or_bench

PAGES = Path(__file__).parent / "environments"
COLOURS = 64


def command(page: Path) -> list[str]:
    """The arguments of the page's ``or-bench enjoy``.

    Raises
    ------
    ValueError
        If the page has no such command or several.
    """
    text = page.read_text(encoding="utf-8").replace("\\\n", " ")
    found = re.findall(r"(?m)^or-bench (enjoy .*)$", text)
    if len(found) != 1:
        raise ValueError(f"{page.name}: expected one or-bench enjoy, got {len(found)}")
    return shlex.split(found[0])


def draw(page: Path) -> Path:
    """Draw the picture of a page and return its path."""
    picture = PAGES / "pictures" / f"{page.stem}.png"
    picture.parent.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        raw = Path(folder) / picture.name
        if or_bench([*command(page)[:-1], str(raw)]):
            raise SystemExit(f"{page.name}: no picture")
        with Image.open(raw) as image:
            image.convert("RGB").quantize(COLOURS, dither=Image.Dither.NONE).save(
                picture, optimize=True
            )
    return picture


def main() -> None:
    """Draw all pictures, or those of the pages that are named."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("names", nargs="*", metavar="NAME", help="pages (default: all)")
    names = parser.parse_args().names
    for page in sorted(PAGES.glob("*.md")):
        if names and page.stem not in names:
            continue
        if "or-bench enjoy" in page.read_text(encoding="utf-8"):
            path = draw(page)
            print(f"{path.name}: {path.stat().st_size / 1000:.0f} kB")


if __name__ == "__main__":
    main()
