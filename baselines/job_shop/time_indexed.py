"""Time-indexed integer program of a job shop: a pyomo model on HiGHS, for very small instances."""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from typing import Any

from baselines.common.milp import HighsSession, import_pyomo
from baselines.job_shop.exact import Answer, ExactSolver
from baselines.job_shop.shop import Shop, orders_of
from or_envs.core import AnyProblem

#: Growth of the horizon where it is too short for any schedule.
_GROWTH = 1.15


class TimeIndexed(ExactSolver):
    """One binary for each operation and tick: whether it has begun.

    A machine is taken from a job's coming until its leaving, by one job at a time. Jobs that leave
    at the same tick do not disturb each other, so the model has swaps and cannot forbid them. The
    model grows with the horizon, which therefore starts at a lower bound and grows until there is a
    schedule; each horizon that is too short is a better bound.

    Parameters
    ----------
    problem, seed
        See :class:`baselines.job_shop.exact.ExactSolver`.

    Raises
    ------
    ValueError
        See :class:`baselines.job_shop.exact.ExactSolver`; or if the problem forbids swaps.
    ImportError
        If pyomo or highspy is missing.
    """

    def __init__(self, problem: AnyProblem, seed: int = 0) -> None:
        super().__init__(problem, seed)
        if self.problem.blocking == "no_swap":
            raise ValueError("problem: expected blocking 'none' or 'swap', got 'no_swap'")

    def optimise(
        self, shop: Shop, time_limit: float | None = None, hint: Sequence[int] | None = None
    ) -> Answer:
        """Solve; see :meth:`ExactSolver.optimise`. The hint is not used."""
        start = time.perf_counter()
        horizon = bound = _lower_bound(shop)
        while True:
            model = _model(shop, horizon)
            left = None if time_limit is None else time_limit - (time.perf_counter() - start)
            if left is not None and left <= 0:
                return Answer(None, shop.units(bound), "time_limit")
            result = HighsSession(model, seed=self.seed).solve(left)
            if result.status != "infeasible" or horizon >= shop.horizon():
                break
            bound = horizon + 1
            horizon = min(math.ceil(_GROWTH * horizon), shop.horizon())
        # Beyond a horizon nothing is known, so a bound of the model holds up to there only.
        proven = shop.units(max(bound, min(result.bound or 0, horizon + 1)))
        if not result.feasible:
            return Answer(None, proven, result.status)
        waited = [0.0] * shop.size
        for (o, _), begun in model.begun.items():
            waited[o] += 1 - round(begun.value)
        starts = [head + wait for head, wait in zip(shop.heads(), waited, strict=True)]
        return Answer(orders_of(shop, starts), proven, result.status)


def _lower_bound(shop: Shop) -> int:
    """Ticks of the longest job and of the busiest machine."""
    jobs = [head + tail for head, tail in zip(shop.heads(), shop.tails(), strict=True)]
    machines = [sum(shop.duration[o] for o in group) for group in shop.on_machine]
    return max(jobs + machines, default=0)


def _model(shop: Shop, horizon: int) -> Any:
    pyo = import_pyomo()
    heads, latest = shop.heads(), shop.latest(horizon)
    ticks = [range(head, end) for head, end in zip(heads, latest, strict=True)]
    model = pyo.ConcreteModel()
    model.begun = pyo.Var([(o, t) for o in range(shop.size) for t in ticks[o]], within=pyo.Binary)
    model.makespan = pyo.Var(bounds=(0, horizon), within=pyo.Integers)
    model.cost = pyo.Objective(expr=model.makespan)
    model.always = pyo.Var(bounds=(1, 1))
    model.never = pyo.Var(bounds=(0, 0))
    model.rules = pyo.ConstraintList()
    rules = model.rules

    def begun(o: int, t: int) -> Any:
        if t in ticks[o]:
            return model.begun[o, t]
        return model.never if t < heads[o] else model.always

    for o, after in enumerate(shop.successor):
        for t in ticks[o]:
            rules.add(begun(o, t - 1) <= begun(o, t))
        if after is None:
            waits = sum(1 - begun(o, t) for t in ticks[o])
            rules.add(model.makespan >= heads[o] + waits + shop.duration[o])
        else:
            for t in ticks[after]:
                rules.add(begun(after, t) <= begun(o, t - shop.duration[o]))
    model.freed = pyo.VarList(bounds=(0, 1))

    def freed(o: int, t: int) -> Any:
        """Whether another job may come after o at tick t: all that this waits for is over."""
        over = [begun(waited, t - lag) for waited, lag in shop.lags(o, o)]
        if len(over) == 1:
            return over[0]
        both = model.freed.add()
        for condition in over:
            rules.add(both <= condition)
        return both

    for group, available in zip(shop.on_machine, shop.available, strict=True):
        if len(group) > 1:
            for t in range(available, horizon + 1):
                rules.add(sum(begun(o, t) - freed(o, t) for o in group) <= 1)
    return model
