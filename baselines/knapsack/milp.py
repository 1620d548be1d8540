"""Exact knapsack as an integer program: a pyomo model on HiGHS."""

from __future__ import annotations

import time

import numpy as np

from baselines.common.checks import check_problem
from baselines.common.milp import HighsSession, import_pyomo
from baselines.common.solution import Solution
from baselines.routing.plans import completed
from or_envs.knapsack.problem import Knapsack, KnapsackInstance


class Milp:
    """One binary variable per item, and one constraint; for weights that are not whole, too.

    Parameters
    ----------
    problem
        A knapsack.
    seed
        HiGHS's ``random_seed``.

    Raises
    ------
    ValueError
        If the problem is another.
    ImportError
        If pyomo or highspy is missing.
    """

    def __init__(self, problem: Knapsack, seed: int = 0) -> None:
        check_problem(problem, Knapsack)
        self._pyo = import_pyomo()
        self.problem = problem
        self.seed = seed

    def solve(
        self, instance: KnapsackInstance, exogenous: None = None, time_limit: float | None = None
    ) -> Solution:
        """Solve to optimality, or return the best set and the bound at the time limit."""
        start = time.perf_counter()
        pyo = self._pyo
        value, weight = instance.value[0], instance.weight[0]
        capacity = float(instance.capacity[0])
        # In shares of the largest, as HiGHS has absolute tolerances.
        dearest, heaviest = float(value.max()), float(weight.max())
        items = range(len(value))
        model = pyo.ConcreteModel()
        model.pack = pyo.Var(items, within=pyo.Binary)
        x = model.pack
        model.cost = pyo.Objective(expr=-sum(float(value[k]) / dearest * x[k] for k in items))
        model.room = pyo.Constraint(
            expr=sum(float(weight[k]) / heaviest * x[k] for k in items) <= capacity / heaviest
        )
        model.covers = pyo.ConstraintList()
        while True:
            spent = time.perf_counter() - start
            left = None if time_limit is None else max(time_limit - spent, 0.0)
            result = HighsSession(model, seed=self.seed).solve(left)
            if not result.feasible:
                seconds = time.perf_counter() - start
                bound = None if result.bound is None else result.bound * dearest
                return Solution(None, np.inf, bound, result.status, seconds)
            packed = [k for k in items if x[k].value > 0.5]
            if capacity - weight[packed].sum() >= 0:
                break
            # Too heavy by less than HiGHS's tolerance: one of them stays behind.
            model.covers.add(sum(x[k] for k in packed) <= len(packed) - 1)
        actions = completed(self.problem, instance, packed)
        objective = -float(value[actions[actions < len(value)]].sum())
        bound = None if result.bound is None else min(result.bound * dearest, objective)
        return Solution(actions, objective, bound, result.status, time.perf_counter() - start)
