"""The best of many random schedules."""

from __future__ import annotations

import time

import numpy as np

from baselines.common.solution import Solution
from baselines.job_shop.plan import check_searchable, not_counted
from or_envs.core import AnyProblem
from or_envs.job_shop.dispatching import Dispatching, play
from or_envs.job_shop.instances import JobShopInstance

#: Schedules between two looks at the clock.
_ROWS = 1000


class RandomSearch:
    """Plays schedules that load every empty machine at once with a random job that waits for it.

    Parameters
    ----------
    problem
        A job shop without shutdowns, in which swaps are not forbidden.
    seed
        Of the jobs.
    schedules
        How many are played.

    Raises
    ------
    ValueError
        If the problem is another, or ``schedules`` is less than 1.
    """

    def __init__(self, problem: AnyProblem, seed: int = 0, schedules: int = 100) -> None:
        if schedules < 1:
            raise ValueError(f"schedules: expected an integer >= 1, got {schedules!r}")
        self.problem = check_searchable(problem)
        self.seed = seed
        self.schedules = schedules

    def solve(
        self, instance: JobShopInstance, exogenous: None = None, time_limit: float | None = None
    ) -> Solution:
        """Play a batch of one until the last schedule, or ``time_limit`` seconds."""
        start = time.perf_counter()
        seeds = np.random.default_rng(self.seed).integers(2**63, size=self.schedules)
        rule = Dispatching("RANDOM")
        best, shortest = 0, np.inf
        for first in range(0, self.schedules, _ROWS):
            if first and time_limit is not None and time.perf_counter() - start >= time_limit:
                break
            some = seeds[first : first + _ROWS]
            ends = play(self.problem, instance.repeat(len(some)), None, rule, seeds=some).makespan
            if ends.min() < shortest:
                best, shortest = first + int(ends.argmin()), float(ends.min())
        played = play(self.problem, instance, None, rule, seeds=seeds[[best]], record=True)
        actions = played.actions[0, : played.num_actions[0]]
        objective = shortest - not_counted(self.problem, instance)
        seconds = time.perf_counter() - start
        return Solution(actions, objective, None, "feasible", seconds)
