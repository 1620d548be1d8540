"""From the records of a suite to the rows of its table."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Literal

import numpy as np

from benchmarks.records import Record
from benchmarks.statistics import (
    Estimate,
    estimate,
    interquartile_mean,
    paired_difference,
    paired_gap,
    paired_gap_interval,
    stratified_bootstrap,
)

Kind = Literal["policy", "solver", "bound"]
Look = Literal["learned", "rule", "solver", "sees the future", "bound"]

#: Of a figure that a row does not have.
_NOTHING = (None, None, None)


@dataclasses.dataclass(frozen=True)
class Row:
    """One line of the table; the fields are the columns of the CSV file, in order.

    Attributes
    ----------
    learned
        Whether the contestant was trained.
    objective, ci_low, ci_high
        Mean cost (of a bound: mean lower bound) and its 95 % confidence interval.
    iqm, iqm_low, iqm_high
        Interquartile mean of the mean costs of the seeds, and its 95 % bootstrap interval over
        seeds; only where there are several.
    gap_percent, reference
        How far the row is above ``reference``, on the episodes that both have.
    gap_low, gap_high
        95 % interval of the gap, from differences episode by episode.
    difference, difference_low, difference_high
        Cost minus that of the best ranked row on the episodes that both have, and its 95 %
        interval, from differences episode by episode.
    train_seconds, decision_ms
        Means over seeds.
    seeds, episodes
        Number of seeds, and of episodes per seed.
    sees_future
        Rows that see the future, and bounds, are never ranked.
    status
        "ok", with what a solver says of its runs, or "failed" with the reason.
    hardware, versions
        On what, and with what, the seeds were run; alternatives are divided by " | ".
    """

    suite: str
    env_id: str
    instance: str
    contestant: str
    kind: Kind
    learned: bool
    objective: float | None
    ci_low: float | None
    ci_high: float | None
    iqm: float | None
    iqm_low: float | None
    iqm_high: float | None
    gap_percent: float | None
    gap_low: float | None
    gap_high: float | None
    reference: str
    difference: float | None
    difference_low: float | None
    difference_high: float | None
    train_seconds: float | None
    decision_ms: float | None
    seeds: int
    episodes: int
    sees_future: bool
    status: str
    hardware: str
    versions: str

    @property
    def competes(self) -> bool:
        """Whether the row is a contestant that plays by the rules of the ranking."""
        return self.kind != "bound" and not self.sees_future and self.objective is not None

    @property
    def look(self) -> Look:
        """What the row is to a reader."""
        if self.kind == "bound":
            return "bound"
        if self.sees_future:
            return "sees the future"
        if self.learned:
            return "learned"
        return "rule" if self.kind == "policy" else "solver"

    @property
    def level_with_best(self) -> bool:
        """Whether the interval of the difference from the best ranked row includes 0."""
        if self.difference_low is None or self.difference_high is None:
            return False
        return self.difference_low <= 0 <= self.difference_high


#: Columns of the CSV file.
COLUMNS = tuple(field.name for field in dataclasses.fields(Row))


@dataclasses.dataclass(frozen=True)
class Table:
    """The table of one problem.

    Attributes
    ----------
    rows
        Ranked rows by cost, then those with fewer episodes, those that see the future, bounds,
        and failed ones.
    warnings
        What a reader must not overlook, one line each.
    records
        The records behind every row, by its ``contestant``.
    run_gaps
        Gap to the reference of every run of a ranked row in percent, (S,), by its ``contestant``;
        empty where there is no gap.
    """

    env_id: str
    instance: str
    rows: tuple[Row, ...]
    warnings: tuple[str, ...]
    records: Mapping[str, Sequence[Record]]
    run_gaps: Mapping[str, np.ndarray]

    @property
    def title(self) -> str:
        """Environment and instance."""
        return f"{self.env_id}, {self.instance}"

    @property
    def reference(self) -> str | None:
        """Contestant of the row that gaps are relative to."""
        names = {row.reference.partition(", first ")[0] for row in self.rows if row.reference}
        return names.pop() if names else None

    @property
    def ranking(self) -> tuple[Row, ...]:
        """The ranked rows, by cost."""
        return tuple(row for row in self.rows if self.ranked(row))

    def ranked(self, row: Row) -> bool:
        """Whether a row is ranked: it competes, and has played as many episodes as any does.

        A mean over a few of the episodes may be low by luck; its gap, over common episodes, is
        what compares it.
        """
        return row.competes and row.episodes == max(r.episodes for r in self.rows if r.competes)


@dataclasses.dataclass(frozen=True)
class _Entry:
    """A row in the making: its values per seed and episode, (S, E)."""

    name: str
    kind: Kind
    values: np.ndarray
    sees_future: bool
    learned: bool
    records: Sequence[Record]


def build_tables(records: Sequence[Record]) -> list[Table]:
    """Tables of all problems of a suite, in the order of the records."""
    problems: dict[tuple[str, str], list[Record]] = {}
    for record in records:
        problems.setdefault((record.env_id, record.instance), []).append(record)
    return [_build_table(*key, group) for key, group in problems.items()]


def _build_table(env_id: str, instance: str, records: Sequence[Record]) -> Table:
    groups: dict[str, list[Record]] = {}
    for record in records:
        groups.setdefault(record.contestant, []).append(record)
    entries: list[_Entry] = []
    failed: list[Row] = []
    for name, group in groups.items():
        broken = [record for record in group if record.status == "failed"]
        if broken:
            # The mean of the seeds that happened to work would flatter the contestant.
            failed.append(_failed_row(name, group, broken))
        else:
            entries += _entries(name, group)
    reference = _chosen(entries) or _best_bound(entries) or _best_contestant(entries)
    best = _best_contestant(entries)
    rows = [_row(entry, reference, best) for entry in entries]
    most = max((row.episodes for row in rows if row.competes), default=0)
    rows.sort(key=lambda row: _order(row, most))
    ranked = {row.contestant for row in rows if row.competes and row.episodes == most}
    run_gaps: dict[str, np.ndarray] = {}
    for entry in entries:
        if entry.name in ranked and reference is not None:
            gaps = [paired_gap(run[None], reference.values)[0] for run in entry.values]
            if None not in gaps:
                run_gaps[entry.name] = np.array(gaps)
    return Table(
        env_id,
        instance,
        (*rows, *failed),
        tuple(_warnings(instance, entries)),
        {**groups, **{entry.name: entry.records for entry in entries}},
        run_gaps,
    )


def _entries(name: str, group: Sequence[Record]) -> list[_Entry]:
    first = group[0]
    entries = []
    costs = [record.costs for record in group]
    bounds = [record.bounds for record in group]
    if None not in costs:
        kind: Kind = "solver" if first.kind == "solver" else "policy"
        entries.append(_Entry(name, kind, np.array(costs), first.sees_future, first.learned, group))
    if None not in bounds:
        title = f"{name} (dual bound)" if entries else name
        entries.append(
            _Entry(title, "bound", np.array(bounds), first.sees_future, first.learned, group)
        )
    return entries


def _chosen(entries: Sequence[_Entry]) -> _Entry | None:
    """The contestant that the suite compares with, if it names one."""
    chosen = [e for e in entries if e.kind != "bound" and e.records[0].reference]
    return chosen[0] if chosen else None


def _best_bound(entries: Sequence[_Entry]) -> _Entry | None:
    """The highest lower bound on the episodes that all bounds cover.

    A bound in expectation over traces is above one that is computed for each trace with knowledge
    of it; on few traces luck may turn the two round, so the former goes first.
    """
    bounds = [entry for entry in entries if entry.kind == "bound"]
    if not bounds:
        return None
    common = min(entry.values.shape[1] for entry in bounds)
    return max(bounds, key=lambda entry: (not entry.sees_future, entry.values[:, :common].mean()))


def _best_contestant(entries: Sequence[_Entry]) -> _Entry | None:
    """The cheapest ranked entry among those with the most episodes."""
    ranked = [entry for entry in entries if entry.kind != "bound" and not entry.sees_future]
    if not ranked:
        return None
    return min(ranked, key=lambda entry: (-entry.values.shape[1], entry.values.mean()))


def _row(entry: _Entry, reference: _Entry | None, best: _Entry | None) -> Row:
    gap, against = None, ""
    gap_interval: tuple[float | None, float | None] = (None, None)
    if reference is not None:
        gap, common = paired_gap(entry.values, reference.values)
        if gap is not None and entry is not reference:
            gap_interval = paired_gap_interval(entry.values, reference.values)
        against = reference.name
        if common < entry.values.shape[1]:
            against += f", first {common} episodes"
    difference = None
    if best is not None and entry is not best:
        difference = paired_difference(entry.values, best.values, over_runs=False)
    iqm = None
    if len(entry.values) > 1:
        iqm = stratified_bootstrap(interquartile_mean, [entry.values.mean(axis=1)])
    details = {record.detail for record in entry.records if record.detail}
    return _make_row(
        entry.name,
        entry.kind,
        entry.records,
        entry.values.shape[1],
        "ok" + (f" ({'; '.join(sorted(details))})" if details else ""),
        estimate(entry.values),
        iqm,
        (gap, *gap_interval),
        against,
        difference,
    )


def _failed_row(name: str, group: Sequence[Record], broken: Sequence[Record]) -> Row:
    reasons = [
        f"seed {record.seed}: {record.reason}" if len(group) > 1 else record.reason
        for record in broken
    ]
    kind: Kind = "solver" if any(record.kind == "solver" for record in group) else "policy"
    return _make_row(name, kind, group, 0, f"failed: {'; '.join(reasons)}")


def _make_row(
    name: str,
    kind: Kind,
    records: Sequence[Record],
    episodes: int,
    status: str,
    cost: Estimate | None = None,
    iqm: Estimate | None = None,
    gap: tuple[float | None, float | None, float | None] = _NOTHING,
    reference: str = "",
    difference: Estimate | None = None,
) -> Row:
    first = records[0]
    return Row(
        first.suite,
        first.env_id,
        first.instance,
        name,
        kind,
        first.learned,
        *_fields(cost),
        *_fields(iqm),
        *gap,
        reference,
        *_fields(difference),
        train_seconds=_mean([record.train_seconds for record in records]),
        decision_ms=_mean([record.decision_ms for record in records]),
        seeds=len(records),
        episodes=episodes,
        sees_future=first.sees_future,
        status=status,
        hardware=_alternatives([record.hardware for record in records]),
        versions=_alternatives(
            [", ".join(f"{k} {v}" for k, v in record.versions.items()) for record in records]
        ),
    )


def _fields(found: Estimate | None) -> tuple[float | None, float | None, float | None]:
    return (found.value, found.low, found.high) if found else _NOTHING


def _alternatives(texts: Sequence[str]) -> str:
    return " | ".join(dict.fromkeys(texts))


def _mean(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return float(np.mean(known)) if len(known) == len(values) else None


def _order(row: Row, most_episodes: int) -> tuple[int, float]:
    assert row.objective is not None
    if row.competes:
        group = 0 if row.episodes == most_episodes else 1
    else:
        group = 2 if row.kind != "bound" else 3
    return group, row.objective


def _warnings(instance: str, entries: Sequence[_Entry]) -> list[str]:
    """Learned policies that lose to the best policy that learned nothing."""
    policies = [entry for entry in entries if entry.kind == "policy" and not entry.sees_future]
    simple = [entry for entry in policies if not entry.learned]
    if not simple:
        return []
    best = min(simple, key=lambda entry: (-entry.values.shape[1], entry.values.mean()))
    lines = []
    for entry in policies:
        gap, common = paired_gap(entry.values, best.values)
        if entry.learned and gap is not None and gap > 0:
            lines.append(
                f"{instance}: {entry.name} costs {gap:.1f} % more than the baseline"
                f" {best.name} on the same {common} episodes"
            )
    return lines
