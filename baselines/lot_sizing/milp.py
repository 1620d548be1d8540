"""The deterministic lot-sizing MILP, and the perfect-information solver built on it."""

from __future__ import annotations

import dataclasses
import time
from typing import Any, Literal

import numpy as np

from baselines.common.milp import HighsSession, MilpResult, import_pyomo
from baselines.common.solution import Solution
from baselines.lot_sizing.rules import GreedyCover
from or_envs.lot_sizing.instances import LotSizingInstance
from or_envs.lot_sizing.problem import LotSizing, LotSizingDemand, LotSizingState

Variant = Literal["exact", "relaxed"]


class LotSizingModel:
    """Minimise the cost of known demand over a fixed number of periods.

    Over the pairs (m, i) with p > 0 only: x[m, i, t] binary, machine m makes item i; y change-over
    in [0, 1]; s stock at the end of the period in [0, cap]; z lost sales in [0, d]; w surplus that
    vanishes; f binary, the store is full::

        min  sum c y + h s + rho z - sum_i rho e[i]
        s[i, t] = s[i, t-1] + sum_m (p x - min(l, p) y) - d + z - w
        sum_i x[m, i, t] <= 1
        x[t] - x[t-1] <= y <= min(x[t], 1 - x[t-1])
        w <= W f,   s >= cap f                               (surplus vanishes only at the cap)
        0 <= e[i] <= min(s[i, last], end_cover E[D_i])       (stock left that will be sold)

    "exact" is the environment. "relaxed" drops f: stock may be thrown away at any level, which
    makes a smaller model and a lower bound. Built once; demand, stocks and setups are data that
    :meth:`solve` replaces.

    Parameters
    ----------
    problem
        The lot-sizing problem.
    instance
        A batch of one; its start state plays no role.
    periods
        Length of the model.
    variant
        "exact" or "relaxed".
    end_cover
        Periods of mean demand that stock left at the end is worth its lost-sales cost for; with 0,
        it is worth nothing, as in an episode.
    mip_rel_gap
        Relative gap at which a plan counts as optimal.
    seed
        Seed of HiGHS.
    """

    def __init__(
        self,
        problem: LotSizing,
        instance: LotSizingInstance,
        periods: int,
        variant: Variant = "exact",
        end_cover: float = 0.0,
        mip_rel_gap: float = 0.0,
        seed: int = 0,
    ) -> None:
        self.problem = problem
        self.instance = instance
        self.periods = periods
        self.variant = variant
        self.pairs = [(int(m), int(i)) for m, i in np.argwhere(instance.production[0] > 0)]
        self.model = self._build(end_cover)
        self._session = HighsSession(self.model, mip_rel_gap, seed)

    def _build(self, end_cover: float) -> Any:
        pyo = import_pyomo()
        data = self.instance
        p, c, holding, lost, cap = (
            field[0].tolist()
            for field in (
                data.production,
                data.setup_cost,
                data.holding_cost,
                data.lost_sales_cost,
                data.max_inventory,
            )
        )
        wanted = (end_cover * data.mean_demand[0]).tolist()
        loss = np.minimum(data.setup_loss, data.production)[0].tolist()
        machines, items = range(len(p)), range(len(cap))
        makers = [[m for m in machines if p[m][i] > 0] for i in items]
        model = pyo.ConcreteModel()
        model.P = pyo.Set(initialize=self.pairs, dimen=2)
        model.I = pyo.RangeSet(0, len(cap) - 1)
        model.T = pyo.RangeSet(0, self.periods - 1)
        model.d = pyo.Param(model.I, model.T, mutable=True, initialize=0.0)
        model.s0 = pyo.Param(model.I, mutable=True, initialize=0.0)
        model.x0 = pyo.Param(model.P, mutable=True, initialize=0.0)
        model.x = pyo.Var(model.P, model.T, domain=pyo.Binary)
        model.y = pyo.Var(model.P, model.T, bounds=(0, 1))
        model.s = pyo.Var(model.I, model.T, bounds=lambda _, i, t: (0, cap[i]))
        model.z = pyo.Var(model.I, model.T, bounds=lambda b, i, t: (0, b.d[i, t]))
        model.w = pyo.Var(model.I, model.T, bounds=(0, None))
        model.e = pyo.Var(model.I, bounds=lambda _, i: (0, wanted[i]))

        @model.Objective()
        def cost(b: Any) -> Any:
            changeovers = sum(c[m][i] * b.y[m, i, t] for m, i in b.P for t in b.T)
            stock = sum(holding[i] * b.s[i, t] + lost[i] * b.z[i, t] for i in b.I for t in b.T)
            return changeovers + stock - sum(lost[i] * b.e[i] for i in b.I)

        @model.Constraint(model.I, model.T)
        def balance(b: Any, i: int, t: int) -> Any:
            before = b.s[i, t - 1] if t else b.s0[i]
            made = sum(p[m][i] * b.x[m, i, t] - loss[m][i] * b.y[m, i, t] for m in makers[i])
            return b.s[i, t] == before + made - b.d[i, t] + b.z[i, t] - b.w[i, t]

        @model.Constraint(list(machines), model.T)
        def one_item(b: Any, m: int, t: int) -> Any:
            made = [b.x[m, i, t] for i in items if p[m][i] > 0]
            return sum(made) <= 1 if made else pyo.Constraint.Skip

        @model.Constraint(model.P, model.T)
        def starts(b: Any, m: int, i: int, t: int) -> Any:
            return b.y[m, i, t] >= b.x[m, i, t] - (b.x[m, i, t - 1] if t else b.x0[m, i])

        @model.Constraint(model.P, model.T)
        def only_if_made(b: Any, m: int, i: int, t: int) -> Any:
            return b.y[m, i, t] <= b.x[m, i, t]

        @model.Constraint(model.P, model.T)
        def only_if_new(b: Any, m: int, i: int, t: int) -> Any:
            return b.y[m, i, t] <= 1 - (b.x[m, i, t - 1] if t else b.x0[m, i])

        @model.Constraint(model.I)
        def left(b: Any, i: int) -> Any:
            return b.e[i] <= b.s[i, b.T.last()]

        if self.variant == "exact":
            # Stock is at most the cap before production, so this is the largest surplus.
            surplus = [sum(p[m][i] for m in makers[i]) for i in items]
            model.f = pyo.Var(model.I, model.T, domain=pyo.Binary)

            @model.Constraint(model.I, model.T)
            def surplus_if_full(b: Any, i: int, t: int) -> Any:
                return b.w[i, t] <= surplus[i] * b.f[i, t]

            @model.Constraint(model.I, model.T)
            def full(b: Any, i: int, t: int) -> Any:
                return b.s[i, t] >= cap[i] * b.f[i, t]

        return model

    def solve(
        self,
        state: LotSizingState,
        demand: np.ndarray,
        start: np.ndarray,
        time_limit: float | None = None,
    ) -> tuple[np.ndarray, MilpResult]:
        """Plan from the given state.

        Parameters
        ----------
        state
            A batch of one.
        demand
            Units, (periods, n).
        start
            A plan (periods, M) to improve. Without one HiGHS's first plans for long horizons
            cost several times as much as a simple rule's. It is the answer if time runs out
            before HiGHS has looked at it.
        time_limit
            Seconds of branch and bound.

        Returns
        -------
        tuple
            Items (periods, M), 0 = idle, and the result.
        """
        model, setup = self.model, state.setup[0]
        model.d.store_values(
            {(i, t): value for t, row in enumerate(demand.tolist()) for i, value in enumerate(row)}
        )
        model.s0.store_values(dict(enumerate(state.inventory[0].tolist())))
        model.x0.store_values({(m, i): float(setup[m] == i + 1) for m, i in self.pairs})
        before = self._complete(state, demand, start)
        result = self._session.solve(time_limit, warm_start=True)
        actions = start
        if result.feasible:
            actions = np.zeros_like(start)
            for (m, i, t), x in model.x.items():
                if x.value > 0.5:
                    actions[t, m] = i + 1
        after = self._complete(state, demand, actions)
        return actions, dataclasses.replace(
            result,
            objective=after.objective,
            seconds=before.seconds + result.seconds + after.seconds,
        )

    def _complete(
        self, state: LotSizingState, demand: np.ndarray, actions: np.ndarray
    ) -> MilpResult:
        """Solve for everything but the plan; the cheapest completion is what really happens.

        HiGHS accepts x within a tolerance of whole numbers, and where it stops early an incumbent
        may lose sales while there is stock; a completed plan does neither.
        """
        model = self.model
        for (m, i, t), x in model.x.items():
            x.fix(int(actions[t, m] == i + 1))
        if self.variant == "exact":
            # Known, once x is; left to HiGHS, these binaries take 15 times as long.
            full = self._full(state, demand, actions)
            for (i, t), f in model.f.items():
                f.fix(int(full[t, i]))
        result = self._session.solve()
        model.x.unfix()
        if self.variant == "exact":
            model.f.unfix()
        return result

    def _full(self, state: LotSizingState, demand: np.ndarray, actions: np.ndarray) -> np.ndarray:
        """Where stock above the cap vanishes when the plan is played, bool (periods, n)."""
        full = []
        for action, units in zip(actions, demand, strict=True):
            post_state, _ = self.problem.post_decision(self.instance, state, action[None])
            full.append(post_state.inventory[0] - units > self.instance.max_inventory[0])
            state, _, _ = self.problem.transition(
                self.instance, post_state, LotSizingDemand(units[None])
            )
        return np.stack(full)


class PerfectInformation:
    """Optimal plan for a demand trace that is known in advance.

    No policy can know it: the objective is a benchmark of its own kind, and its mean over traces
    is a lower bound on the expected cost of every policy.

    Parameters
    ----------
    problem
        The lot-sizing problem.
    seed
        Seed of HiGHS.
    variant
        "exact": the plan costs in the environment what the model says. "relaxed": a lower bound
        only, without a plan; see :class:`LotSizingModel`.
    mip_rel_gap
        Relative gap at which a plan counts as optimal.

    Raises
    ------
    ValueError
        If the variant is unknown, or the problem plays the accidents of the published code
        (``allow_invalid``), which the model does not have.
    """

    def __init__(
        self,
        problem: LotSizing,
        seed: int = 0,
        variant: Variant = "exact",
        mip_rel_gap: float = 0.0,
    ) -> None:
        if variant not in ("exact", "relaxed"):
            raise ValueError(f"variant: expected 'exact' or 'relaxed', got {variant!r}")
        if problem.allow_invalid:
            raise ValueError("problem: the MILP has no counterpart of allow_invalid=True")
        self.problem = problem
        self.seed = seed
        self.variant: Variant = variant
        self.mip_rel_gap = mip_rel_gap
        self._model: LotSizingModel | None = None

    def solve(
        self,
        instance: LotSizingInstance,
        exogenous: LotSizingDemand | None = None,
        time_limit: float | None = None,
    ) -> Solution:
        """Plan all periods of one trace.

        Raises
        ------
        ValueError
            If the trace is missing.
        """
        if exogenous is None:
            raise ValueError("exogenous: the perfect-information solver needs the demand trace")
        start = time.perf_counter()
        demand = exogenous.demand[0]
        model = self._model
        if model is None or model.periods != len(demand) or not same_data(model.instance, instance):
            model = LotSizingModel(
                self.problem,
                instance,
                len(demand),
                self.variant,
                mip_rel_gap=self.mip_rel_gap,
                seed=self.seed,
            )
            self._model = model
        state = self.problem.initial(instance)
        start_plan = greedy_plan(self.problem, instance, state, demand)
        actions, result = model.solve(state, demand, start_plan, time_limit)
        return Solution(
            actions if self.variant == "exact" else None,
            result.objective,
            # No cost is negative, but HiGHS's bound is where even the root LP takes too long.
            max(0.0, result.bound or 0.0),
            result.status,
            time.perf_counter() - start,
        )


def greedy_plan(
    problem: LotSizing, instance: LotSizingInstance, state: LotSizingState, demand: np.ndarray
) -> np.ndarray:
    """Decisions (T, M) of an untuned greedy cover rule that meets the demand (T, n)."""
    rule = GreedyCover(cover=2.0, setup_weight=0.3, stay_bonus=4.0)
    actions = []
    for units in demand:
        action = rule(instance, state)
        actions.append(action[0])
        post_state, _ = problem.post_decision(instance, state, action)
        state, _, _ = problem.transition(instance, post_state, LotSizingDemand(units[None]))
    return np.stack(actions)


def same_data(a: LotSizingInstance, b: LotSizingInstance) -> bool:
    """Whether two instances differ in their start states at most."""
    return all(
        np.array_equal(getattr(a, name), getattr(b, name))
        for name in a.names()
        if not name.startswith("initial_")
    )
