"""Disjunctive integer program of a job shop: a pyomo model on HiGHS, for small instances."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from baselines.common.milp import HighsSession, import_pyomo
from baselines.job_shop.exact import Answer, ExactSolver
from baselines.job_shop.shop import Shop, orders_of


class Disjunctive(ExactSolver):
    """One binary for each pair (a, b) of a machine's operations: a before b (Manne 1960).

    The big-M of a pair is the least that holds: the latest start of what b waits for, less the
    earliest of b. Without swaps moves are numbered, and each is after what it waits for. Good for
    6 jobs on 6 machines; 10 on 5 are out of reach.

    Parameters
    ----------
    problem, seed
        See :class:`baselines.job_shop.exact.ExactSolver`.

    Raises
    ------
    ValueError
        See :class:`baselines.job_shop.exact.ExactSolver`.
    ImportError
        If pyomo or highspy is missing.
    """

    def optimise(
        self, shop: Shop, time_limit: float | None = None, hint: Sequence[int] | None = None
    ) -> Answer:
        """Solve; see :meth:`ExactSolver.optimise`. The hint is not used."""
        model = _model(shop)
        result = HighsSession(model, seed=self.seed).solve(time_limit)
        bound = None if result.bound is None else shop.units(result.bound)
        if not result.feasible:
            return Answer(None, bound, result.status)
        start = [model.start[o].value for o in range(shop.size)]
        return Answer(orders_of(shop, start), bound, result.status)


def _model(shop: Shop) -> Any:
    pyo = import_pyomo()
    heads, horizon = shop.heads(), shop.horizon()
    latest = shop.latest(horizon)
    operations = range(shop.size)
    model = pyo.ConcreteModel()
    model.start = pyo.Var(operations, bounds=lambda _, o: (heads[o], latest[o]))
    model.first = pyo.Var(shop.pairs, within=pyo.Binary)
    # Whole, as every makespan: so a bound of 62.1 proves 63.
    model.makespan = pyo.Var(bounds=(0, horizon), within=pyo.Integers)
    model.cost = pyo.Objective(expr=model.makespan)
    model.rules = pyo.ConstraintList()
    start, first, rules = model.start, model.first, model.rules
    # Two moves (a, b) of a pair, and 0 where it must hold, 1 where it need not.
    before: list[tuple[int, int, Any]] = [(a, b, 0) for a, b in shop.forced]
    for a, b in shop.pairs:
        before += [(a, b, 1 - first[a, b]), (b, a, first[a, b])]
    for o in shop.last:
        rules.add(model.makespan >= start[o] + shop.duration[o])
    chain = [(o, after) for o, after in enumerate(shop.successor) if after is not None]
    for o, after in chain:
        rules.add(start[after] >= start[o] + shop.duration[o])
    for a, b, void in before:
        for o, lag in shop.lags(a, b):
            most = latest[o] + lag - heads[b]
            rules.add(start[b] >= start[o] + lag - most * void)
    if shop.blocking == "no_swap":
        model.number = pyo.Var(operations, bounds=(0, shop.size - 1))
        number = model.number
        for o, after in chain:
            rules.add(number[after] >= number[o] + 1)
        for a, b, void in before:
            for o, _ in shop.lags(a, b):
                rules.add(number[b] >= number[o] + 1 - shop.size * void)
    return model
