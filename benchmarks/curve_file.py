"""The file of a training curve: a line per roll-out in which an episode ended."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from pathlib import Path

from benchmarks.errors import UserError
from benchmarks.files import write_atomically

#: Steps so far, episodes and their mean cost since the line before, seconds so far.
Line = tuple[int, int, float, float]

_COLUMNS = ("timesteps", "episodes", "mean_cost", "seconds")


def read_curve(path: Path) -> list[Line]:
    """Read all lines.

    Raises
    ------
    UserError
        If the file is damaged.
    """
    try:
        with path.open(newline="", encoding="utf-8") as file:
            return [
                (int(row[0]), int(row[1]), float(row[2]), float(row[3]))
                for row in list(csv.reader(file))[1:]
            ]
    except (ValueError, IndexError) as error:
        raise UserError(
            f"{path}: damaged: {error}; delete this file, the curve is only for the eye"
        ) from error


def write_curve(path: Path, lines: Sequence[Line]) -> None:
    """Replace the file."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(_COLUMNS)
    writer.writerows(lines)
    write_atomically(path, text.getvalue())
