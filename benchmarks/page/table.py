"""The table of a problem: ranked rows, and those that are not, each with its interval drawn."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np

from benchmarks.columns import FIGURES, Figure, number
from benchmarks.leaderboard import Look, Row, Table
from benchmarks.page.frame import breakable, escape

#: Kinds in the order of the filter; their shapes differ as well as their colours.
LOOKS: tuple[Look, ...] = ("learned", "rule", "solver", "sees the future", "bound")


def marker(look: Look) -> str:
    """The sign of a kind."""
    return f'<i class="mark {_css(look)}" aria-hidden="true"></i>'


def _css(look: Look) -> str:
    return look.replace(" ", "-")


def table(one: Table, name: str) -> list[str]:
    """The table; ``name`` leads the ids of the panels that its rows open."""
    scale = _Scale.of(one.rows)
    parts = [
        '<div class="box"><table class="board">'
        f'<caption class="unseen">{escape(one.title)}</caption><thead><tr>'
        '<th scope="col" class="rank" data-sort="number">#</th>'
        '<th scope="col" data-sort="text">contestant</th>'
    ]
    for figure in FIGURES:
        parts.append(
            f'<th scope="col" class="figure {_slug(figure)}" data-sort="number"'
            f' title="{escape(figure.help)}">{escape(figure.title)}</th>'
        )
        if figure.title == "cost":
            parts.append(f'<th scope="col" class="plot">{scale.axis() if scale else ""}</th>')
    parts.append("</tr></thead>")
    ranks = {row.contestant: rank for rank, row in enumerate(one.ranking, 1)}
    for title, rows in _groups(one):
        parts.append(f"<tbody{'' if title is None else ' class=apart'}>")
        if title is not None:
            parts.append(
                f'<tr class="group"><th colspan="{len(FIGURES) + 3}" scope="rowgroup">'
                f"{title}</th></tr>"
            )
        for row in rows:
            panel = f"{name}-{one.rows.index(row)}"
            parts += _row(row, ranks.get(row.contestant), panel, scale)
        parts.append("</tbody>")
    parts.append("</table></div>")
    return parts


def _groups(one: Table) -> list[tuple[str | None, list[Row]]]:
    """Bodies of the table; sorting keeps rows within theirs."""
    groups: dict[str | None, list[Row]] = {}
    for row in one.rows:
        title = None
        if row.objective is None:
            title = "Failed"
        elif row.kind == "bound":
            title = "Lower bounds, not ranked"
        elif row.sees_future:
            title = "Perfect information, not ranked"
        elif not one.ranked(row):
            title = "Fewer episodes, not ranked"
        groups.setdefault(title, []).append(row)
    return list(groups.items())


def _row(row: Row, rank: int | None, panel: str, scale: _Scale | None) -> list[str]:
    failed = ' class="failed"' if row.objective is None else ""
    # What a solver says of its runs, or why a row has failed.
    said = row.status.removeprefix("ok").strip(" ()") if failed == "" else row.status
    note = f'<span class="note">{escape(said)}</span>' if said else ""
    parts = [
        f'<tr data-kind="{row.look}"{failed}>'
        f'<td class="rank" data-value="{"" if rank is None else rank}">{rank or ""}</td>'
        f'<td class="name">{marker(row.look)}<button type="button" popovertarget="{panel}">'
        f"{breakable(row.contestant)}</button>"
        f'<span class="kind">{row.look}</span>{note}</td>'
    ]
    for figure in FIGURES:
        value, ends = figure.value(row), figure.interval(row)
        interval = f'<span class="ends">[{ends[0]}, {ends[1]}]</span>' if ends else ""
        parts.append(
            f'<td class="figure {_slug(figure)}" data-value="{"" if value is None else value}">'
            f"{escape(figure.text(row))}{interval}</td>"
        )
        if figure.title == "cost":
            drawn = scale.whisker(row) if scale else ""
            parts.append(f'<td class="plot" aria-hidden="true">{drawn}</td>')
    parts.append("</tr>")
    return parts


def _slug(figure: Figure) -> str:
    return figure.title.replace(" ", "-")


@dataclasses.dataclass(frozen=True)
class _Scale:
    """Where costs lie between the left and the right end of the plot column.

    A few hopeless contestants must not press all others together: what lies far above most is
    shown as beyond the right end.
    """

    low: float
    high: float
    best: float | None

    @classmethod
    def of(cls, rows: Sequence[Row]) -> _Scale | None:
        """A scale for most of the rows; ``None`` where there is nothing to tell apart."""
        means = [row.objective for row in rows if row.objective is not None]
        ends = [x for row in rows for x in (row.ci_low, row.ci_high) if x is not None]
        if not means or min(means + ends) == max(means + ends):
            return None
        low, high = min(means + ends), max(means + ends)
        far = low + 2.5 * (float(np.quantile(means, 0.75)) - low)
        best = next((row.objective for row in rows if row.competes), None)
        return cls(low, min(high, far) if far > low else high, best)

    def place(self, cost: float) -> float:
        """Percent of the width."""
        return round(100 * min(1.0, (cost - self.low) / (self.high - self.low)), 2)

    def axis(self) -> str:
        """The head of the column."""
        ends = f"<span>{number(self.low)}</span><span>{number(self.high)}</span>"
        return f'<span class="axis">{ends}</span>'

    def whisker(self, row: Row) -> str:
        """Interval and mean of a row, and a line at the best ranked cost."""
        if row.objective is None:
            return ""
        parts = ['<span class="track">']
        if self.best is not None:
            parts.append(f'<i class="best" style="left:{self.place(self.best)}%"></i>')
        if row.objective > self.high:
            return "".join([*parts, '<b class="beyond">›</b></span>'])
        if row.ci_low is not None and row.ci_high is not None:
            left, right = self.place(row.ci_low), self.place(row.ci_high)
            parts.append(
                f'<i class="whisker {_css(row.look)}"'
                f' style="left:{left}%;width:{round(right - left, 2)}%"></i>'
            )
        place = self.place(row.objective)
        parts.append(f'<i class="mark {_css(row.look)}" style="left:{place}%"></i></span>')
        return "".join(parts)
