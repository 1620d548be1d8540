"""Writes the tables: terminal, CSV, Markdown and the page."""

from __future__ import annotations

import csv
import dataclasses
import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.across import Across, Standing, compare
from benchmarks.backgrounds import Background, Key
from benchmarks.columns import FIGURES, Figure, kind, percent
from benchmarks.files import write_atomically
from benchmarks.leaderboard import COLUMNS, Row, Table
from benchmarks.overview import CONTENDERS, HELP, gap, leaders, leads
from benchmarks.page import to_html
from benchmarks.statistics import Estimate

if TYPE_CHECKING:
    from rich.console import Console

#: Columns of text.
_LEFT = {
    *("contestant", "kind", "status", "other", "problem", "reference"),
    *(f"best {look}" for look in CONTENDERS),
}


def write_reports(
    tables: Sequence[Table],
    backgrounds: Mapping[Key, Background],
    folder: Path,
    console: Console,
) -> None:
    """Print the tables and write ``leaderboard.csv``, ``.md`` and ``.html`` into ``folder``."""
    across = compare(tables)
    write_atomically(folder / "leaderboard.csv", to_csv(tables))
    write_atomically(folder / "leaderboard.md", to_markdown(tables, across))
    write_atomically(folder / "leaderboard.html", to_html(tables, across, backgrounds))
    for table in tables:
        _print(table, console)
    if len(tables) > 1:
        _print_overview(tables, console)
    names = ", ".join(str(folder / f"leaderboard.{end}") for end in ("csv", "md", "html"))
    console.print(f"written: {names}", highlight=False, soft_wrap=True)


def to_csv(tables: Sequence[Table]) -> str:
    """All rows, in full precision; empty where a value does not exist."""
    text = io.StringIO()
    writer = csv.DictWriter(text, COLUMNS, lineterminator="\n")
    writer.writeheader()
    for table in tables:
        for row in table.rows:
            values = dataclasses.asdict(row)
            for name in ("learned", "sees_future"):
                values[name] = "yes" if values[name] else "no"
            writer.writerow({key: "" if x is None else x for key, x in values.items()})
    return text.getvalue()


def to_markdown(tables: Sequence[Table], across: Across) -> str:
    """An overview, a section per problem, and one across them."""
    lines = _overview(tables) if len(tables) > 1 else []
    heads = ("#", "contestant", "kind", *(figure.title for figure in FIGURES), "status")
    for table in tables:
        lines += [f"## {table.title}", "", f"{_reference(table)} In brackets: 95 % intervals.", ""]
        rows = []
        for rank, row in _numbered(table):
            figures = [_bracketed(figure, row) for figure in FIGURES]
            rows.append((rank, row.contestant, kind(row), *figures, row.status))
        lines += _markdown(heads, rows)
        lines += [f"- **Warning.** {warning}" for warning in table.warnings]
        lines += [""] if table.warnings else []
    if across.groups or across.improvements:
        lines += ["## Across problems", ""]
    for group in across.groups:
        lines += [f"Interquartile mean of the gaps of all runs: {group.title}.", ""]
        lines += _markdown(
            ("contestant", "kind", "runs", "gap (IQM)"),
            [(s.contestant, s.look, str(s.runs), _gap(s)) for s in group.standings],
        )
    if across.improvements:
        lines += ["Probability that a run of the first costs less than one of the second.", ""]
        lines += _markdown(
            ("contestant", "other", "problems", "probability"),
            [
                (i.contestant, i.other, str(i.problems), _probability(i.probability))
                for i in across.improvements
            ],
        )
    return "\n".join(lines)


def _overview(tables: Sequence[Table]) -> list[str]:
    return [
        "## Overview",
        "",
        HELP,
        "",
        *_markdown(
            ("problem", *(f"best {look}" for look in CONTENDERS), "reference"),
            [
                (
                    table.title,
                    *(_leader(table, row) for row in leaders(table)),
                    table.reference or "",
                )
                for table in tables
            ],
        ),
    ]


def _leader(table: Table, row: Row | None) -> str:
    if row is None:
        return ""
    name = f"**{row.contestant}**" if leads(table, row) else row.contestant
    return f"{name} {gap(row)}".rstrip()


def _markdown(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    return [
        f"| {' | '.join(heads)} |",
        "|" + "|".join(":--" if head in _LEFT else "--:" for head in heads) + "|",
        *("| " + " | ".join(cell.replace("|", "\\|") for cell in row) + " |" for row in rows),
        "",
    ]


def _bracketed(figure: Figure, row: Row) -> str:
    ends = figure.interval(row)
    return figure.text(row) + (f" ({ends[0]} to {ends[1]})" if ends else "")


def _gap(standing: Standing) -> str:
    gap = standing.gap
    ends = "" if gap.low is None else f" ({percent(gap.low)} to {percent(gap.high)})"
    return percent(gap.value) + ends


def _probability(found: Estimate) -> str:
    ends = "" if found.low is None else f" ({found.low:.2f} to {found.high:.2f})"
    return f"{found.value:.2f}{ends}"


def _numbered(table: Table) -> list[tuple[str, Row]]:
    """All rows with their ranks, empty for those that are not ranked."""
    ranks = {row.contestant: str(rank) for rank, row in enumerate(table.ranking, 1)}
    return [(ranks.get(row.contestant, ""), row) for row in table.rows]


def _reference(table: Table) -> str:
    if table.reference is None:
        return "No reference for gaps."
    return f"Gap relative to {table.reference}, on the episodes that both have."


def _print_overview(tables: Sequence[Table], console: Console) -> None:
    from rich.markup import escape
    from rich.table import Table as RichTable

    grid = RichTable(title="Overview", caption=HELP, title_justify="left")
    for head in ("problem", *(f"best {look}" for look in CONTENDERS), "reference"):
        grid.add_column(head, overflow="fold")
    for table in tables:
        cells = []
        for row in leaders(table):
            cell = "" if row is None else escape(f"{row.contestant} {gap(row)}".rstrip())
            cells.append(f"[bold]{cell}[/]" if row is not None and leads(table, row) else cell)
        grid.add_row(escape(table.title), *cells, escape(table.reference or ""))
    console.print(grid)


def _print(table: Table, console: Console) -> None:
    from rich.table import Table as RichTable
    from rich.text import Text

    grid = RichTable(title=table.title, caption=_reference(table), title_justify="left")
    grid.add_column("#", justify="right")
    grid.add_column("contestant", no_wrap=True)
    grid.add_column("kind", overflow="fold")
    for figure in FIGURES:
        grid.add_column(figure.title, justify="right", no_wrap=figure.title in ("cost", "gap"))
        if figure.title == "cost":
            grid.add_column("95 % interval", justify="right", no_wrap=True)
    grid.add_column("status", overflow="fold")
    ranked = True
    for rank, row in _numbered(table):
        if ranked and not rank:
            grid.add_section()
        ranked = bool(rank)
        failed = row.objective is None
        cells = [rank, row.contestant, kind(row)]
        for figure in FIGURES:
            cells.append(figure.text(row))
            if figure.title == "cost":
                cells.append(" to ".join(figure.interval(row) or ()))
        # Reasons are long; they follow below the table.
        cells.append("failed" if failed else row.status)
        style = "red" if failed else "" if ranked else "dim"
        grid.add_row(*(Text(cell) for cell in cells), style=style)
    console.print(grid)
    for row in table.rows:
        if row.objective is None:
            line = Text(f"{row.contestant}: {row.status}", style="red")
            console.print(line, soft_wrap=True)
    for warning in table.warnings:
        console.print(Text(f"warning: {warning}", style="yellow"), soft_wrap=True)
