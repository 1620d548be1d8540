"""Do the arms of a suite differ? Estimates over seeds, decided by a rule that is fixed beforehand.

The primary metric is the cost of a run: the mean over the common episodes of the trained policy
that training ended with, playing its most probable actions. Its interquartile mean over seeds is
what an arm is worth. An arm is called better or worse than the reference on an instance if the
permutation test of the runs' costs says so at 5 %, after Holm's correction over the instances.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np

from benchmarks.config import ClaimConfig
from benchmarks.errors import UserError
from benchmarks.records import Record
from benchmarks.statistics import (
    Estimate,
    Strata,
    holm,
    interquartile_mean,
    paired_difference,
    performance_profile,
    permutation_p_value,
    probability_of_improvement,
    smallest_p_value,
    stratified_bootstrap,
)

ALPHA = 0.05
#: Normalised scores at which performance profiles are drawn.
THRESHOLDS = np.linspace(-1, 1.25, 226)
#: What the ``instance`` column shows in the rows over all instances.
ALL = "all"


@dataclasses.dataclass(frozen=True)
class ClaimRow:
    """One arm on one instance, or on all of them; the fields are the columns of the CSV file.

    Attributes
    ----------
    cost, cost_low, cost_high
        Interquartile mean of the runs' costs, with its 95 % bootstrap interval over seeds.
    score, score_low, score_high
        The same for the score (C_0 - C) / (C_0 - C_1), where C_0 and C_1 are the mean costs of the
        two contestants that the suite names (``score_zero``, ``score_one``).
    improvement, improvement_low, improvement_high
        Probability that a random run is better than a random run of the reference.
    difference, difference_low, difference_high
        Mean cost minus that of the reference on the same episodes.
    p_value, p_holm
        Of the permutation test, and corrected over the instances.
    verdict
        "better", "worse", "no difference shown", "too few runs" (for any difference to show), or
        empty where nothing is tested.
    """

    instance: str
    arm: str
    runs: int
    cost: float | None
    cost_low: float | None
    cost_high: float | None
    score: float
    score_low: float | None
    score_high: float | None
    improvement: float | None
    improvement_low: float | None
    improvement_high: float | None
    difference: float | None
    difference_low: float | None
    difference_high: float | None
    p_value: float | None
    p_holm: float | None
    verdict: str


@dataclasses.dataclass(frozen=True)
class Claim:
    """All comparisons of a suite.

    Attributes
    ----------
    rows
        By instance and cost; those over all instances at the end.
    profiles
        Per learned arm that has played all instances the share of runs above
        :data:`THRESHOLDS`, (N,).
    missing
        Arms with failed runs, which are left out, one line each.
    """

    suite: str
    config: ClaimConfig
    rows: tuple[ClaimRow, ...]
    profiles: dict[str, np.ndarray]
    missing: tuple[str, ...]


@dataclasses.dataclass(frozen=True)
class _Arm:
    """Costs of an arm on one instance, (S, E), and its runs' scores, (S,)."""

    costs: np.ndarray
    scores: np.ndarray
    learned: bool

    @property
    def runs(self) -> np.ndarray:
        """Primary metric of every run, (S,)."""
        means: np.ndarray = self.costs.mean(axis=1)
        return means


def build_claim(records: Sequence[Record], config: ClaimConfig) -> Claim:
    """Compare all policies that do not see the future.

    Raises
    ------
    UserError
        If the reference, or a contestant that scores are relative to, has failed; or if the
        score 0 is not dearer than the score 1.
    """
    instances: dict[str, dict[str, _Arm]] = {}
    missing: list[str] = []
    for instance in dict.fromkeys(record.instance for record in records):
        here = [record for record in records if record.instance == instance]
        arms, failed = _arms(here, config, instance)
        instances[instance] = arms
        missing += failed
    tests = _tests(instances, config.reference)
    rows: list[ClaimRow] = []
    for instance, arms in instances.items():
        order = sorted(arms, key=lambda name: float(interquartile_mean([arms[name].runs])))
        rows += [
            _row(instance, name, [arms], config.reference, tests.get((instance, name)))
            for name in order
        ]
    everywhere = list(instances.values())
    common = [name for name in everywhere[0] if all(name in arms for arms in everywhere)]
    if len(instances) > 1:
        overall = [_row(ALL, name, everywhere, config.reference, None) for name in common]
        rows += sorted(overall, key=lambda row: -row.score)
    profiles = {
        name: performance_profile(_strata(everywhere, name), THRESHOLDS)
        for name in common
        if everywhere[0][name].learned
    }
    return Claim(records[0].suite, config, tuple(rows), profiles, tuple(missing))


def _arms(
    records: Sequence[Record], config: ClaimConfig, instance: str
) -> tuple[dict[str, _Arm], list[str]]:
    """Arms of an instance by name, and a line for each that failed."""
    groups: dict[str, list[Record]] = {}
    for record in records:
        if record.kind == "policy" and not record.sees_future:
            groups.setdefault(record.contestant, []).append(record)
    costs: dict[str, np.ndarray] = {}
    failed = []
    for name, group in groups.items():
        if any(record.status == "failed" for record in group):
            failed.append(f"{instance}: {name}: not all of its runs have succeeded")
        else:
            costs[name] = np.array([record.costs for record in group])
    for name in dataclasses.asdict(config).values():
        if name not in costs:
            raise UserError(f"claim: {instance}: {name!r} has no costs, so nothing is compared")
    zero, one = costs[config.score_zero].mean(), costs[config.score_one].mean()
    if not zero > one:
        raise UserError(
            f"claim: {instance}: {config.score_zero} (score 0) costs {zero:.6g} and must cost more"
            f" than {config.score_one} (score 1), which costs {one:.6g}"
        )
    return {
        name: _Arm(values, (zero - values.mean(axis=1)) / (zero - one), groups[name][0].learned)
        for name, values in costs.items()
    }, failed


def _tests(
    instances: dict[str, dict[str, _Arm]], reference: str
) -> dict[tuple[str, str], tuple[float, float]]:
    """p-value and corrected p-value of every learned arm on every instance."""
    names = dict.fromkeys(name for arms in instances.values() for name in arms)
    tests = {}
    for name in names:
        here = [
            (instance, permutation_p_value(arms[name].runs, arms[reference].runs))
            for instance, arms in instances.items()
            if name != reference and name in arms and arms[name].learned
        ]
        corrected = holm([p for _, p in here])
        for (instance, p), p_holm in zip(here, corrected, strict=True):
            tests[instance, name] = (p, p_holm)
    return tests


def _strata(instances: Sequence[dict[str, _Arm]], name: str) -> Strata:
    return [arms[name].scores for arms in instances]


def _row(
    instance: str,
    name: str,
    arms: Sequence[dict[str, _Arm]],
    reference: str,
    test: tuple[float, float] | None,
) -> ClaimRow:
    """The row of an arm; costs of different instances are not pooled, only scores."""
    alone = arms[0] if instance != ALL else None
    scores = _strata(arms, name)
    score = stratified_bootstrap(interquartile_mean, scores)
    cost = stratified_bootstrap(interquartile_mean, [alone[name].runs]) if alone else None
    learned = name != reference and arms[0][name].learned
    improvement = difference = None
    if learned:
        improvement = stratified_bootstrap(
            probability_of_improvement, scores, _strata(arms, reference)
        )
        if alone:
            difference = paired_difference(alone[name].costs, alone[reference].costs)
    p_value, p_holm = test or (None, None)
    verdict = ""
    if p_holm is not None and difference is not None:
        verdict = "no difference shown"
        if p_holm < ALPHA:
            verdict = "better" if difference.value < 0 else "worse"
        elif smallest_p_value(len(scores[0]), len(arms[0][reference].runs)) >= ALPHA:
            verdict = "too few runs"
    return ClaimRow(
        instance,
        name,
        min(len(runs) for runs in scores),
        *_fields(cost),
        score.value,
        score.low,
        score.high,
        *_fields(improvement),
        *_fields(difference),
        p_value,
        p_holm,
        verdict,
    )


def _fields(found: Estimate | None) -> tuple[float | None, float | None, float | None]:
    return (found.value, found.low, found.high) if found else (None, None, None)
