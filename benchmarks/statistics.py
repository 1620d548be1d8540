"""Means and 95 % confidence intervals of costs on common episodes."""

from __future__ import annotations

import dataclasses

import numpy as np

#: Resamples of the bootstrap, and its fixed seed: the same costs give the same interval.
RESAMPLES = 2000
BOOTSTRAP_SEED = 0


@dataclasses.dataclass(frozen=True)
class Estimate:
    """A mean cost with the ends of its 95 % confidence interval (``None``: not estimable)."""

    mean: float
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
