"""Genetic algorithm for the knapsack, with the environment itself as fitness."""

from __future__ import annotations

import time

import numpy as np

from baselines.common.checks import check_problem
from baselines.common.genetic import Budget, Progress, minimize_permutation
from baselines.common.solution import Solution
from or_envs.core import simulate
from or_envs.knapsack.problem import Knapsack, KnapsackInstance, KnapsackState


class Priority:
    """Packs the first item that fits of an order.

    Parameters
    ----------
    problem
        A knapsack.
    orders
        Permutations of its items, (B, N), one for each batch row.
    """

    def __init__(self, problem: Knapsack, orders: np.ndarray) -> None:
        self.num_items = problem.num_items
        self.rank = np.argsort(orders, axis=1)

    def __call__(self, instance: KnapsackInstance, state: KnapsackState) -> np.ndarray:
        """Return the next items, (B,), or the stop where nothing fits."""
        rank = np.where(state.remaining, self.rank, self.num_items)
        return np.where(state.remaining.any(axis=1), rank.argmin(axis=1), self.num_items)


class GeneticKnapsack:
    """Orders of items, by order crossover and inversion; from random ones and that by density.

    Parameters
    ----------
    problem
        A knapsack of at least 2 items.
    seed
        Seed of the algorithm.
    population, generations
        Budget of the algorithm, see :class:`baselines.common.genetic.Budget`.
    progress
        Called after every generation.

    Raises
    ------
    ValueError
        If the problem is another or has one item, or the budget is out of range.
    """

    def __init__(
        self,
        problem: Knapsack,
        seed: int = 0,
        population: int = 100,
        generations: int = 100,
        progress: Progress | None = None,
    ) -> None:
        check_problem(problem, Knapsack)
        if problem.num_items < 2:
            raise ValueError(f"num_items: expected at least 2, got {problem.num_items}")
        self.problem = problem
        self.seed = seed
        self.budget = Budget(population, generations)
        self.progress = progress

    def solve(
        self, instance: KnapsackInstance, exogenous: None = None, time_limit: float | None = None
    ) -> Solution:
        """Search until the last generation or ``time_limit`` seconds."""
        start = time.perf_counter()
        density = instance.value / instance.weight

        def costs(orders: np.ndarray) -> np.ndarray:
            rule = Priority(self.problem, orders)
            rollout = simulate(self.problem, rule, instance.repeat(len(orders)), check=False)
            return -rollout.total_reward

        result = minimize_permutation(
            costs,
            self.problem.num_items,
            Budget(self.budget.population, self.budget.generations, time_limit),
            self.seed,
            self.progress,
            initial=np.argsort(-density, axis=1, kind="stable"),
        )
        best = simulate(self.problem, Priority(self.problem, result.best[None]), instance)
        seconds = time.perf_counter() - start
        return Solution(best.actions[0], result.objective, None, "feasible", seconds)
