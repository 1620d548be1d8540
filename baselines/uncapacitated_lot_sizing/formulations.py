"""Mixed-integer formulations of uncapacitated lot-sizing, and their linear relaxations."""

from __future__ import annotations

import abc
import time
from typing import Any, Literal

import numpy as np

from baselines.common.milp import HighsSession, MilpResult, import_pyomo
from baselines.common.solution import Solution
from baselines.uncapacitated_lot_sizing.wagner_whitin import best_plan
from or_envs.uncapacitated_lot_sizing.instances import UncapacitatedLotSizingInstance
from or_envs.uncapacitated_lot_sizing.problem import UncapacitatedLotSizing

BigM = Literal["remaining", "total"]


class Formulation(abc.ABC):
    """A model with setups y whose data are mutable: one serves all instances of T periods.

    Parameters
    ----------
    periods
        T.
    relaxed
        y in [0, 1] instead of binary.
    seed
        Seed of HiGHS.
    """

    def __init__(self, periods: int, relaxed: bool = False, seed: int = 0) -> None:
        pyo = import_pyomo()
        self.periods = periods
        self.model = pyo.ConcreteModel()
        self.model.T = pyo.RangeSet(0, periods - 1)
        self.model.K = pyo.Param(self.model.T, mutable=True, initialize=0.0)
        self.model.y = pyo.Var(self.model.T, domain=pyo.UnitInterval if relaxed else pyo.Binary)
        self._build(pyo)
        self._session = HighsSession(self.model, seed=seed)

    @abc.abstractmethod
    def _build(self, pyo: Any) -> None:
        """Add everything else to the model."""

    @abc.abstractmethod
    def load(self, instance: UncapacitatedLotSizingInstance) -> None:
        """Take the data of a batch of one."""

    def solve(
        self, instance: UncapacitatedLotSizingInstance, time_limit: float | None = None
    ) -> MilpResult:
        """Solve for a batch of one."""
        self.load(instance)
        return self._session.solve(time_limit)

    def setups(self) -> np.ndarray:
        """Y of the last solve, (T,)."""
        return np.array([self.model.y[t].value for t in range(self.periods)])


class NaturalFormulation(Formulation):
    """Setups y, production x and stock s; x and y are tied by big M.

    ::

        min  sum_t K_t y_t + c_t x_t + h_t s_t
        s[t-1] + x[t] = d[t] + s[t],   x[t] <= M_t y_t,   x, s >= 0,   y binary

    Parameters
    ----------
    periods, relaxed, seed
        See :class:`Formulation`.
    big_m
        M_t is "remaining" demand d_t + ... + d_T, or the "total" demand d_1 + ... + d_T.

    Raises
    ------
    ValueError
        If ``big_m`` is unknown.
    """

    def __init__(
        self, periods: int, big_m: BigM = "remaining", relaxed: bool = False, seed: int = 0
    ) -> None:
        if big_m not in ("remaining", "total"):
            raise ValueError(f"big_m: expected 'remaining' or 'total', got {big_m!r}")
        self.big_m = big_m
        super().__init__(periods, relaxed, seed)

    def _build(self, pyo: Any) -> None:
        model = self.model
        for name in ("c", "h", "d", "M"):
            setattr(model, name, pyo.Param(model.T, mutable=True, initialize=0.0))
        model.x = pyo.Var(model.T, domain=pyo.NonNegativeReals)
        model.s = pyo.Var(model.T, domain=pyo.NonNegativeReals)

        @model.Objective()
        def cost(b: Any) -> Any:
            return sum(b.K[t] * b.y[t] + b.c[t] * b.x[t] + b.h[t] * b.s[t] for t in b.T)

        @model.Constraint(model.T)
        def balance(b: Any, t: int) -> Any:
            return (b.s[t - 1] if t else 0) + b.x[t] == b.d[t] + b.s[t]

        @model.Constraint(model.T)
        def setup(b: Any, t: int) -> Any:
            return b.x[t] <= b.M[t] * b.y[t]

    def load(self, instance: UncapacitatedLotSizingInstance) -> None:
        """Take the data of a batch of one."""
        demand, setup_cost, unit_cost, holding_cost = (field[0] for field in instance.leaves())
        remaining = demand[::-1].cumsum()[::-1]
        limit = remaining if self.big_m == "remaining" else np.full_like(demand, remaining[0])
        values = {"K": setup_cost, "c": unit_cost, "h": holding_cost, "d": demand, "M": limit}
        for name, value in values.items():
            getattr(self.model, name).store_values(dict(enumerate(value.tolist())))


class FacilityLocation(Formulation):
    """Which period produces which share u of a period's demand; its relaxation is integral.

    ::

        min  sum_s K_s y_s + sum_{s <= t} (c_s + h_s + ... + h_{t-1}) d_t u[s, t]
        sum_{s <= t} u[s, t] = 1   where d_t > 0,   0 <= u[s, t] <= y_s,   y binary

    Parameters
    ----------
    periods, relaxed, seed
        See :class:`Formulation`.
    """

    def _build(self, pyo: Any) -> None:
        model = self.model
        pairs = [(s, t) for t in range(self.periods) for s in range(t + 1)]
        model.needed = pyo.Param(model.T, mutable=True, initialize=0.0)
        model.g = pyo.Param(pairs, mutable=True, initialize=0.0)
        model.u = pyo.Var(pairs, domain=pyo.NonNegativeReals)

        @model.Objective()
        def cost(b: Any) -> Any:
            served = sum(b.g[s, t] * b.u[s, t] for s, t in pairs)
            return sum(b.K[t] * b.y[t] for t in b.T) + served

        @model.Constraint(model.T)
        def demand(b: Any, t: int) -> Any:
            return sum(b.u[s, t] for s in range(t + 1)) == b.needed[t]

        @model.Constraint(pairs)
        def setup(b: Any, s: int, t: int) -> Any:
            return b.u[s, t] <= b.y[s]

    def load(self, instance: UncapacitatedLotSizingInstance) -> None:
        """Take the data of a batch of one."""
        demand, setup_cost, unit_cost, holding_cost = (field[0] for field in instance.leaves())
        kept = np.concatenate([[0.0], np.cumsum(holding_cost)[:-1]])
        cost = (unit_cost[:, None] + kept[None, :] - kept[:, None]) * demand[None, :]
        self.model.K.store_values(dict(enumerate(setup_cost.tolist())))
        self.model.needed.store_values(dict(enumerate((demand > 0).astype(float).tolist())))
        self.model.g.store_values({(s, t): float(cost[s, t]) for s, t in self.model.g})


class Milp:
    """The optimum by branch and bound.

    The plan is the best one that produces only where the model sets up, so it costs no more than
    HiGHS's incumbent, and exactly as much when that is optimal.

    Parameters
    ----------
    problem
        The problem.
    seed
        Seed of HiGHS.
    formulation
        "natural" or "facility_location".
    big_m
        See :class:`NaturalFormulation`; only for that one.

    Raises
    ------
    ValueError
        If an argument is unknown.
    """

    def __init__(
        self,
        problem: UncapacitatedLotSizing,
        seed: int = 0,
        formulation: Literal["natural", "facility_location"] = "facility_location",
        big_m: BigM = "remaining",
    ) -> None:
        if formulation not in ("natural", "facility_location"):
            raise ValueError(
                f"formulation: expected 'natural' or 'facility_location', got {formulation!r}"
            )
        self._model: Formulation = (
            NaturalFormulation(problem.horizon, big_m, seed=seed)
            if formulation == "natural"
            else FacilityLocation(problem.horizon, seed=seed)
        )

    def solve(
        self,
        instance: UncapacitatedLotSizingInstance,
        exogenous: None = None,
        time_limit: float | None = None,
    ) -> Solution:
        """Solve a batch of one."""
        start = time.perf_counter()
        result = self._model.solve(instance, time_limit)
        if not result.feasible:
            seconds = time.perf_counter() - start
            return Solution(None, result.objective, result.bound, result.status, seconds)
        cost, actions = best_plan(instance, self._model.setups() > 0.5)
        return Solution(actions, cost, result.bound, result.status, time.perf_counter() - start)
