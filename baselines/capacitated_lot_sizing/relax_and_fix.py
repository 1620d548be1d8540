"""Relax-and-fix: branch and bound on a few periods at a time."""

from __future__ import annotations

import time

from baselines.capacitated_lot_sizing.formulations import FacilityLocation
from baselines.common.milp import import_pyomo
from baselines.common.solution import Solution
from or_envs.capacitated_lot_sizing.instances import CapacitatedLotSizingInstance
from or_envs.capacitated_lot_sizing.problem import CapacitatedLotSizing


class RelaxAndFix:
    """Decides the setups period by period, with those further ahead relaxed.

    In every solve of the facility-location formulation the setups of ``window`` periods are
    binary and those of later periods are in [0, 1]; then the first of the window is fixed and the
    window moves on. The first solve relaxes the problem, so its dual bound is one.

    Parameters
    ----------
    problem
        The problem.
    seed
        Seed of HiGHS.
    window
        Periods with binary setups.

    Raises
    ------
    ValueError
        If the window is not positive.
    """

    def __init__(self, problem: CapacitatedLotSizing, seed: int = 0, window: int = 2) -> None:
        if window < 1:
            raise ValueError(f"window: expected an integer >= 1, got {window!r}")
        self.window = window
        self._binary = import_pyomo().Binary
        self._relaxed = import_pyomo().UnitInterval
        self._model = FacilityLocation(problem.n_items, problem.horizon, relaxed=True, seed=seed)

    def solve(
        self,
        instance: CapacitatedLotSizingInstance,
        exogenous: None = None,
        time_limit: float | None = None,
    ) -> Solution:
        """Solve a batch of one; the time limit is divided evenly among the windows."""
        start = time.perf_counter()
        model = self._model
        setups = model.model.y
        windows = max(1, model.periods - self.window + 1)
        bound = 0.0
        for first in range(windows):
            for (_, t), y in setups.items():
                y.domain = self._binary if t < first + self.window else self._relaxed
            result = model.solve(instance, None if time_limit is None else time_limit / windows)
            if not result.feasible:
                break
            if first == 0:
                bound = max(bound, result.bound or 0.0)
            for (_, t), y in setups.items():
                if t <= first:
                    y.fix(round(y.value))
        setups.unfix()
        if not result.feasible:
            return Solution(
                None, result.objective, bound, result.status, time.perf_counter() - start
            )
        objective = model.complete().objective
        return Solution(
            model.actions(instance), objective, bound, "feasible", time.perf_counter() - start
        )
