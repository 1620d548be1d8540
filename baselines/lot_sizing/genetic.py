"""Greedy cover rule whose parameters a genetic algorithm finds."""

from __future__ import annotations

import numpy as np

from baselines.common.genetic import Budget, Progress, minimize_real
from baselines.lot_sizing.rules import GreedyCover
from baselines.lot_sizing.tuning import GreedyCoverFitness
from or_envs.lot_sizing.problem import LotSizing

#: Box of (cover, setup_weight, stay_bonus). A bonus above 0 never lets a machine rest, so 0 must
#: lie inside the box: evolution hardly ever meets a bound exactly.
LOW = np.array([0.5, 0.0, -16.0])
HIGH = np.array([6.0, 1.0, 16.0])


def evolve(
    problem: LotSizing,
    seed: int = 0,
    population: int = 40,
    generations: int = 25,
    seconds: float | None = None,
    num_episodes: int = 100,
    progress: Progress | None = None,
) -> GreedyCover:
    """Return the greedy cover rule with the lowest mean cost on common training episodes.

    Parameters
    ----------
    problem
        The lot-sizing problem.
    seed
        Seed of the algorithm; it also picks the training episodes, none of which evaluations use.
    population, generations, seconds
        Budget of the algorithm, see :class:`baselines.common.genetic.Budget`.
    num_episodes
        Training episodes that each individual plays.
    progress
        Called after every generation.
    """
    fitness = GreedyCoverFitness(problem, seed, num_episodes)
    budget = Budget(population, generations, seconds)
    result = minimize_real(fitness, LOW, HIGH, budget, seed, progress)
    return GreedyCover(*result.best.tolist())
