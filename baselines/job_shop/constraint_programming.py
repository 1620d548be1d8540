"""Job shops by constraint programming: CP-SAT of OR-Tools."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from baselines.job_shop.exact import Answer, ExactSolver
from baselines.job_shop.shop import Shop, orders_of
from or_envs.core import AnyProblem
from or_envs.extras import MissingExtraError


class ConstraintProgramming(ExactSolver):
    """One Boolean for each pair of a machine's operations, which enforces one of two precedences.

    Without interval variables: for blocking machines, these take 7 to 25 times as long. Without
    swaps moves are numbered, and each is after what it waits for.

    Parameters
    ----------
    problem, seed
        See :class:`baselines.job_shop.exact.ExactSolver`.
    workers
        Threads of CP-SAT. With one and without a time limit, answers are the same everywhere.

    Raises
    ------
    ValueError
        See :class:`baselines.job_shop.exact.ExactSolver`; or if ``workers`` is less than 1.
    ImportError
        If ortools is missing.
    """

    def __init__(self, problem: AnyProblem, seed: int = 0, workers: int = 1) -> None:
        super().__init__(problem, seed)
        if workers < 1:
            raise ValueError(f"workers: expected an integer >= 1, got {workers!r}")
        self._library = _cp_model()
        self.workers = workers

    def optimise(
        self, shop: Shop, time_limit: float | None = None, hint: Sequence[int] | None = None
    ) -> Answer:
        """Solve; see :meth:`ExactSolver.optimise`."""
        model, start = self._model(shop)
        if hint is not None:
            for variable, tick in zip(start, hint, strict=True):
                model.add_hint(variable, tick)
        solver = self._library.CpSolver()
        solver.parameters.num_workers = self.workers
        solver.parameters.random_seed = self.seed % 2**31
        solver.parameters.max_time_in_seconds = math.inf if time_limit is None else time_limit
        outcome = solver.solve(model)
        status = _STATUS[solver.status_name(outcome)]
        if status == "infeasible":
            return Answer(None, None, status)
        bound = shop.units(solver.best_objective_bound)
        if outcome == self._library.UNKNOWN:
            return Answer(None, bound, status)
        return Answer(
            orders_of(shop, [solver.value(variable) for variable in start]), bound, status
        )

    def _model(self, shop: Shop) -> tuple[Any, list[Any]]:
        model = self._library.CpModel()
        horizon = shop.horizon()
        start = [
            model.new_int_var(head, latest, "")
            for head, latest in zip(shop.heads(), shop.latest(horizon), strict=True)
        ]
        ranked = shop.blocking == "no_swap"
        number = [model.new_int_var(0, shop.size - 1, "") for _ in start] if ranked else None

        def before(o: int, b: int, lag: int) -> list[Any]:
            """The start of b waits for that of o."""
            rules = [model.add(start[b] >= start[o] + lag)]
            if number is not None:
                rules.append(model.add(number[b] > number[o]))
            return rules

        for o, after in enumerate(shop.successor):
            if after is not None:
                before(o, after, shop.duration[o])
        for a, b in shop.forced:
            for o, lag in shop.lags(a, b):
                before(o, b, lag)
        for pair in shop.pairs:
            first = model.new_bool_var("")
            for (a, b), holds in ((pair, first), (pair[::-1], ~first)):
                for o, lag in shop.lags(a, b):
                    for rule in before(o, b, lag):
                        rule.only_enforce_if(holds)
        makespan = model.new_int_var(0, horizon, "")
        for o in shop.last:
            model.add(makespan >= start[o] + shop.duration[o])
        model.minimize(makespan)
        return model, start


_STATUS = {
    "OPTIMAL": "optimal",
    "FEASIBLE": "time_limit",
    "UNKNOWN": "time_limit",
    "INFEASIBLE": "infeasible",
}


def _cp_model() -> Any:
    try:
        from ortools.sat.python import cp_model
    except ModuleNotFoundError:
        raise MissingExtraError("ConstraintProgramming", "ortools") from None
    return cp_model
