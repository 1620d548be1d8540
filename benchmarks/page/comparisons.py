"""The section across problems: gaps, performance profiles, probabilities of improvement."""

from __future__ import annotations

from benchmarks.across import Across, Group, Improvement
from benchmarks.columns import percent
from benchmarks.page.frame import breakable, escape
from benchmarks.page.table import marker
from benchmarks.plots import profiles_svg


def sections(across: Across) -> list[str]:
    """Nothing where nothing can be compared."""
    if not across.groups and not across.improvements:
        return []
    parts = ['<section id="across"><h2>Across problems</h2>']
    if across.groups:
        parts.append(
            "<p>Contestants on problems that all of them have played. The table has the"
            " interquartile mean of the gaps of all runs to their problems' references, with its"
            " stratified bootstrap interval over seeds. The profile has the share of runs whose"
            " gap is at most the one below: higher and further left is better.</p>"
        )
    for place, group in enumerate(across.groups):
        parts += _group(group, place)
    if across.improvements:
        parts += _improvements(across)
    return [*parts, "</section>"]


def _group(group: Group, place: int) -> list[str]:
    parts = [
        f"<h3>{len(group.problems)} problems</h3>"
        f'<p class="quiet">{escape(group.title)}</p><div class="pair"><div class="box">'
        '<table class="standings"><thead><tr><th scope="col" data-sort="text">contestant</th>'
        '<th scope="col" class="figure" data-sort="number">runs</th>'
        '<th scope="col" class="figure" data-sort="number">gap (IQM)</th></tr></thead><tbody>'
    ]
    for standing in group.standings:
        gap = standing.gap
        ends = ""
        if gap.low is not None and gap.high is not None:
            low = percent(gap.low).removesuffix(" %")
            ends = f'<span class="ends">[{low}, {percent(gap.high)}]</span>'
        parts.append(
            f'<tr><td class="name">{marker(standing.look)}{breakable(standing.contestant)}</td>'
            f'<td class="figure" data-value="{standing.runs}">{standing.runs}</td>'
            f'<td class="figure" data-value="{gap.value}">{percent(gap.value)}{ends}</td></tr>'
        )
    parts.append("</tbody></table></div>")
    drawn = profiles_svg(
        {standing.contestant: standing.profile for standing in group.standings},
        group.thresholds,
        ("gap to the reference, %", "share of runs with at most this gap"),
        f"profile-{place}",
        learned={s.contestant for s in group.standings if s.look == "learned"},
    )
    parts.append(f"<figure>{drawn}</figure>")
    return [*parts, "</div>"]


def _improvements(across: Across) -> list[str]:
    """A matrix of the learned agents; the tint repeats what the figure says."""
    found = {(i.contestant, i.other): i for i in across.improvements}
    names = list(dict.fromkeys(i.contestant for i in across.improvements))
    heads = "".join(f'<th scope="col">{escape(name)}</th>' for name in names)
    parts = [
        "<h3>Probability of improvement</h3>"
        "<p>Probability that a random run of the row's agent costs less than one of"
        " the column's, mean over the problems that both have played with several seeds (their"
        " number is given). An interval without 0.5 is set bold.</p>"
        f'<div class="box"><table class="matrix"><thead><tr><td></td>{heads}</tr></thead><tbody>'
    ]
    for name in names:
        cells = "".join(_cell(found.get((name, other))) for other in names)
        parts.append(f'<tr><th scope="row">{escape(name)}</th>{cells}</tr>')
    return [*parts, "</tbody></table></div>"]


def _cell(found: Improvement | None) -> str:
    if found is None:
        return '<td class="blank"></td>'
    probability = found.probability
    low, high = probability.low, probability.high
    ends, sure = "", False
    if low is not None and high is not None:
        ends = f'<span class="ends">[{low:.2f}, {high:.2f}]</span>'
        sure = low > 0.5 or high < 0.5
    side = "ahead" if probability.value > 0.5 else "behind"
    strength = round(70 * abs(probability.value - 0.5))
    number = f"{probability.value:.2f}"
    problems = "1 problem" if found.problems == 1 else f"{found.problems} problems"
    return (
        f'<td class="{side}" style="--strength:{strength}%">'
        f"{f'<b>{number}</b>' if sure else number}{ends}"
        f'<span class="ends">{problems}</span></td>'
    )
