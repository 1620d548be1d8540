"""Mixed-integer formulations of capacitated lot-sizing with setup times and lost sales."""

from __future__ import annotations

import abc
import dataclasses
import time
from typing import Any, Literal

import numpy as np

from baselines.common.milp import HighsSession, MilpResult, import_pyomo
from baselines.common.solution import Solution
from or_envs.capacitated_lot_sizing.instances import CapacitatedLotSizingInstance
from or_envs.capacitated_lot_sizing.problem import CapacitatedLotSizing, shares


class Formulation(abc.ABC):
    """A model with setups y[i, t] whose data are mutable: one serves all instances of its size.

    Parameters
    ----------
    n_items, periods
        Size of the instances.
    relaxed
        y in [0, 1] instead of binary.
    seed
        Seed of HiGHS.
    """

    def __init__(self, n_items: int, periods: int, relaxed: bool = False, seed: int = 0) -> None:
        pyo = import_pyomo()
        self.n_items = n_items
        self.periods = periods
        model = pyo.ConcreteModel()
        model.I = pyo.RangeSet(0, n_items - 1)
        model.T = pyo.RangeSet(0, periods - 1)
        for name in ("K", "tau"):
            setattr(model, name, pyo.Param(model.I, mutable=True, initialize=0.0))
        model.C = pyo.Param(model.T, mutable=True, initialize=0.0)
        model.y = pyo.Var(model.I, model.T, domain=pyo.UnitInterval if relaxed else pyo.Binary)
        self.model = model
        self._build(pyo)
        self._session = HighsSession(model, seed=seed)

    @abc.abstractmethod
    def _build(self, pyo: Any) -> None:
        """Add everything else to the model."""

    @abc.abstractmethod
    def _load(self, instance: CapacitatedLotSizingInstance, left: np.ndarray) -> None:
        """Take the further data; ``left`` is the demand of this and the later periods, (T, n)."""

    @abc.abstractmethod
    def quantity(self) -> np.ndarray:
        """Units produced in the last solve, (T, n)."""

    def load(self, instance: CapacitatedLotSizingInstance) -> None:
        """Take the data of a batch of one."""
        self.model.K.store_values(dict(enumerate(instance.setup_cost[0].tolist())))
        self.model.tau.store_values(dict(enumerate(instance.setup_time[0].tolist())))
        self.model.C.store_values(dict(enumerate(instance.capacity[0].tolist())))
        self._load(instance, instance.demand[0, ::-1].cumsum(axis=0)[::-1])

    def solve(
        self, instance: CapacitatedLotSizingInstance, time_limit: float | None = None
    ) -> MilpResult:
        """Solve for a batch of one."""
        self.load(instance)
        return self._session.solve(time_limit)

    def complete(self) -> MilpResult:
        """Solve once more with the last setups, those without production left out.

        HiGHS accepts y within a tolerance of whole numbers, and where it stops early an incumbent
        may set up for nothing or lose sales while there is stock; a completed plan does not.
        """
        made = self.quantity() > 1e-6
        for (i, t), y in self.model.y.items():
            y.fix(int(y.value > 0.5 and made[t, i]))
        result = self._session.solve()
        self.model.y.unfix()
        return result

    def setups(self) -> np.ndarray:
        """Y of the last solve, (T, n)."""
        return _table(self.model.y, self.periods, self.n_items)

    def actions(self, instance: CapacitatedLotSizingInstance) -> np.ndarray:
        """Shares of capacity that play the last solution, (T, n)."""
        one = instance.map(lambda x: np.repeat(x[:1], self.periods, axis=0))
        return shares(one, np.arange(self.periods), self.quantity(), self.setups() > 0.5)


class NaturalFormulation(Formulation):
    """Setups y, production x, stock s and lost sales z.

    ::

        min  sum_it K_i y_it + h_i s_it + rho_i z_it
        s[i, t-1] + x[i, t] + z[i, t] = d[i, t] + s[i, t],   z <= d
        sum_i a_i x[i, t] + tau_i y[i, t] <= C_t
        x[i, t] <= min(d[i, t] + ... + d[i, T], (C_t - tau_i)^+ / a_i) y[i, t]
    """

    def _build(self, pyo: Any) -> None:
        model = self.model
        for name in ("a", "h", "rho"):
            setattr(model, name, pyo.Param(model.I, mutable=True, initialize=0.0))
        for name in ("d", "M"):
            setattr(model, name, pyo.Param(model.I, model.T, mutable=True, initialize=0.0))
        model.x = pyo.Var(model.I, model.T, domain=pyo.NonNegativeReals)
        model.s = pyo.Var(model.I, model.T, domain=pyo.NonNegativeReals)
        model.z = pyo.Var(model.I, model.T, bounds=lambda b, i, t: (0, b.d[i, t]))

        @model.Objective()
        def cost(b: Any) -> Any:
            return sum(
                b.K[i] * b.y[i, t] + b.h[i] * b.s[i, t] + b.rho[i] * b.z[i, t]
                for i in b.I
                for t in b.T
            )

        @model.Constraint(model.I, model.T)
        def balance(b: Any, i: int, t: int) -> Any:
            before = b.s[i, t - 1] if t else 0
            return before + b.x[i, t] + b.z[i, t] == b.d[i, t] + b.s[i, t]

        @model.Constraint(model.T)
        def capacity(b: Any, t: int) -> Any:
            return sum(b.a[i] * b.x[i, t] + b.tau[i] * b.y[i, t] for i in b.I) <= b.C[t]

        @model.Constraint(model.I, model.T)
        def setup(b: Any, i: int, t: int) -> Any:
            return b.x[i, t] <= b.M[i, t] * b.y[i, t]

    def _load(self, instance: CapacitatedLotSizingInstance, left: np.ndarray) -> None:
        model = self.model
        time = np.maximum(instance.capacity[0][:, None] - instance.setup_time[0], 0.0)
        limit = np.minimum(left, time / instance.unit_time[0])
        for param, values in (
            (model.a, instance.unit_time[0]),
            (model.h, instance.holding_cost[0]),
            (model.rho, instance.lost_sales_cost[0]),
        ):
            param.store_values(dict(enumerate(values.tolist())))
        for param, values in ((model.d, instance.demand[0]), (model.M, limit)):
            param.store_values({(i, t): float(values[t, i]) for i in model.I for t in model.T})

    def quantity(self) -> np.ndarray:
        """X of the last solve, (T, n)."""
        return _table(self.model.x, self.periods, self.n_items)


class FacilityLocation(Formulation):
    """Which period r produces which share u of a period's demand, and which share v is lost.

    ::

        min  sum_it K_i y_it + sum_{i, r <= t} h_i (t - r) d_it u[i, r, t] + rho_i d_it v[i, t]
        sum_{r <= t} u[i, r, t] + v[i, t] = 1
        u[i, r, t] <= y[i, r]
        sum_i tau_i y[i, r] + a_i sum_{t >= r} d_it u[i, r, t] <= C_r

    Its relaxation is much tighter than that of the natural formulation.
    """

    def _build(self, pyo: Any) -> None:
        model, periods = self.model, self.periods
        arcs = [
            (i, r, t) for i in range(self.n_items) for t in range(periods) for r in range(t + 1)
        ]
        model.g = pyo.Param(arcs, mutable=True, initialize=0.0)
        model.w = pyo.Param(model.I, model.T, mutable=True, initialize=0.0)
        model.time = pyo.Param(model.I, model.T, mutable=True, initialize=0.0)
        model.u = pyo.Var(arcs, domain=pyo.NonNegativeReals)
        model.v = pyo.Var(model.I, model.T, domain=pyo.NonNegativeReals)

        @model.Objective()
        def cost(b: Any) -> Any:
            served = sum(b.g[arc] * b.u[arc] for arc in arcs)
            return served + sum(
                b.K[i] * b.y[i, t] + b.w[i, t] * b.v[i, t] for i in b.I for t in b.T
            )

        @model.Constraint(model.I, model.T)
        def demand(b: Any, i: int, t: int) -> Any:
            return sum(b.u[i, r, t] for r in range(t + 1)) + b.v[i, t] == 1

        @model.Constraint(arcs)
        def setup(b: Any, i: int, r: int, t: int) -> Any:
            return b.u[i, r, t] <= b.y[i, r]

        @model.Constraint(model.T)
        def capacity(b: Any, r: int) -> Any:
            made = sum(b.time[i, t] * b.u[i, r, t] for i in b.I for t in range(r, periods))
            return made + sum(b.tau[i] * b.y[i, r] for i in b.I) <= b.C[r]

    def _load(self, instance: CapacitatedLotSizingInstance, left: np.ndarray) -> None:
        model = self.model
        self._demand = instance.demand[0]
        held, lost, time = (
            (field[0] * self._demand)
            for field in (instance.holding_cost, instance.lost_sales_cost, instance.unit_time)
        )
        model.g.store_values({(i, r, t): float(held[t, i]) * (t - r) for i, r, t in model.g})
        model.w.store_values({(i, t): float(lost[t, i]) for i, t in model.w})
        model.time.store_values({(i, t): float(time[t, i]) for i, t in model.time})

    def quantity(self) -> np.ndarray:
        """Units of the last solve, (T, n)."""
        units = np.zeros((self.periods, self.n_items))
        for (i, r, t), u in self.model.u.items():
            units[r, i] += u.value * self._demand[t, i]
        return units


def _table(variable: Any, periods: int, n_items: int) -> np.ndarray:
    return np.array([[variable[i, t].value for i in range(n_items)] for t in range(periods)])


class Milp:
    """The optimum by branch and bound, or its best plan and bound within a time limit.

    Parameters
    ----------
    problem
        The problem.
    seed
        Seed of HiGHS.
    formulation
        "facility_location" or "natural".

    Raises
    ------
    ValueError
        If the formulation is unknown.
    """

    def __init__(
        self,
        problem: CapacitatedLotSizing,
        seed: int = 0,
        formulation: Literal["facility_location", "natural"] = "facility_location",
    ) -> None:
        kinds = {"facility_location": FacilityLocation, "natural": NaturalFormulation}
        if formulation not in kinds:
            raise ValueError(
                f"formulation: expected 'facility_location' or 'natural', got {formulation!r}"
            )
        self._model: Formulation = kinds[formulation](problem.n_items, problem.horizon, seed=seed)

    def solve(
        self,
        instance: CapacitatedLotSizingInstance,
        exogenous: None = None,
        time_limit: float | None = None,
    ) -> Solution:
        """Solve a batch of one."""
        start = time.perf_counter()
        model = self._model
        result = model.solve(instance, time_limit)
        actions = None
        if result.feasible:
            result = dataclasses.replace(result, objective=model.complete().objective)
            actions = model.actions(instance)
        # No cost is negative, but HiGHS's bound is where even the root takes too long.
        bound = max(0.0, result.bound or 0.0)
        return Solution(
            actions, result.objective, bound, result.status, time.perf_counter() - start
        )
