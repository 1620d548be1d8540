"""Genetic algorithm for TSP and ATSP, with the environment itself as fitness."""

from __future__ import annotations

import time
from typing import Any

import numpy as np

from baselines.common.checks import check_at_least, check_problem
from baselines.common.genetic import Budget, LocalSearch, Progress, minimize_permutation
from baselines.common.solution import Solution
from baselines.routing.asymmetric_search import exchange
from baselines.routing.iterated_local_search import descend, neighbours
from baselines.routing.rules import NearestNeighbour
from or_envs.core import AnyProblem, simulate
from or_envs.routing import metric
from or_envs.routing.atsp import ATSP
from or_envs.routing.tour import Tour
from or_envs.routing.tsp import TSP


class GeneticTSP:
    """Order crossover and inversion mutation on tours, from random ones and a nearest neighbour's.

    Parameters
    ----------
    problem
        A TSP or ATSP of at least 3 cities.
    seed
        Seed of the algorithm.
    population, generations
        Budget of the algorithm, see :class:`baselines.common.genetic.Budget`.
    progress
        Called after every generation.
    improve
        Shorten every tour by local search before it is judged (a memetic algorithm): 2-opt and
        Or-opt; exchange of neighbouring stretches for ATSP.

    Raises
    ------
    ValueError
        If the problem is another or has two cities, or the budget is out of range.
    """

    def __init__(
        self,
        problem: AnyProblem,
        seed: int = 0,
        population: int = 100,
        generations: int = 200,
        progress: Progress | None = None,
        improve: bool = False,
    ) -> None:
        self.problem: Tour[Any] = check_problem(problem, TSP, ATSP)
        check_at_least(3, num_cities=self.problem.num_cities)
        self.seed = seed
        self.budget = Budget(population, generations)
        self.progress = progress
        self.improve = improve

    def solve(
        self, instance: Any, exogenous: None = None, time_limit: float | None = None
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
            improve=self._local_search(metric.matrix(instance)) if self.improve else None,
        )
        return Solution(
            result.best + 1, result.objective, None, "feasible", time.perf_counter() - start
        )

    def _local_search(self, distances: np.ndarray) -> LocalSearch:
        near = neighbours(distances)
        symmetric = isinstance(self.problem, TSP)

        def shorten(genes: np.ndarray) -> np.ndarray:
            shortened = np.empty_like(genes)
            for row, order in zip(shortened, genes, strict=True):
                tour = np.concatenate([[0], order + 1])
                if symmetric:
                    descend(distances, near, tour)
                else:
                    exchange(distances, tour)
                tour = np.roll(tour, -int(np.flatnonzero(tour == 0)[0]))
                # One of a tour's two directions, so that equal tours are equal genes.
                turn = symmetric and tour[1] > tour[-1]
                row[:] = (tour[:0:-1] if turn else tour[1:]) - 1
            return shortened

        return shorten


def memetic(
    problem: AnyProblem, seed: int, population: int = 30, generations: int = 100
) -> GeneticTSP:
    """Genetic algorithm with local search on every tour."""
    return GeneticTSP(problem, seed, population, generations, improve=True)
