"""Figures: training curves, and performance profiles."""

from __future__ import annotations

import io
import itertools
import re
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from matplotlib.figure import Figure

#: Colours that stay apart for colour-blind readers (Okabe and Ito), and from both a white and a
#: dark page; lines differ as well.
_COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9")
_LINES = ("-", "--", ":", "-.")
#: Stand for colours of the page, which depend on whether it is light or dark.
_INK, _FAINT = "#010203", "#010204"

#: What a training curve shows, unless the agent's class says otherwise by ``curve_labels``.
CURVE_LABELS = ("environment steps", "mean cost of an episode")


def curves_svg(
    curves: Mapping[str, Sequence[tuple[int, float]]], labels: tuple[str, str], name: str
) -> str:
    """Training curves by their names; ``labels`` are of the axes, ``name`` is unique on a page."""

    def draw(axes: Any) -> None:
        for (title, points), colour, line in zip(curves.items(), *_styles(), strict=False):
            steps, costs = zip(*points, strict=True)
            axes.plot(steps, costs, line, color=colour, label=title, linewidth=1.3)
        values = [cost for points in curves.values() for _, cost in points]
        if min(values) > 0 and max(values) > 10 * min(values):
            axes.set_yscale("log")

    return _svg(draw, labels, name, legend=len(curves) > 1)


def profiles_svg(
    profiles: Mapping[str, np.ndarray],
    thresholds: np.ndarray,
    labels: tuple[str, str],
    name: str,
    learned: Collection[str] = (),
) -> str:
    """Performance profiles by contestant; those of ``learned`` ones are thick.

    Parameters
    ----------
    profiles
        Share of runs at each threshold, (N,).
    thresholds
        Of the scores or of gaps in percent, (N,); beyond 10 the axis is logarithmic.
    labels
        Of the axes.
    name
        Unique on a page.
    """

    def draw(axes: Any) -> None:
        for (title, profile), colour, line in zip(profiles.items(), *_styles(), strict=False):
            width = 2.2 if title in learned else 1.2
            axes.step(
                thresholds, profile, line, color=colour, label=title, linewidth=width, where="post"
            )
        axes.set_ylim(-0.03, 1.03)
        axes.set_xlim(left=thresholds[0])
        if thresholds[-1] > 10:
            axes.set_xscale("symlog", linthresh=1)
            steps = (1, 2, 5) if thresholds[-1] < 200 else (1,)
            ticks = [0.0, *(step * 10.0**k for k in range(6) for step in steps)]
            axes.set_xticks([tick for tick in ticks if tick <= thresholds[-1]])
            axes.minorticks_off()
            axes.xaxis.set_major_formatter("{x:g}")

    return _svg(draw, labels, name, legend=True)


def _styles() -> tuple[Any, Any]:
    """Colours, and lines that change with every round through the colours."""
    lines = (line for line in itertools.cycle(_LINES) for _ in _COLOURS)
    return itertools.cycle(_COLOURS), lines


def _svg(draw: Any, labels: tuple[str, str], name: str, legend: bool) -> str:
    """A figure as an element of a page, in the page's own font and ink."""
    import matplotlib
    from matplotlib.figure import Figure

    ink = ("text.color", "axes.labelcolor", "axes.edgecolor", "xtick.color", "ytick.color")
    settings: Any = {
        **dict.fromkeys(ink, _INK),
        "grid.color": _FAINT,
        # Readable on a phone, where the figure is as wide as it is here.
        "font.size": 9,
        "legend.frameon": False,
        "svg.fonttype": "none",
        # Ids of clip paths, which must differ from those of the other figures.
        "svg.hashsalt": name,
    }
    buffer = io.StringIO()
    with matplotlib.rc_context(settings):
        figure = Figure(figsize=(4.4, 2.9), layout="constrained")
        axes = figure.subplots()
        draw(axes)
        axes.set_xlabel(labels[0])
        axes.set_ylabel(labels[1])
        axes.spines[["top", "right"]].set_visible(False)
        axes.grid(linewidth=0.6)
        if legend:
            _add_legend(figure)
        figure.savefig(buffer, format="svg", transparent=True)
    text = buffer.getvalue()
    text = text[text.index("<svg") :]
    # What only a file of its own needs, and a style that would apply to the whole page.
    text = re.sub(r"<metadata>.*?</metadata>|<style.*?</style>", "", text, flags=re.DOTALL)
    text = re.sub(r'\s(xmlns(:\w+)?|width|height|version)="[^"]*"', "", text, count=5)
    text = text.replace(_INK, "currentColor").replace(_FAINT, "var(--line)")
    return text.replace("<svg", f'<svg class="chart" role="img" aria-label="{labels[1]}"', 1)


def _add_legend(figure: Figure) -> None:
    """Below the axes, where it is readable on a narrow screen too."""
    _, names = figure.axes[0].get_legend_handles_labels()
    columns = max(1, min(3, 58 // (6 + max(map(len, names)))))
    rows = -(-len(names) // columns)
    figure.set_size_inches(4.4, 2.8 + 0.18 * rows)
    figure.legend(loc="outside lower left", ncols=columns, fontsize="small")


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
