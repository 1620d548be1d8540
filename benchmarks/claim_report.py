"""Writes a suite's comparison of arms: terminal, CSV, Markdown and one self-contained page."""

from __future__ import annotations

import csv
import dataclasses
import io
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.claim import ALL, ALPHA, THRESHOLDS, Claim, ClaimRow
from benchmarks.columns import number
from benchmarks.files import write_atomically
from benchmarks.page.frame import escape, page
from benchmarks.plots import profiles_svg
from benchmarks.statistics import RESAMPLES

if TYPE_CHECKING:
    from rich.console import Console

_HEADERS = (
    "arm",
    "runs",
    "cost (IQM)",
    "95 % interval",
    "score",
    "95 % interval",
    "P(better)",
    "95 % interval",
    "difference",
    "95 % interval",
    "p (Holm)",
    "verdict",
)


def write_claim(claim: Claim, folder: Path, console: Console) -> None:
    """Print the comparison and write ``claim.csv``, ``.md`` and ``.html`` into ``folder``."""
    write_atomically(folder / "claim.csv", to_csv(claim))
    write_atomically(folder / "claim.md", to_markdown(claim))
    write_atomically(folder / "claim.html", to_html(claim))
    _print(claim, console)
    names = ", ".join(str(folder / f"claim.{end}") for end in ("csv", "md", "html"))
    console.print(f"written: {names}", highlight=False, soft_wrap=True)


def to_csv(claim: Claim) -> str:
    """All rows, in full precision; empty where a value does not exist."""
    text = io.StringIO()
    names = [field.name for field in dataclasses.fields(ClaimRow)]
    writer = csv.DictWriter(text, names, lineterminator="\n")
    writer.writeheader()
    for row in claim.rows:
        values = dataclasses.asdict(row)
        writer.writerow({key: "" if x is None else x for key, x in values.items()})
    return text.getvalue()


def to_markdown(claim: Claim) -> str:
    """A section per instance, and how to read it."""
    lines = [f"# {claim.suite}", "", *(f"{line}\n" for line in explanation(claim))]
    for instance, rows in _sections(claim):
        lines += [f"## {_title(instance)}", "", f"| {' | '.join(_HEADERS)} |"]
        lines.append("|:--|" + "--:|" * (len(_HEADERS) - 2) + ":--|")
        for row in rows:
            cells = [cell.replace("|", "\\|") for cell in _cells(row)]
            lines.append(f"| {' | '.join(cells)} |")
        lines.append("")
    return "\n".join(lines)


def to_html(claim: Claim) -> str:
    """One page without any outside resource."""
    parts = [
        f'<header class="top"><h1>{escape(claim.suite)}</h1>',
        *(f"<p>{escape(line)}</p>" for line in explanation(claim)),
        "</header><main>",
    ]
    for instance, rows in _sections(claim):
        parts.append(f'<section><h2>{escape(_title(instance))}</h2><div class="box"><table>')
        parts.append("<thead><tr>" + "".join(f"<th>{name}</th>" for name in _HEADERS))
        parts.append("</tr></thead><tbody>")
        for row in rows:
            cells = "".join(f"<td>{escape(cell)}</td>" for cell in _cells(row))
            parts.append(f"<tr>{cells}</tr>")
        parts.append("</tbody></table></div></section>")
    if claim.profiles:
        labels = ("score", "share of runs with a higher score")
        drawn = profiles_svg(claim.profiles, THRESHOLDS, labels, "profiles")
        parts.append(f"<section><h2>Performance profiles</h2><figure>{drawn}</figure></section>")
    return page(f"{claim.suite} · or-bench", [*parts, "</main>"])


def explanation(claim: Claim) -> list[str]:
    """What the figures are, a paragraph each."""
    config = claim.config
    return [
        "Cost: mean over the common episodes of the policy that training ended with, playing its"
        " most probable actions; interquartile mean over the runs (seeds). Lower is better.",
        f"Score: 0 is the cost of {config.score_zero}, 1 that of {config.score_one}. P(better):"
        f" probability that a random run is better than one of {config.reference}. Difference:"
        f" mean cost minus that of {config.reference} on the same episodes. Intervals:"
        f" {RESAMPLES} bootstrap resamples of the runs within each instance (of the difference:"
        " of runs and episodes).",
        f"Verdict: permutation test of the runs' costs against {config.reference}, corrected over"
        f' the instances by Holm\'s procedure, at {100 * ALPHA:g} %. "No difference shown" is no'
        " proof of equality: with few runs only large differences are seen.",
        *(f"Left out: {line}." for line in claim.missing),
    ]


def _sections(claim: Claim) -> list[tuple[str, list[ClaimRow]]]:
    instances = dict.fromkeys(row.instance for row in claim.rows)
    return [(name, [row for row in claim.rows if row.instance == name]) for name in instances]


def _title(instance: str) -> str:
    return "All instances" if instance == ALL else instance


def _cells(row: ClaimRow) -> tuple[str, ...]:
    return (
        row.arm,
        str(row.runs),
        number(row.cost),
        _interval(row.cost_low, row.cost_high),
        f"{row.score:.3f}",
        _interval(row.score_low, row.score_high, 3),
        "" if row.improvement is None else f"{row.improvement:.2f}",
        _interval(row.improvement_low, row.improvement_high, 2),
        number(row.difference),
        _interval(row.difference_low, row.difference_high),
        "" if row.p_holm is None else f"{row.p_holm:.3f}",
        row.verdict,
    )


def _interval(low: float | None, high: float | None, digits: int | None = None) -> str:
    if low is None or high is None:
        return ""
    if digits is None:
        return f"{number(low)} to {number(high)}"
    return f"{low:.{digits}f} to {high:.{digits}f}"


def _print(claim: Claim, console: Console) -> None:
    from rich.table import Table as RichTable
    from rich.text import Text

    for instance, rows in _sections(claim):
        grid = RichTable(title=f"{claim.suite}: {_title(instance)}", title_justify="left")
        for place, name in enumerate(_HEADERS):
            grid.add_column(name, justify="left" if place in (0, len(_HEADERS) - 1) else "right")
        for row in rows:
            grid.add_row(*(Text(cell) for cell in _cells(row)))
        console.print(grid)
    for line in explanation(claim):
        console.print(Text(line), soft_wrap=True)
