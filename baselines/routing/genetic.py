"""Genetic algorithm for the TSP, with the environment itself as fitness."""

from __future__ import annotations

import time

import numpy as np

from baselines.common.genetic import Budget, Progress, minimize_permutation
from baselines.common.solution import Solution
from baselines.routing.rules import NearestNeighbour
from or_envs.core import simulate
from or_envs.routing.tsp import TSP, TSPInstance


class GeneticTSP:
    """Order crossover and inversion mutation on tours, from random ones and a nearest neighbour's.

    Parameters
    ----------
    problem
        The TSP, of at least 3 cities.
    seed
        Seed of the algorithm.
    population, generations
        Budget of the algorithm, see :class:`baselines.common.genetic.Budget`.
    progress
        Called after every generation.

    Raises
    ------
    ValueError
        If the problem has two cities, or the budget is out of range.
    """

    def __init__(
        self,
        problem: TSP,
        seed: int = 0,
        population: int = 100,
        generations: int = 200,
        progress: Progress | None = None,
    ) -> None:
        if problem.num_cities < 3:
            raise ValueError(f"num_cities: expected at least 3, got {problem.num_cities}")
        self.problem = problem
        self.seed = seed
        self.budget = Budget(population, generations)
        self.progress = progress

    def solve(
        self, instance: TSPInstance, exogenous: None = None, time_limit: float | None = None
    ) -> Solution:
        """Search until the last generation or ``time_limit`` seconds."""
        start = time.perf_counter()
        nearest = simulate(self.problem, NearestNeighbour(), instance).actions

        def lengths(tours: np.ndarray) -> np.ndarray:
            # Genes are 0..N-2, cities to order are 1..N-1. pymoo has seen to permutations.
            rollout = simulate(self.problem, tours + 1, instance.repeat(len(tours)), check=False)
            return -rollout.total_reward

        result = minimize_permutation(
            lengths,
            self.problem.num_cities - 1,
            Budget(self.budget.population, self.budget.generations, time_limit),
            self.seed,
            self.progress,
            initial=nearest - 1,
        )
        return Solution(
            result.best + 1, result.objective, None, "feasible", time.perf_counter() - start
        )
