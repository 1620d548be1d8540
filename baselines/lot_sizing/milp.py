"""The lot-sizing MILP on a scenario tree, and the perfect-information solver built on it."""

from __future__ import annotations

import dataclasses
import time
from typing import Any, Literal, get_args

import numpy as np

from baselines.common.milp import HighsSession, MilpResult, import_pyomo
from baselines.common.solution import Solution
from baselines.lot_sizing.plans import play, start_plans
from baselines.lot_sizing.scenario_tree import ScenarioTree, fan
from or_envs.lot_sizing.instances import LotSizingInstance
from or_envs.lot_sizing.known_demand import KnownDemandInstance
from or_envs.lot_sizing.problem import LotSizing, LotSizingDemand, LotSizingState

Variant = Literal["exact", "relaxed", "reference"]


class LotSizingModel:
    """Minimise the expected cost over the periods of a scenario tree.

    Decisions k, with the decision k' before them, and outcomes o of probability pi, with the
    outcome o' before them, follow :class:`baselines.lot_sizing.scenario_tree.ScenarioTree`; k(o)
    is the decision of outcome o. Over the pairs (m, i) with p > 0 only: x[m, i, k] binary, machine
    m makes item i; y change-over in [0, 1]; s stock at the end of the period in [0, cap]; z lost
    sales in [0, d]; w surplus that vanishes; f binary, the store is full::

        min  sum_o pi[o] (c y[k(o)] + h s[o] + rho z[o]) - sum_{leaves o} pi[o] rho e[o]
        s[i, o] = s[i, o'] + sum_m (p x - min(l, p) y)[m, i, k(o)] - d[i, o] + z[i, o] - w[i, o]
        sum_i x[m, i, k] <= 1
        x[k] - x[k'] <= y[k] <= min(x[k], 1 - x[k'])
        w <= W f,   s >= cap f                               (surplus vanishes only at the cap)
        0 <= e[i, o] <= min(s[i, o], end_cover E[D_i])       (stock left that will be sold)

    "exact" is the environment. "relaxed" drops f: stock may be thrown away at any level, which
    makes a smaller model and a lower bound. "reference" drops w and f, as the published models
    do: no machine may run on a full store, so its optimum is no bound. Built once; demand,
    probabilities, stocks and setups are data that :meth:`solve` replaces.

    Parameters
    ----------
    problem
        The lot-sizing problem.
    instance
        A batch of one; its start state plays no role.
    tree
        Its shape is the model's.
    variant
        "exact", "relaxed" or "reference".
    end_cover
        Periods of mean demand that stock left at the end is worth its lost-sales cost for; with 0,
        it is worth nothing, as in an episode.
    mip_rel_gap
        Relative gap at which a plan counts as optimal.
    seed
        Seed of HiGHS.

    Raises
    ------
    ValueError
        If the variant is unknown, or the problem plays the accidents of the published code
        (``allow_invalid``), which the model does not have.
    """

    def __init__(
        self,
        problem: LotSizing,
        instance: LotSizingInstance,
        tree: ScenarioTree,
        variant: Variant = "exact",
        end_cover: float = 0.0,
        mip_rel_gap: float = 0.0,
        seed: int = 0,
    ) -> None:
        check_modelled(problem, variant)
        self.problem = problem.compiled()
        self.instance = instance
        self.tree = tree
        self.variant = variant
        self.pairs = [(int(m), int(i)) for m, i in np.argwhere(instance.production[0] > 0)]
        self._wanted = end_cover * instance.mean_demand[0]
        self.model = self._build()
        self._session = HighsSession(self.model, mip_rel_gap, seed)

    def _build(self) -> Any:
        pyo = import_pyomo()
        data, tree = self.instance, self.tree
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
        loss = np.minimum(data.setup_loss, data.production)[0].tolist()
        previous_decision, previous_outcome, decision = (
            numbers.tolist()
            for numbers in (tree.previous_decision, tree.previous_outcome, tree.decision)
        )
        leaves = tree.leaves.tolist() if self._wanted.any() else []
        machines, items = range(len(p)), range(len(cap))
        makers = [[m for m in machines if p[m][i] > 0] for i in items]
        model = pyo.ConcreteModel()
        model.P = pyo.Set(initialize=self.pairs, dimen=2)
        model.I = pyo.RangeSet(0, len(cap) - 1)
        model.K = pyo.RangeSet(0, len(previous_decision) - 1)
        model.O = pyo.RangeSet(0, len(decision) - 1)
        model.d = pyo.Param(model.I, model.O, mutable=True, initialize=0.0)
        model.probability = pyo.Param(model.O, mutable=True, initialize=0.0)
        model.reached = pyo.Param(model.K, mutable=True, initialize=0.0)
        model.s0 = pyo.Param(model.I, mutable=True, initialize=0.0)
        model.x0 = pyo.Param(model.P, mutable=True, initialize=0.0)
        model.x = pyo.Var(model.P, model.K, domain=pyo.Binary)
        model.y = pyo.Var(model.P, model.K, bounds=(0, 1))
        model.s = pyo.Var(model.I, model.O, bounds=lambda _, i, o: (0, cap[i]))
        model.z = pyo.Var(model.I, model.O, bounds=lambda b, i, o: (0, b.d[i, o]))
        if self.variant != "reference":
            model.w = pyo.Var(model.I, model.O, bounds=(0, None))
        model.e = pyo.Var(model.I, leaves, bounds=lambda _, i, o: (0, float(self._wanted[i])))

        @model.Objective()
        def cost(b: Any) -> Any:
            changeovers = sum(b.reached[k] * c[m][i] * b.y[m, i, k] for m, i in b.P for k in b.K)
            stock = sum(
                b.probability[o] * (holding[i] * b.s[i, o] + lost[i] * b.z[i, o])
                for i in b.I
                for o in b.O
            )
            return (
                changeovers
                + stock
                - sum(b.probability[o] * lost[i] * e for (i, o), e in b.e.items())
            )

        @model.Constraint(model.I, model.O)
        def balance(b: Any, i: int, o: int) -> Any:
            k, before = decision[o], previous_outcome[o]
            made = sum(p[m][i] * b.x[m, i, k] - loss[m][i] * b.y[m, i, k] for m in makers[i])
            vanished = 0 if self.variant == "reference" else b.w[i, o]
            stock = b.s0[i] if before < 0 else b.s[i, before]
            return b.s[i, o] == stock + made - b.d[i, o] + b.z[i, o] - vanished

        @model.Constraint(list(machines), model.K)
        def one_item(b: Any, m: int, k: int) -> Any:
            made = [b.x[m, i, k] for i in items if p[m][i] > 0]
            return sum(made) <= 1 if made else pyo.Constraint.Skip

        def found(b: Any, m: int, i: int, k: int) -> Any:
            """Whether decision k finds machine m set up for item i."""
            before = previous_decision[k]
            return b.x0[m, i] if before < 0 else b.x[m, i, before]

        @model.Constraint(model.P, model.K)
        def starts(b: Any, m: int, i: int, k: int) -> Any:
            return b.y[m, i, k] >= b.x[m, i, k] - found(b, m, i, k)

        @model.Constraint(model.P, model.K)
        def only_if_made(b: Any, m: int, i: int, k: int) -> Any:
            return b.y[m, i, k] <= b.x[m, i, k]

        @model.Constraint(model.P, model.K)
        def only_if_new(b: Any, m: int, i: int, k: int) -> Any:
            return b.y[m, i, k] <= 1 - found(b, m, i, k)

        @model.Constraint(model.I, leaves)
        def left(b: Any, i: int, o: int) -> Any:
            return b.e[i, o] <= b.s[i, o]

        if self.variant == "exact":
            # Stock is at most the cap before production, so this is the largest surplus.
            surplus = [sum(p[m][i] for m in makers[i]) for i in items]
            model.f = pyo.Var(model.I, model.O, domain=pyo.Binary)

            @model.Constraint(model.I, model.O)
            def surplus_if_full(b: Any, i: int, o: int) -> Any:
                return b.w[i, o] <= surplus[i] * b.f[i, o]

            @model.Constraint(model.I, model.O)
            def full(b: Any, i: int, o: int) -> Any:
                return b.s[i, o] >= cap[i] * b.f[i, o]

        return model

    def solve(
        self,
        state: LotSizingState,
        tree: ScenarioTree,
        time_limit: float | None = None,
        node_limit: int | None = None,
    ) -> Plan:
        """Plan from the given state.

        HiGHS starts from the best of several simple rules' plans, which is the answer if its
        limit is reached before it has found a better one: without a start its first plans for
        long horizons cost several times as much.

        Parameters
        ----------
        state
            A batch of one.
        tree
            Of the model's shape.
        time_limit
            Seconds of branch and bound.
        node_limit
            Nodes of branch and bound; unlike a time limit, it gives the same plan everywhere.
        """
        self._load(state, tree)
        starts = start_plans(self.problem, self.instance, state, tree)
        costs = self._costs(state, tree, starts)
        start = int(costs.argmin())
        self._set(state, tree, starts[start])
        result = self._session.solve(time_limit, warm_start=True, node_limit=node_limit)
        decisions, cost = starts[start], float(costs[start])
        if result.feasible:
            found = np.zeros_like(decisions)
            for (m, i, k), x in self.model.x.items():
                if x.value > 0.5:
                    found[k, m] = i + 1
            # What the plan costs when it is played: HiGHS accepts x within a tolerance of whole
            # numbers, and an incumbent of a stopped search may lose sales while there is stock.
            found_cost = float(self._costs(state, tree, found[None])[0])
            if found_cost <= cost:
                decisions, cost = found, found_cost
        return Plan(decisions, cost, result)

    def _load(self, state: LotSizingState, tree: ScenarioTree) -> None:
        if not tree.has_shape_of(self.tree):
            raise ValueError("tree: its shape is not that of the model")
        model, setup = self.model, state.setup[0]
        model.d.store_values(
            {
                (i, o): value
                for o, row in enumerate(tree.demand.tolist())
                for i, value in enumerate(row)
            }
        )
        reached = np.bincount(tree.decision, tree.probability)
        model.probability.store_values(dict(enumerate(tree.probability.tolist())))
        model.reached.store_values(dict(enumerate(reached.tolist())))
        model.s0.store_values(dict(enumerate(state.inventory[0].tolist())))
        model.x0.store_values({(m, i): float(setup[m] == i + 1) for m, i in self.pairs})

    def _costs(self, state: LotSizingState, tree: ScenarioTree, plans: np.ndarray) -> np.ndarray:
        """Objective of plans (B, K, M) when they are played; inf where the model forbids them."""
        outcomes = play(self.problem, self.instance, state, tree, plans)
        sold = np.minimum(outcomes.stock[:, tree.leaves], self._wanted)
        value = sold @ self.instance.lost_sales_cost[0] @ tree.probability[tree.leaves]
        costs: np.ndarray = outcomes.cost - value
        if self.variant == "reference":
            costs[(outcomes.overflow > 0).any(axis=(1, 2))] = np.inf
        return costs

    def _set(self, state: LotSizingState, tree: ScenarioTree, decisions: np.ndarray) -> None:
        """Give every variable its value when the plan is played."""
        model = self.model
        outcomes = play(self.problem, self.instance, state, tree, decisions[None])
        stock, lost, overflow = (
            values[0].tolist() for values in (outcomes.stock, outcomes.lost, outcomes.overflow)
        )
        found = np.concatenate([decisions, state.setup])[tree.previous_decision]  # -1: the present
        plan, before = decisions.tolist(), found.tolist()
        for (m, i, k), x in model.x.items():
            x.value = int(plan[k][m] == i + 1)
            model.y[m, i, k].value = int(plan[k][m] == i + 1 != before[k][m])
        for (i, o), s in model.s.items():
            s.value = stock[o][i]
            model.z[i, o].value = lost[o][i]
            if self.variant != "reference":
                model.w[i, o].value = overflow[o][i]
            if self.variant == "exact":
                model.f[i, o].value = int(overflow[o][i] > 0)
        for (i, o), e in model.e.items():
            e.value = min(stock[o][i], float(self._wanted[i]))


@dataclasses.dataclass(frozen=True)
class Plan:
    """Answer of a :class:`LotSizingModel`.

    Attributes
    ----------
    decisions
        Items of every decision of the tree, 0 = idle, (K, M).
    cost
        The model's objective when the plan is played through the problem's functions.
    result
        HiGHS's own account.
    """

    decisions: np.ndarray
    cost: float
    result: MilpResult


class PerfectInformation:
    """Optimal plan for a demand trace that is known in advance.

    No policy can know it: the objective is a benchmark of its own kind. The mean of the "exact"
    optimum over traces, and of every dual bound but that of "reference", is a lower bound on the
    expected cost of every policy.

    Parameters
    ----------
    problem
        The lot-sizing problem.
    seed
        Seed of HiGHS.
    variant
        "exact": the plan costs in the environment what the model says. "relaxed": a lower bound
        only, without a plan. "reference": the published models, which forbid to run on a full
        store; a plan, but no bound. See :class:`LotSizingModel`.
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
        check_modelled(problem, variant)
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
        """Plan all periods of one trace; the default is the demand of an instance that knows it.

        Raises
        ------
        ValueError
            If the trace is missing.
        """
        if exogenous is None and isinstance(instance, KnownDemandInstance):
            exogenous = LotSizingDemand(instance.demand)
        if exogenous is None:
            raise ValueError("exogenous: the perfect-information solver needs the demand trace")
        start = time.perf_counter()
        tree = fan(exogenous.demand)
        model = self._model
        if (
            model is None
            or not tree.has_shape_of(model.tree)
            or not same_data(model.instance, instance)
        ):
            model = LotSizingModel(
                self.problem,
                instance,
                tree,
                self.variant,
                mip_rel_gap=self.mip_rel_gap,
                seed=self.seed,
            )
            self._model = model
        plan = model.solve(self.problem.initial(instance), tree, time_limit)
        # No cost is negative, but HiGHS's bound is where even the root LP takes too long.
        bound = max(0.0, plan.result.bound or 0.0)
        relaxed = self.variant == "relaxed"
        return Solution(
            None if relaxed else plan.decisions,
            # A stopped search may waste, which playing does not; should HiGHS ever promise less
            # than playing costs, the referee has to see it.
            plan.result.objective if relaxed else min(plan.result.objective, plan.cost),
            # Plans that run on a full store may cost less than the reference's bound.
            None if self.variant == "reference" else bound,
            plan.result.status,
            time.perf_counter() - start,
        )


def check_modelled(problem: LotSizing, variant: str) -> None:
    """Refuse what the model is not made for.

    Raises
    ------
    ValueError
        See :class:`LotSizingModel`.
    """
    if variant not in get_args(Variant):
        raise ValueError(f"variant: expected 'exact', 'relaxed' or 'reference', got {variant!r}")
    if problem.allow_invalid:
        raise ValueError("problem: the MILP has no counterpart of allow_invalid=True")
    if not problem.sequence_independent:
        raise ValueError("problem: the MILP has no change-overs that depend on the old setup")


def same_data(a: LotSizingInstance, b: LotSizingInstance) -> bool:
    """Whether two instances differ in their start states at most."""
    return all(
        np.array_equal(getattr(a, name), getattr(b, name))
        for name in a.names()
        if not name.startswith("initial_")
    )
