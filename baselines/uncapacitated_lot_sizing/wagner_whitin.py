"""The dynamic program of Wagner and Whitin."""

from __future__ import annotations

import time

import numpy as np

from baselines.common.solution import Solution
from or_envs.uncapacitated_lot_sizing.instances import UncapacitatedLotSizingInstance
from or_envs.uncapacitated_lot_sizing.problem import UncapacitatedLotSizing


def lots(instance: UncapacitatedLotSizingInstance) -> tuple[np.ndarray, np.ndarray]:
    """Units and cost of one lot for every block of periods.

    Parameters
    ----------
    instance
        A batch of one.

    Returns
    -------
    tuple
        Two arrays (T, T); row s, column t is the lot in s for the demand of periods s..t. Its cost
        is that of setup, production and holding, and 0 for a block without demand, which needs no
        lot; units are 0 and costs ``inf`` for t < s.
    """
    demand, setup_cost, unit_cost, holding_cost = (field[0] for field in instance.leaves())
    periods = len(demand)
    # Money for keeping a unit from the start of period 0 to that of period t.
    kept = np.concatenate([[0.0], np.cumsum(holding_cost)[:-1]])
    block = np.triu(np.broadcast_to(demand, (periods, periods)))
    units = block.cumsum(axis=1)
    costs = (block * (kept[None, :] - kept[:, None])).cumsum(axis=1)
    costs += np.where(units > 0, setup_cost[:, None], 0.0) + unit_cost[:, None] * units
    return units, np.where(np.tri(periods, k=-1, dtype=bool), np.inf, costs)


def cheapest_lots(costs: np.ndarray) -> tuple[np.ndarray, list[tuple[int, int]]]:
    """Best division of the horizon into lots: F(t) = min_{s <= t} F(s - 1) + cost(s, t).

    Parameters
    ----------
    costs
        See :func:`lots`; ``inf`` where a lot is forbidden.

    Returns
    -------
    tuple
        F of the first 0..T periods, (T + 1,), and the blocks (s, t) of a best division.
    """
    periods = len(costs)
    best = np.zeros(periods + 1)
    first = np.zeros(periods, dtype=np.int64)
    for t in range(periods):
        totals = best[: t + 1] + costs[: t + 1, t]
        first[t] = totals.argmin()
        best[t + 1] = totals[first[t]]
    blocks = []
    end = periods - 1
    while end >= 0:
        blocks.append((int(first[end]), end))
        end = int(first[end]) - 1
    return best, blocks[::-1]


def best_plan(
    instance: UncapacitatedLotSizingInstance, setups: np.ndarray | None = None
) -> tuple[float, np.ndarray]:
    """Cost of a best plan, and its actions (T,).

    Parameters
    ----------
    instance
        A batch of one.
    setups
        Where production is allowed, bool (T,); default: everywhere.
    """
    units, costs = lots(instance)
    if setups is not None:
        costs = np.where(setups[:, None] | (units == 0), costs, np.inf)
    best, blocks = cheapest_lots(costs)
    actions = np.zeros(len(costs), dtype=np.int64)
    for start, end in blocks:
        if units[start, end] > 0:
            actions[start] = end - start + 1
    return float(best[-1]), actions


class WagnerWhitin:
    """The optimum, in O(T^2).

    Parameters
    ----------
    problem, seed
        As for every baseline; not needed.
    """

    def __init__(self, problem: UncapacitatedLotSizing, seed: int = 0) -> None:
        pass

    def solve(
        self,
        instance: UncapacitatedLotSizingInstance,
        exogenous: None = None,
        time_limit: float | None = None,
    ) -> Solution:
        """Solve a batch of one; there is no need of a time limit."""
        start = time.perf_counter()
        cost, actions = best_plan(instance)
        return Solution(actions, cost, cost, "optimal", time.perf_counter() - start)
