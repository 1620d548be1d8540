"""A line per problem: its best rule, solver and learned agent side by side."""

from __future__ import annotations

from benchmarks.columns import percent
from benchmarks.leaderboard import Look, Row, Table

#: Kinds of contestants that stand beside each other, in order.
CONTENDERS: tuple[Look, ...] = ("rule", "solver", "learned")
#: How to read it.
HELP = (
    "The best ranked contestant of each kind, and its gap to the problem's reference; bold: the"
    " best of all, or no difference from it shown."
)


def leaders(table: Table) -> tuple[Row | None, ...]:
    """The cheapest ranked row of each of :data:`CONTENDERS`, ``None`` where there is none."""
    found: dict[Look, Row] = {}
    for row in table.ranking:
        found.setdefault(row.look, row)
    return tuple(found.get(look) for look in CONTENDERS)


def leads(table: Table, row: Row) -> bool:
    """Whether a row is the best ranked one, or no difference from it is shown."""
    return row is table.ranking[0] or row.level_with_best


def gap(row: Row) -> str:
    """The gap to the problem's reference; "reference" where the row is it."""
    return "reference" if row.contestant == row.reference else percent(row.gap_percent)
