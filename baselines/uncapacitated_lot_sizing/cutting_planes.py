"""(l, S) inequalities for uncapacitated lot-sizing."""

from __future__ import annotations

import time

import numpy as np

from baselines.common.milp import HighsSession, import_pyomo
from baselines.common.solution import Solution
from baselines.uncapacitated_lot_sizing.formulations import NaturalFormulation
from baselines.uncapacitated_lot_sizing.wagner_whitin import best_plan
from or_envs.uncapacitated_lot_sizing.instances import UncapacitatedLotSizingInstance
from or_envs.uncapacitated_lot_sizing.problem import UncapacitatedLotSizing


class CuttingPlanes:
    """The natural relaxation with (l, S) inequalities, until none is violated.

    For every l and S within 1..l: the sum of x_t over t not in S, plus that of d_{t..l} y_t over t
    in S, is at least d_{1..l}. They complete the natural formulation to the convex hull (Barany,
    Van Roy, Wolsey 1984), so the last relaxation has the value of the optimum.

    Parameters
    ----------
    problem
        The problem.
    seed
        Seed of HiGHS.
    """

    def __init__(self, problem: UncapacitatedLotSizing, seed: int = 0) -> None:
        self.problem = problem
        self.seed = seed
        #: Inequalities that the last solve added.
        self.num_cuts = 0

    def solve(
        self,
        instance: UncapacitatedLotSizingInstance,
        exogenous: None = None,
        time_limit: float | None = None,
    ) -> Solution:
        """Solve a batch of one; the time limit is that of each relaxation."""
        start = time.perf_counter()
        pyo = import_pyomo()
        natural = NaturalFormulation(self.problem.horizon, relaxed=True)
        natural.load(instance)
        model = natural.model
        model.cuts = pyo.ConstraintList()
        demand = instance.demand[0]
        while True:
            # A session cannot take new constraints on.
            result = HighsSession(model, seed=self.seed).solve(time_limit)
            if not result.feasible:
                seconds = time.perf_counter() - start
                return Solution(None, result.objective, None, result.status, seconds)
            x = np.array([model.x[t].value for t in model.T])
            y = natural.setups()
            found = violated(demand, x, y)
            if not found:
                break
            for end, by_setup in found:
                units = demand[: end + 1][::-1].cumsum()[::-1]
                model.cuts.add(
                    sum(
                        units[t] * model.y[t] if by_setup[t] else model.x[t] for t in range(end + 1)
                    )
                    >= units[0]
                )
        self.num_cuts = len(model.cuts)
        cost, actions = best_plan(instance, y > 0.5)
        status = "optimal" if cost <= result.objective + 1e-6 * max(1.0, cost) else "feasible"
        seconds = time.perf_counter() - start
        return Solution(actions, cost, result.objective, status, seconds)


def violated(
    demand: np.ndarray, x: np.ndarray, y: np.ndarray, tolerance: float = 1e-6
) -> list[tuple[int, np.ndarray]]:
    """Most violated (l, S) inequality of every l, by t in S iff d_{t..l} y_t < x_t.

    Returns
    -------
    Pairs of l, numbered from 0, and S, bool (l + 1,); only those violated by more than
    ``tolerance`` times the largest demand.
    """
    found = []
    for end in range(len(demand)):
        units = demand[: end + 1][::-1].cumsum()[::-1]
        by_setup = units * y[: end + 1] < x[: end + 1]
        left = np.where(by_setup, units * y[: end + 1], x[: end + 1]).sum()
        if left < units[0] - tolerance * demand.max():
            found.append((end, by_setup))
    return found
