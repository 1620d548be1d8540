"""The panel that a row opens: everything that is known about it."""

from __future__ import annotations

import base64
import json

from benchmarks.backgrounds import Background
from benchmarks.columns import FIGURES, milliseconds, number, seconds
from benchmarks.leaderboard import Row, Table
from benchmarks.page.frame import escape
from benchmarks.page.table import marker
from benchmarks.plots import curves_svg


def panel(one: Table, row: Row, name: str, background: Background | None) -> list[str]:
    """A popover, which browsers open and close without any script."""
    ranks = [other.contestant for other in one.ranking]
    rank = f"rank {ranks.index(row.contestant) + 1}" if row.contestant in ranks else "not ranked"
    parts = [
        f'<div popover class="panel" id="{name}" role="dialog" aria-labelledby="{name}-title">'
        f'<header><div><h3 id="{name}-title">{escape(row.contestant)}</h3>'
        f'<p class="quiet">{marker(row.look)}{row.look}, {rank} on {escape(one.title)}</p></div>'
        f'<button type="button" class="close" popovertarget="{name}" popovertargetaction="hide"'
        ' aria-label="Close">×</button></header>'
    ]
    if row.status != "ok":
        parts.append(f'<p class="status">{escape(row.status)}</p>')
    parts += _figures(row)
    parts += _seeds(one, row)
    if background is not None:
        parts += _background(one, row, name, background)
    parts += _provenance(one, row)
    parts.append("</div>")
    return parts


def _figures(row: Row) -> list[str]:
    parts = ['<dl class="facts">']
    notes = {
        "gap": f"relative to {row.reference}" if row.reference else "",
        "to best": "on common episodes",
        "IQM": "over seeds",
    }
    for figure in FIGURES:
        text, ends = figure.text(row), figure.interval(row)
        if not text:
            continue
        interval = f' <span class="quiet">95 %: [{ends[0]}, {ends[1]}]</span>' if ends else ""
        note = notes.get(figure.title)
        small = f' <span class="quiet">{escape(note)}</span>' if note else ""
        parts.append(
            f'<div title="{escape(figure.help)}"><dt>{escape(figure.title)}</dt>'
            f"<dd>{escape(text)}{interval}{small}</dd></div>"
        )
    return [*parts, "</dl>"]


def _seeds(one: Table, row: Row) -> list[str]:
    """A line per seed, where there are several."""
    records = one.records[row.contestant]
    if len(records) < 2:
        return []
    parts = [
        '<h4>Seeds</h4><div class="box"><table><thead><tr><th scope="col">seed</th>'
        '<th scope="col" class="figure">cost</th><th scope="col" class="figure">train s</th>'
        '<th scope="col" class="figure">decision ms</th></tr></thead><tbody>'
    ]
    for record in records:
        values = record.bounds if row.kind == "bound" else record.costs
        cost = number(sum(values) / len(values)) if values else record.status
        parts.append(
            f'<tr><td>{record.seed}</td><td class="figure">{cost}</td>'
            f'<td class="figure">{seconds(record.train_seconds)}</td>'
            f'<td class="figure">{milliseconds(record.decision_ms)}</td></tr>'
        )
    return [*parts, "</tbody></table></div>"]


def _background(one: Table, row: Row, name: str, background: Background) -> list[str]:
    parts = []
    if background.curves:
        drawn = curves_svg(background.curves, background.curve_labels, name)
        parts.append(f"<h4>Training</h4><figure>{drawn}</figure>")
    picture = background.picture
    if picture is not None and row.kind != "bound":
        content = base64.b64encode(picture.content).decode("ascii")
        text = f"Episode of seed {picture.seed}, cost {number(picture.cost)}"
        parts.append(
            f'<h4>An episode</h4><figure><img loading="lazy" alt="{escape(text)}, drawn"'
            f' src="data:{picture.media_type};base64,{content}">'
            f"<figcaption>{escape(text)}</figcaption></figure>"
        )
    parts.append(f"<h4>Settings</h4><p><code>{escape(background.name)}</code></p>")
    for title, values in (
        ("of the contestant", background.settings),
        ("of the environment", background.env_kwargs),
    ):
        if values:
            lines = "".join(
                f"<div><dt>{escape(key)}</dt><dd>{escape(_shown(value))}</dd></div>"
                for key, value in values.items()
            )
            parts.append(f'<p class="quiet">{title}</p><dl class="settings">{lines}</dl>')
    return parts


def _shown(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value, default=str)


def _provenance(one: Table, row: Row) -> list[str]:
    last = max(record.time for record in one.records[row.contestant])
    versions = row.versions.replace(" | ", "\n")
    return [
        '<h4>Where it ran</h4><dl class="settings">'
        f"<div><dt>hardware</dt><dd>{escape(row.hardware)}</dd></div>"
        f"<div><dt>versions</dt><dd>{escape(versions)}</dd></div>"
        f"<div><dt>finished</dt><dd>{escape(last)}</dd></div></dl>"
    ]
