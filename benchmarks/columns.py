"""The columns of a problem's table, the same in the terminal, in Markdown and on the page."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

from benchmarks.leaderboard import Row


def number(value: float | None) -> str:
    """Enough digits to tell contestants apart, small costs and large ones."""
    if value is None:
        return ""
    return f"{value:.1f}" if abs(value) >= 100 else f"{value:.4g}"


def percent(gap: float | None) -> str:
    """Gaps below 1 % with two digits: between near-optimal policies they are what counts."""
    if gap is None:
        return ""
    return f"{gap:.2f} %" if 0 < abs(gap) < 1 else f"{gap:.1f} %"


def seconds(value: float | None) -> str:
    """One decimal."""
    return "" if value is None else f"{value:.1f}"


def milliseconds(value: float | None) -> str:
    """Three digits."""
    return "" if value is None else f"{value:.3g}"


def difference(row: Row) -> str:
    """Difference from the best ranked row; "≈" where its interval includes 0."""
    if row.difference is None:
        return ""
    sign = "+" if row.difference > 0 else ""
    return f"{sign}{number(row.difference)}" + (" ≈" if row.level_with_best else "")


@dataclasses.dataclass(frozen=True)
class Figure:
    """A column of numbers.

    Attributes
    ----------
    title, help
        Head of the column, and what it means.
    value
        What the column is sorted by; ``None`` where a row has no such figure.
    text
        What is shown.
    interval
        Ends of the 95 % interval as text, where the figure has one.
    """

    title: str
    help: str
    value: Callable[[Row], float | None]
    text: Callable[[Row], str]
    interval: Callable[[Row], tuple[str, str] | None] = lambda row: None


def _ends(
    low: float | None, high: float | None, text: Callable[[float | None], str] = number
) -> tuple[str, str] | None:
    return None if low is None or high is None else (text(low), text(high))


def _gap_ends(row: Row) -> tuple[str, str] | None:
    ends = _ends(row.gap_low, row.gap_high, percent)
    return (ends[0].removesuffix(" %"), ends[1]) if ends else None


FIGURES = (
    Figure(
        "cost",
        "Mean over seeds and episodes, with its 95 % interval; lower is better",
        lambda row: row.objective,
        lambda row: number(row.objective),
        lambda row: _ends(row.ci_low, row.ci_high),
    ),
    Figure(
        "IQM",
        "Interquartile mean of the seeds' mean costs, with its 95 % interval over seeds",
        lambda row: row.iqm,
        lambda row: number(row.iqm),
        lambda row: _ends(row.iqm_low, row.iqm_high),
    ),
    Figure(
        "gap",
        "Above the reference, on the episodes that both have",
        lambda row: row.gap_percent,
        lambda row: percent(row.gap_percent),
        _gap_ends,
    ),
    Figure(
        "to best",
        "Cost minus that of the best ranked row, episode by episode; ≈: the 95 % interval includes"
        " 0, so no difference is shown",
        lambda row: row.difference,
        difference,
        lambda row: _ends(row.difference_low, row.difference_high),
    ),
    Figure(
        "train s",
        "Seconds of training or tuning, mean over seeds",
        lambda row: row.train_seconds,
        lambda row: seconds(row.train_seconds),
    ),
    Figure(
        "decision ms",
        "Milliseconds for one decision",
        lambda row: row.decision_ms,
        lambda row: milliseconds(row.decision_ms),
    ),
    Figure(
        "seeds x episodes",
        "Seeds, and episodes per seed",
        lambda row: row.seeds * row.episodes,
        lambda row: f"{row.seeds} x {row.episodes}",
    ),
)


def kind(row: Row) -> str:
    """What the ``kind`` column shows."""
    return f"{row.kind}, sees future" if row.sees_future else row.kind
