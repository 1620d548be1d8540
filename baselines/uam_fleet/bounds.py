"""Bounds on the profit of a known day by linear programming."""

from __future__ import annotations

import time

import numpy as np

from baselines.common.checks import check_problem
from baselines.common.solution import Solution
from baselines.uam_fleet.linear_model import LinearModel
from baselines.uam_fleet.time_network import time_network
from or_envs.uam_fleet.instances import UAMInstance, UAMTape
from or_envs.uam_fleet.problem import UAMFleet


class LinearBound:
    """Relaxation of the day with durations rounded down; see :mod:`time_network` for what it omits.

    Parameters
    ----------
    problem
        A fleet with dense or terminal rewards.
    seed
        Unused: nothing is random.
    cuts
        Whether mixed-integer rounding tightens it.
    step
        Minutes.

    Raises
    ------
    ValueError
        If the problem does not fit; in ``solve`` if the tape is missing.
    """

    def __init__(
        self, problem: UAMFleet, seed: int = 0, cuts: bool = True, step: float = 5.0
    ) -> None:
        check_money(problem)
        self.problem = problem
        self.cuts = cuts
        self.step = step

    def solve(
        self,
        instance: UAMInstance,
        exogenous: UAMTape | None = None,
        time_limit: float | None = None,
    ) -> Solution:
        """Return the bound; there is nothing to play."""
        start = time.perf_counter()
        if exogenous is None:
            raise ValueError("exogenous: the bound of a day needs its tape")
        network = time_network(self.problem, instance, exogenous, self.step, "down")
        profit = LinearModel(network, self.cuts).solve().profit
        return Solution(None, np.inf, -profit, "relaxation", time.perf_counter() - start)


def plain(problem: UAMFleet, seed: int, step: float = 5.0) -> LinearBound:
    """Return the bound without cuts, which flies fractions of aircraft, all full."""
    return LinearBound(problem, seed, cuts=False, step=step)


def check_money(problem: UAMFleet) -> None:
    """Refuse problems whose reward is not money.

    Raises
    ------
    ValueError
        If the problem is no fleet, or its reward is normalised.
    """
    check_problem(problem, UAMFleet)
    if problem.reward == "terminal_normalised":
        raise ValueError("problem: expected rewards in money, got reward='terminal_normalised'")
