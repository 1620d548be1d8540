"""Figures: costs of a leaderboard, and training curves."""

from __future__ import annotations

import base64
import io
import itertools
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from benchmarks.leaderboard import Row, Table

if TYPE_CHECKING:
    from matplotlib.figure import Figure

#: Colours that stay apart for colour-blind readers (Okabe and Ito); markers differ as well.
_LOOKS = {
    "policy": ("#0072B2", "o"),
    "solver": ("#009E73", "s"),
    "sees the future": ("#D55E00", "D"),
    "bound": ("#555555", "|"),
}
_COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7")


def leaderboard_png(table: Table) -> str | None:
    """Costs with 95 % intervals as a base64 PNG; ``None`` if no contestant has a cost."""
    from matplotlib.figure import Figure
    from matplotlib.ticker import LogLocator, NullFormatter

    rows = [row for row in table.rows if row.objective is not None]
    if not rows:
        return None
    figure = Figure(figsize=(8, 1.5 + 0.32 * len(rows)), dpi=120, layout="constrained")
    axes = figure.subplots()
    seen = set()
    for place, row in enumerate(rows):
        look = _look(row)
        colour, marker = _LOOKS[look]
        assert row.objective is not None
        error = None
        if row.ci_low is not None and row.ci_high is not None:
            error = [[row.objective - row.ci_low], [row.ci_high - row.objective]]
        axes.errorbar(
            row.objective,
            place,
            xerr=error,
            color=colour,
            marker=marker,
            markersize=12 if marker == "|" else 6,
            capsize=3,
            label=None if look in seen else look,
        )
        seen.add(look)
    axes.set_yticks(range(len(rows)), [row.contestant for row in rows])
    axes.invert_yaxis()
    objectives = [row.objective for row in rows if row.objective is not None]
    if min(objectives) > 0 and max(objectives) > 10 * min(objectives):
        axes.set_xscale("log")
        axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        axes.xaxis.set_major_formatter("{x:g}")
        axes.xaxis.set_minor_formatter(NullFormatter())
    axes.set_xlabel("cost, mean and 95 % interval (lower is better)")
    axes.grid(axis="x", alpha=0.3)
    figure.legend(loc="outside upper right", ncols=len(_LOOKS), fontsize="small")
    return _base64(figure)


def profiles_png(profiles: Mapping[str, np.ndarray]) -> str:
    """Share of runs above each of :data:`benchmarks.claim.THRESHOLDS` as a base64 PNG."""
    from matplotlib.figure import Figure

    from benchmarks.claim import THRESHOLDS

    figure = Figure(figsize=(8, 4.5), dpi=120, layout="constrained")
    axes = figure.subplots()
    styles = itertools.product(("-", "--", ":"), _COLOURS)
    for (name, profile), (line, colour) in zip(profiles.items(), styles, strict=False):
        axes.plot(THRESHOLDS, profile, color=colour, linestyle=line, label=name)
    axes.set_xlabel("score")
    axes.set_ylabel("share of runs with a higher score")
    axes.grid(alpha=0.3)
    figure.legend(loc="outside right upper", fontsize="small")
    return _base64(figure)


def _base64(figure: Figure) -> str:
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png")
    return base64.b64encode(buffer.getvalue()).decode("ascii")


def _look(row: Row) -> str:
    if row.kind == "bound":
        return "bound"
    return "sees the future" if row.sees_future else row.kind


#: What a training curve shows, unless the agent's class says otherwise by ``curve_labels``.
CURVE_LABELS = ("environment steps", "mean cost of an episode")


def save_curve(
    points: Sequence[tuple[int, float]],
    title: str,
    path: Path,
    labels: tuple[str, str] = CURVE_LABELS,
) -> None:
    """Draw a training curve: mean cost of the episodes of each roll-out against steps."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8, 4.5), dpi=100, layout="constrained")
    axes = figure.subplots()
    axes.plot([steps for steps, _ in points], [cost for _, cost in points])
    axes.set_title(title)
    axes.set_xlabel(labels[0])
    axes.set_ylabel(labels[1])
    axes.grid(alpha=0.3)
    figure.savefig(path)
