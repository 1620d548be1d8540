"""The density rule: the most value per weight first."""

from __future__ import annotations

import numpy as np

from baselines.common.checks import check_problem
from or_envs.knapsack.problem import Knapsack, KnapsackInstance, KnapsackState


class Density:
    """Packs the item of the largest value over weight that fits; the first of equals.

    Parameters
    ----------
    problem, seed
        As for every baseline.

    Raises
    ------
    ValueError
        If the problem is another.
    """

    def __init__(self, problem: Knapsack, seed: int = 0) -> None:
        check_problem(problem, Knapsack)
        self.num_items = problem.num_items

    def __call__(self, instance: KnapsackInstance, state: KnapsackState) -> np.ndarray:
        """Return the next items, (B,), or the stop where nothing fits."""
        density = np.where(state.remaining, instance.value / instance.weight, -np.inf)
        return np.where(state.remaining.any(axis=1), density.argmax(axis=1), self.num_items)
