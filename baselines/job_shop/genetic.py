"""Genetic algorithm of the job shop: random keys as priorities, decoded by dispatching."""

from __future__ import annotations

import time
from typing import Literal, get_args

import numpy as np

from baselines.common.genetic import Budget, Progress, minimize_keys
from baselines.common.solution import Solution
from baselines.job_shop.plan import check_searchable, not_counted
from or_envs.core import AnyProblem
from or_envs.job_shop.dispatching import Dispatching, play
from or_envs.job_shop.instances import JobShopInstance

Decoder = Literal["non_delay", "reservation"]


class GeneticJobShop:
    """Evolves a priority for every operation; under blocking every vector of them is a schedule.

    Parameters
    ----------
    problem
        A job shop without shutdowns, in which swaps are not forbidden.
    seed
        Seed of the algorithm.
    population, generations
        Budget of the algorithm, see :class:`baselines.common.genetic.Budget`.
    decoder
        "non_delay": an empty machine is loaded at once with the first of the jobs that wait for it.
        "reservation": it is left empty while an operation that would go before them has its
        predecessor running, unless nothing else can happen.
    progress
        Called after every generation.

    Raises
    ------
    ValueError
        If the problem is another, does not allow the waiting of "reservation", the decoder is
        unknown, or the budget is out of range.
    """

    def __init__(
        self,
        problem: AnyProblem,
        seed: int = 0,
        population: int = 100,
        generations: int = 300,
        decoder: Decoder = "reservation",
        progress: Progress | None = None,
    ) -> None:
        self.problem = check_searchable(problem)
        if decoder not in get_args(Decoder):
            raise ValueError(f"decoder: expected 'non_delay' or 'reservation', got {decoder!r}")
        if decoder == "reservation" and not self.problem.allow_wait:
            raise ValueError("decoder: expected 'non_delay' where allow_wait is False")
        self.seed = seed
        self.budget = Budget(population, generations)
        self.dispatching = Dispatching("GIVEN", reserve=decoder == "reservation")
        self.progress = progress

    def solve(
        self, instance: JobShopInstance, exogenous: None = None, time_limit: float | None = None
    ) -> Solution:
        """Search on a batch of one until the last generation or ``time_limit`` seconds."""
        start = time.perf_counter()
        exists = instance.exists[0]

        def values(genes: np.ndarray) -> np.ndarray:
            table = np.zeros((len(genes), *exists.shape))
            table[:, exists] = genes
            return table

        def makespans(genes: np.ndarray) -> np.ndarray:
            rows = instance.repeat(len(genes))
            played = play(self.problem, rows, None, self.dispatching, values=values(genes))
            return played.makespan.astype(np.float64)

        size = int(exists.sum())
        result = minimize_keys(
            makespans,
            size,
            Budget(self.budget.population, self.budget.generations, time_limit),
            self.seed,
            self.progress,
        )
        played = play(
            self.problem,
            instance,
            None,
            self.dispatching,
            values=values(result.best[None]),
            record=True,
        )
        objective = result.objective - not_counted(self.problem, instance)
        actions = played.actions[0, : played.num_actions[0]]
        return Solution(actions, objective, None, "feasible", time.perf_counter() - start)
