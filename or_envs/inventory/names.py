"""Names of instances, such as "poisson-L4-p9", read into their parts."""

from __future__ import annotations

import re


def parse(name: str, words: tuple[str, ...], numbers: dict[str, float | None]) -> dict[str, str]:
    """Split a name into a word and numbers with a letter each.

    Parameters
    ----------
    name
        Such as "poisson-L4-p9".
    words
        Words allowed in front; () where the name starts with a number.
    numbers
        Letters and the defaults of their numbers; ``None`` where there is no default.

    Returns
    -------
    dict
        "word" and the text of every number.

    Raises
    ------
    ValueError
        If the name is of another form; the message says what is expected.
    """
    form = "-".join(
        [*(["|".join(words)] if words else []), *(f"{letter}NUMBER" for letter in numbers)]
    )
    parts = str(name).split("-")
    found: dict[str, str] = {}
    if words:
        found["word"] = parts.pop(0)
        if found["word"] not in words:
            raise ValueError(f"instance: expected {form}, got {name!r}")
    for part in parts:
        match = re.fullmatch(r"([A-Za-z]+)([0-9.]+)", part)
        if match is None or match[1] not in numbers or match[1] in found:
            raise ValueError(f"instance: expected {form}, got {name!r}")
        found[match[1]] = match[2]
    for letter, default in numbers.items():
        if letter not in found:
            if default is None:
                raise ValueError(f"instance: expected {form}, got {name!r}")
            found[letter] = f"{default:g}"
    return found


def number(found: dict[str, str], letter: str, low: float, high: float) -> float:
    """The number behind a letter.

    Raises
    ------
    ValueError
        If it is not in ``low``..``high``.
    """
    try:
        value = float(found[letter])
    except ValueError:
        value = low - 1
    if not low <= value <= high:
        raise ValueError(
            f"instance: {letter}: expected a number in {low:g}..{high:g}, got {found[letter]}"
        )
    return value


def whole(found: dict[str, str], letter: str, low: int, high: int) -> int:
    """The whole number behind a letter; the errors are those of :func:`number`."""
    value = number(found, letter, low, high)
    if value != int(value):
        raise ValueError(f"instance: {letter}: expected an integer, got {found[letter]}")
    return int(value)
