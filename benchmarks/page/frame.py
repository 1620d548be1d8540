"""What all pages share: head, style, and how parts are escaped."""

from __future__ import annotations

import html
from collections.abc import Iterable
from importlib import resources


def escape(text: object) -> str:
    """Text that is safe between tags and in attributes."""
    return html.escape(str(text))


def breakable(text: str) -> str:
    """A name that may go on in the next line behind an underscore."""
    return escape(text).replace("_", "_<wbr>")


def page(title: str, parts: Iterable[str], script: str = "") -> str:
    """A whole document; style and script stand in it, so that it is one file."""
    lines = [
        '<!doctype html><html lang="en"><head><meta charset="utf-8">',
        '<meta name="viewport" content="width=device-width, initial-scale=1">',
        '<meta name="color-scheme" content="light dark"><link rel="icon" href="data:,">',
        f"<title>{escape(title)}</title><style>{resource('style.css')}</style></head><body>",
        *parts,
    ]
    if script:
        lines.append(f"<script>{script}</script>")
    return "\n".join([*lines, "</body></html>"]) + "\n"


def resource(name: str) -> str:
    """A file beside this one."""
    return (resources.files("benchmarks.page") / name).read_text(encoding="utf-8")
