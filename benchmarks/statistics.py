"""Estimates with 95 % intervals: costs on common episodes, and comparisons of training runs.

The comparisons are those of Agarwal et al., "Deep reinforcement learning at the edge of the
statistical precipice", NeurIPS 2021: interquartile means, probabilities of improvement and
performance profiles with stratified bootstrap intervals. *Runs* are trainings with different seeds;
every instance is a stratum of its own, an array (..., S) of the scores of its S runs.
"""

from __future__ import annotations

import dataclasses
import itertools
import math
from collections.abc import Callable, Sequence

import numpy as np

#: Resamples of the bootstrap, and its fixed seed: the same costs give the same interval.
RESAMPLES = 2000
BOOTSTRAP_SEED = 0


@dataclasses.dataclass(frozen=True)
class Estimate:
    """A value with the ends of its 95 % confidence interval (``None``: not estimable)."""

    value: float
    low: float | None
    high: float | None


def estimate(costs: np.ndarray) -> Estimate:
    """Mean cost of a contestant over seeds and episodes.

    Parameters
    ----------
    costs
        Cost per seed and episode, (S, E); the E episodes are the same for every seed.

    Returns
    -------
    Estimate
        With one seed Student's t over the episodes. With several the mean of the seeds' means
        and a percentile bootstrap in which seeds and episodes are resampled independently of each
        other [1]_: episodes are shared by the seeds, so one draw of episodes serves them all.
        Intervals from fewer than about ten seeds are too narrow; the table shows how many.

    References
    ----------
    .. [1] A. B. Owen, "The pigeonhole bootstrap", Annals of Applied Statistics 1(2), 2007.
    """
    seeds, episodes = costs.shape
    mean = float(costs.mean())
    if seeds == 1:
        return _student(costs[0])
    rng = np.random.default_rng(BOOTSTRAP_SEED)
    means = np.empty(RESAMPLES)
    for k in range(RESAMPLES):
        chosen = costs[rng.integers(seeds, size=seeds)].mean(axis=0)
        means[k] = chosen[rng.integers(episodes, size=episodes)].mean()
    low, high = np.quantile(means, [0.025, 0.975])
    return Estimate(mean, float(low), float(high))


def _student(costs: np.ndarray) -> Estimate:
    from scipy.stats import t

    mean = float(costs.mean())
    if len(costs) < 2:
        return Estimate(mean, None, None)
    half = float(t.ppf(0.975, len(costs) - 1) * costs.std(ddof=1) / np.sqrt(len(costs)))
    return Estimate(mean, mean - half, mean + half)


def paired_gap(costs: np.ndarray, reference: np.ndarray) -> tuple[float | None, int]:
    """Gap to a reference in percent, on the episodes that both played.

    Parameters
    ----------
    costs, reference
        Cost per seed and episode, (S, E) and (S', E'): both play the first episodes of the same
        sequence, so the first min(E, E') are common.

    Returns
    -------
    tuple
        The gap (``None`` where the reference is 0) and the number of common episodes.
    """
    common = min(costs.shape[1], reference.shape[1])
    base = float(reference[:, :common].mean())
    if base == 0:
        return None, common
    return 100 * (float(costs[:, :common].mean()) - base) / abs(base), common


#: Scores of the runs, an array (..., S) per instance; leading axes are resamples.
Strata = Sequence[np.ndarray]


def interquartile_mean(scores: Strata) -> np.ndarray:
    """Mean of the middle half of all runs of all instances: the 25 % trimmed mean."""
    pooled = np.sort(np.concatenate(scores, axis=-1), axis=-1)
    cut = pooled.shape[-1] // 4
    middle: np.ndarray = pooled[..., cut : pooled.shape[-1] - cut].mean(axis=-1)
    return middle


def probability_of_improvement(ours: Strata, theirs: Strata) -> np.ndarray:
    """P(X > Y) of two random runs on the same instance, mean over instances; ties count half."""
    wins = [
        (np.sign(x[..., :, None] - y[..., None, :]).mean(axis=(-2, -1)) + 1) / 2
        for x, y in zip(ours, theirs, strict=True)
    ]
    mean: np.ndarray = np.mean(wins, axis=0)
    return mean


def performance_profile(scores: Strata, thresholds: np.ndarray) -> np.ndarray:
    """Share of runs with a score above each threshold, mean over instances; (..., N) for (N,)."""
    shares = [(runs[..., None] > thresholds).mean(axis=-2) for runs in scores]
    mean: np.ndarray = np.mean(shares, axis=0)
    return mean


def stratified_bootstrap(statistic: Callable[..., np.ndarray], *arms: Strata) -> Estimate:
    """A statistic of one or more arms with its percentile interval.

    Parameters
    ----------
    statistic
        Function of the arms' strata; :func:`interquartile_mean`, for example.
    *arms
        Scores of each arm, arrays (S,) per instance. Runs are drawn with replacement within their
        instance and arm. From a single run there is no interval.
    """
    value = float(statistic(*arms))
    if any(len(runs) < 2 for arm in arms for runs in arm):
        return Estimate(value, None, None)
    rng = np.random.default_rng(BOOTSTRAP_SEED)
    drawn = [
        [runs[rng.integers(len(runs), size=(RESAMPLES, len(runs)))] for runs in arm] for arm in arms
    ]
    low, high = np.quantile(statistic(*drawn), [0.025, 0.975])
    return Estimate(value, float(low), float(high))


def paired_difference(ours: np.ndarray, theirs: np.ndarray, over_runs: bool = True) -> Estimate:
    """Mean difference in cost on the episodes that both played.

    Parameters
    ----------
    ours, theirs
        Cost per seed and episode, (S, E) and (S', E'). The difference is taken episode by episode,
        and resampled as in :func:`estimate`: the seeds of either arm, and the common episodes.
    over_runs
        Whether the interval speaks of trainings with other seeds too: there is none, then, where
        an arm has a single run. Otherwise a single run is taken for what it is.
    """
    common = min(ours.shape[1], theirs.shape[1])
    ours, theirs = ours[:, :common], theirs[:, :common]
    value = float(ours.mean() - theirs.mean())
    if common < 2 or (over_runs and min(len(ours), len(theirs)) < 2):
        return Estimate(value, None, None)
    low, high = np.quantile(_resampled_differences(ours, theirs), [0.025, 0.975])
    return Estimate(value, float(low), float(high))


def paired_gap_interval(
    costs: np.ndarray, reference: np.ndarray
) -> tuple[float | None, float | None]:
    """95 % interval of :func:`paired_gap`, over common episodes and, where several, over seeds.

    The reference's mean is taken as known: its noise hardly moves a ratio of near-equal costs.
    """
    base = float(reference[:, : costs.shape[1]].mean())
    difference = paired_difference(costs, reference, over_runs=False)
    if difference.low is None or difference.high is None or base == 0:
        return None, None
    return 100 * difference.low / abs(base), 100 * difference.high / abs(base)


def _resampled_differences(ours: np.ndarray, theirs: np.ndarray) -> np.ndarray:
    """Bootstrap of the mean difference: seeds of either arm, and common episodes."""
    common = ours.shape[1]
    rng = np.random.default_rng(BOOTSTRAP_SEED)

    def weights(num: int) -> np.ndarray:
        """Shares of ``num`` equally likely things in a draw of as many with replacement."""
        return rng.multinomial(num, np.full(num, 1 / num), size=RESAMPLES) / num

    difference = weights(len(ours)) @ ours - weights(len(theirs)) @ theirs
    resampled: np.ndarray = (difference * weights(common)).sum(axis=1)
    return resampled


def permutation_p_value(ours: np.ndarray, theirs: np.ndarray) -> float:
    """Two-sided p-value of "runs of both arms come from one distribution".

    Parameters
    ----------
    ours, theirs
        A figure per run, (S,) and (S',); compared are the means. All divisions of the runs into
        two such groups are looked at if there are not more than 20,000, else 9,999 random ones.
    """
    pooled, size = np.concatenate([ours, theirs]), len(ours)
    exact = math.comb(len(pooled), size) <= 20_000
    if exact:
        chosen = np.array(list(itertools.combinations(range(len(pooled)), size)))
    else:
        rng = np.random.default_rng(BOOTSTRAP_SEED)
        shuffled = rng.permuted(np.tile(np.arange(len(pooled)), (9_999, 1)), axis=1)
        chosen = shuffled[:, :size]
    sums = pooled[chosen].sum(axis=1)
    differences = np.abs(sums / size - (pooled.sum() - sums) / len(theirs))
    observed = abs(ours.mean() - theirs.mean())
    # The division that was observed must count, whatever the order of summation does.
    extreme = int((differences >= observed * (1 - 1e-9)).sum())
    return extreme / len(chosen) if exact else (extreme + 1) / (len(chosen) + 1)


def smallest_p_value(size: int, other: int) -> float:
    """What :func:`permutation_p_value` gives two groups of runs that do not overlap at all.

    Of equally large groups, the division with the groups exchanged is as extreme.
    """
    return (2 if size == other else 1) / math.comb(size + other, size)


def holm(p_values: Sequence[float]) -> list[float]:
    """Adjusted p-values of Holm's step-down procedure.

    Rejecting where they are below alpha keeps the probability of any false rejection below alpha.
    """
    order = np.argsort(p_values, kind="stable")
    factors = len(p_values) - np.arange(len(p_values))
    adjusted = np.minimum(np.maximum.accumulate(factors * np.asarray(p_values)[order]), 1)
    result = np.empty(len(p_values))
    result[order] = adjusted
    return result.tolist()
