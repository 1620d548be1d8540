"""Writes the tables: terminal, CSV, Markdown and one self-contained HTML page."""

from __future__ import annotations

import csv
import dataclasses
import html
import io
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.files import write_atomically
from benchmarks.leaderboard import COLUMNS, Row, Table
from benchmarks.plots import leaderboard_png
from benchmarks.records import Record

if TYPE_CHECKING:
    from rich.console import Console

_HEADERS = (
    "#",
    "contestant",
    "kind",
    "cost",
    "95 % interval",
    "gap",
    "train s",
    "decision ms",
    "seeds x episodes",
    "status",
)
_TEXT = ("contestant", "kind", "status")


def write_reports(
    tables: Sequence[Table], records: Sequence[Record], folder: Path, console: Console
) -> None:
    """Print the tables and write ``leaderboard.csv``, ``.md`` and ``.html`` into ``folder``."""
    write_atomically(folder / "leaderboard.csv", to_csv(tables))
    write_atomically(folder / "leaderboard.md", to_markdown(tables))
    write_atomically(folder / "leaderboard.html", to_html(tables, records))
    for table in tables:
        _print(table, console)
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
            values["sees_future"] = "yes" if row.sees_future else "no"
            writer.writerow({key: "" if x is None else x for key, x in values.items()})
    return text.getvalue()


def to_markdown(tables: Sequence[Table]) -> str:
    """A section per problem."""
    lines = []
    for table in tables:
        lines += [f"## {_title(table)}", "", f"Gap relative to {_reference(table)}.", ""]
        lines.append(f"| {' | '.join(_HEADERS)} |")
        lines.append("|" + "|".join(":--" if name in _TEXT else "--:" for name in _HEADERS) + "|")
        for cells in _lines(table):
            lines.append("| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |")
        lines.append("")
        lines += [f"- **Warning.** {warning}" for warning in table.warnings]
        lines += [""] if table.warnings else []
    return "\n".join(lines)


STYLE = """
body { font: 16px/1.5 system-ui, sans-serif; margin: 0 auto; max-width: 88rem; padding: 1rem;
  color: #1a1a1a; background: #fff; }
h1 { font-size: 1.5rem; } h2 { font-size: 1.2rem; margin-top: 2.5rem; }
.scroll { overflow-x: auto; }
table { border-collapse: collapse; font-size: .875rem; white-space: nowrap; }
th, td { padding: .3rem .6rem; text-align: left; border-bottom: 1px solid #ddd; }
td:last-child { white-space: normal; min-width: 16rem; overflow-wrap: anywhere; }
.number { text-align: right; font-variant-numeric: tabular-nums; }
.apart { color: #555; background: #f5f5f5; } .failed { color: #a00000; }
.warning { border-left: 4px solid #c77700; padding-left: .75rem; }
img { max-width: 100%; height: auto; } footer { margin-top: 3rem; font-size: .8rem; color: #555; }
"""


def to_html(tables: Sequence[Table], records: Sequence[Record]) -> str:
    """One page without any outside resource."""
    suite = html.escape(records[0].suite)
    parts = [
        '<!doctype html><html lang="en"><head><meta charset="utf-8">',
        '<meta name="viewport" content="width=device-width, initial-scale=1">',
        f"<title>or-bench: {suite}</title><style>{STYLE}</style></head><body>",
        f"<h1>Leaderboard: {suite}</h1>",
        "<p>Mean cost on common episodes, lower is better. Grey rows have played fewer"
        " episodes, see the future or are bounds; they are not ranked.</p>",
    ]
    for table in tables:
        parts += _html_section(table)
    parts += [_html_footer(records), "</body></html>"]
    return "\n".join(parts) + "\n"


def _html_section(table: Table) -> list[str]:
    parts = [f"<h2>{html.escape(_title(table))}</h2>"]
    parts += [f'<p class="warning">{html.escape(warning)}</p>' for warning in table.warnings]
    picture = leaderboard_png(table)
    if picture is not None:
        parts.append(
            f'<img alt="Cost and 95 % interval per contestant; the table has the figures"'
            f' src="data:image/png;base64,{picture}">'
        )
    parts.append(f"<p>Gap relative to {html.escape(_reference(table))}.</p>")
    parts.append('<div class="scroll"><table><thead><tr>')
    parts += [f"<th{_class(name)}>{name}</th>" for name in _HEADERS]
    parts.append("</tr></thead><tbody>")
    for row, cells in zip(table.rows, _lines(table), strict=True):
        style = "failed" if row.objective is None else "" if table.ranked(row) else "apart"
        parts.append(f'<tr class="{style}">' if style else "<tr>")
        parts += [
            f"<td{_class(name)}>{html.escape(cell)}</td>"
            for name, cell in zip(_HEADERS, cells, strict=True)
        ]
        parts.append("</tr>")
    parts.append("</tbody></table></div>")
    return parts


def _class(name: str) -> str:
    return "" if name in _TEXT else ' class="number"'


def _html_footer(records: Sequence[Record]) -> str:
    lines = {
        f"{record.hardware}; " + ", ".join(f"{k} {v}" for k, v in record.versions.items())
        for record in records
    }
    last = max(record.time for record in records)
    text = "<br>".join(html.escape(line) for line in sorted(lines))
    return f"<footer>{text}<br>Last cell finished {html.escape(last)}.</footer>"


def _print(table: Table, console: Console) -> None:
    from rich.table import Table as RichTable
    from rich.text import Text

    grid = RichTable(
        title=_title(table), caption=f"gap relative to {_reference(table)}", title_justify="left"
    )
    for name in _HEADERS:
        if name in _TEXT:
            grid.add_column(name, overflow="fold", no_wrap=name == "contestant")
        else:
            grid.add_column(name, justify="right", no_wrap=name != "seeds x episodes")
    ranked = True
    for row, cells in zip(table.rows, _lines(table), strict=True):
        if ranked and not table.ranked(row):
            grid.add_section()
        ranked = table.ranked(row)
        failed = row.objective is None
        # Reasons are long; they follow below the table.
        shown = (*cells[:-1], "failed") if failed else cells
        grid.add_row(
            *(Text(cell) for cell in shown), style="red" if failed else "" if ranked else "dim"
        )
    console.print(grid)
    for row in table.rows:
        if row.objective is None:
            line = Text(f"{row.contestant}: {row.status}", style="red")
            console.print(line, soft_wrap=True)
    for warning in table.warnings:
        console.print(Text(f"warning: {warning}", style="yellow"), soft_wrap=True)


def _title(table: Table) -> str:
    return f"{table.env_id}, {table.instance}"


def _reference(table: Table) -> str:
    names = {row.reference.partition(", first ")[0] for row in table.rows if row.reference}
    return names.pop() + ", on the episodes that both have" if names else "nothing (no reference)"


def _lines(table: Table) -> list[tuple[str, ...]]:
    lines = []
    rank = 0
    for row in table.rows:
        rank += table.ranked(row)
        lines.append(_cells(row, str(rank) if table.ranked(row) else ""))
    return lines


def _cells(row: Row, rank: str) -> tuple[str, ...]:
    interval = ""
    if row.ci_low is not None and row.ci_high is not None:
        interval = f"{number(row.ci_low)} to {number(row.ci_high)}"
    return (
        rank,
        row.contestant,
        f"{row.kind}, sees future" if row.sees_future else row.kind,
        number(row.objective),
        interval,
        _percent(row.gap_percent),
        "" if row.train_seconds is None else f"{row.train_seconds:.1f}",
        "" if row.decision_ms is None else f"{row.decision_ms:.3g}",
        f"{row.seeds} x {row.episodes}",
        row.status,
    )


def _percent(gap: float | None) -> str:
    """Gaps below 1 % with two digits: between near-optimal policies they are what counts."""
    if gap is None:
        return ""
    return f"{gap:.2f} %" if 0 < abs(gap) < 1 else f"{gap:.1f} %"


def number(value: float | None) -> str:
    """Enough digits to tell contestants apart, small costs and large ones."""
    if value is None:
        return ""
    return f"{value:.1f}" if abs(value) >= 100 else f"{value:.4g}"
