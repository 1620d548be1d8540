"""The page of a suite: overview, comparisons across problems, a section per problem."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from benchmarks.across import Across
from benchmarks.backgrounds import Background, Key
from benchmarks.columns import FIGURES
from benchmarks.leaderboard import Row, Table
from benchmarks.overview import CONTENDERS, HELP, gap, leaders, leads
from benchmarks.page import comparisons, details, table
from benchmarks.page.frame import breakable, escape, page, resource
from benchmarks.statistics import RESAMPLES


def to_html(tables: Sequence[Table], across: Across, backgrounds: Mapping[Key, Background]) -> str:
    """One page without any outside resource; without JavaScript it is plain tables."""
    suite = next(row.suite for one in tables for row in one.rows)
    parts = [_header(suite, tables), *_filters(tables), "<main>"]
    if len(tables) > 1:
        parts += _overview(tables)
    parts += comparisons.sections(across)
    for place, one in enumerate(tables):
        parts += _section(one, place, backgrounds)
    parts += ["</main>", _footer(tables)]
    return page(f"{suite} · or-bench", parts, resource("script.js"))


def _header(suite: str, tables: Sequence[Table]) -> str:
    rows = sum(len(one.rows) for one in tables)
    problems = "1 problem" if len(tables) == 1 else f"{len(tables)} problems"
    return (
        f'<header class="top"><p class="eyebrow">or-bench leaderboard</p><h1>{escape(suite)}</h1>'
        f"<p>{problems}, {rows} rows. Mean cost on common episodes; lower is better. Open a"
        " contestant for its intervals, settings, training curve and hardware.</p>"
        f"{_help()}</header>"
    )


def _help() -> str:
    beyond = "Costs and their intervals; the line is the best ranked cost, › lies beyond the end"
    items = "".join(
        f"<dt>{escape(figure.title)}</dt><dd>{escape(figure.help)}.</dd>" for figure in FIGURES
    )
    return (
        '<details class="help"><summary>How to read the tables</summary><dl>'
        f"{items}<dt>drawing</dt><dd>{beyond}.</dd>"
        "<dt>[a, b]</dt><dd>95 % interval. With one seed it is over episodes only; with"
        f" several, {RESAMPLES} bootstrap resamples of seeds and episodes. Intervals from fewer"
        " than about ten seeds are too narrow.</dd><dt>Not ranked</dt><dd>Rows that have played"
        " fewer episodes, solvers that saw the future of each episode, and lower bounds stand"
        " below the ranking. No policy can know what they know.</dd></dl></details>"
    )


def _filters(tables: Sequence[Table]) -> list[str]:
    """Shown by the script, without which it has no use."""
    looks = dict.fromkeys(row.look for one in tables for row in one.rows)
    boxes = "".join(
        f'<label class="chip"><input type="checkbox" name="kind" value="{look}" checked>'
        f"{table.marker(look)}{look}</label>"
        for look in table.LOOKS
        if look in looks
    )
    problems = "".join(
        f'<option value="problem-{place}">{escape(one.title)}</option>'
        for place, one in enumerate(tables)
    )
    return [
        '<form class="filters" hidden role="search" aria-label="Filter rows">',
        '<input type="search" name="text" placeholder="Filter contestants" aria-label="Filter'
        ' contestants by text" autocomplete="off">',
        '<select name="problem" aria-label="Problem"><option value="">All problems</option>'
        f"{problems}</select>",
        f'<fieldset><legend class="unseen">Kinds</legend>{boxes}</fieldset>',
        '<output class="count" aria-live="polite"></output></form>',
    ]


def _overview(tables: Sequence[Table]) -> list[str]:
    """A line per problem: the best rule, solver and learned agent, and their gaps."""
    heads = "".join(f'<th scope="col">best {look}</th>' for look in CONTENDERS)
    parts = [
        f'<section id="overview"><h2>Overview</h2><p class="quiet">{HELP}</p>'
        '<div class="box"><table class="overview"><thead>'
        f'<tr><th scope="col">problem</th>{heads}</tr></thead><tbody>'
    ]
    for place, one in enumerate(tables):
        cells = "".join(_leader(one, row) for row in leaders(one))
        parts.append(
            f'<tr data-problem="problem-{place}"><th scope="row">'
            f'<a href="#problem-{place}">{escape(one.instance)}</a> {_family(one)}</th>{cells}</tr>'
        )
    parts.append("</tbody></table></div></section>")
    return parts


def _leader(one: Table, row: Row | None) -> str:
    if row is None:
        return "<td></td>"
    name = breakable(row.contestant)
    name = f"<b>{name}</b>" if leads(one, row) else name
    return f'<td>{table.marker(row.look)}{name} <span class="ends">{gap(row)}</span></td>'


def _family(one: Table) -> str:
    return f'<span class="quiet">{escape(one.env_id.rpartition("/")[2])}</span>'


def _section(one: Table, place: int, backgrounds: Mapping[Key, Background]) -> list[str]:
    name = f"problem-{place}"
    parts = [f'<section class="problem" id="{name}"><h2>{escape(one.instance)} {_family(one)}</h2>']
    if one.warnings:
        lines = "".join(f"<li>{escape(text)}</li>" for text in one.warnings)
        parts.append(f'<div class="warning"><b>Warning</b><ul>{lines}</ul></div>')
    if one.reference is not None:
        parts.append(
            f'<p class="quiet">Gap relative to <b>{escape(one.reference)}</b>, on the episodes'
            " that both have.</p>"
        )
    parts += table.table(one, name)
    for number_, row in enumerate(one.rows):
        label = one.records[row.contestant][0].contestant
        background = backgrounds.get((one.env_id, one.instance, label))
        parts += details.panel(one, row, f"{name}-{number_}", background)
    parts.append("</section>")
    return parts


def _footer(tables: Sequence[Table]) -> str:
    records = [r for one in tables for group in one.records.values() for r in group]
    hardware = "; ".join(sorted({record.hardware for record in records}))
    versions = sorted(
        {", ".join(f"{k} {v}" for k, v in record.versions.items()) for record in records}
    )
    return (
        f"<footer><p>{escape(hardware)}</p>"
        + "".join(f"<p>{escape(line)}</p>" for line in versions)
        + f"<p>Last cell finished {escape(max(r.time for r in records))}.</p></footer>"
    )
