"""Compact integer programs of TSP, ATSP and CVRP, for small sizes: pyomo models on HiGHS."""

from __future__ import annotations

import time
from typing import Any, Literal

import numpy as np

from baselines.common.checks import check_problem
from baselines.common.milp import HighsSession, import_pyomo
from baselines.common.solution import Solution
from baselines.routing.plans import route_actions
from or_envs.core import AnyProblem
from or_envs.routing import metric
from or_envs.routing.atsp import ATSP
from or_envs.routing.cvrp import CVRP
from or_envs.routing.tsp import TSP

Formulation = Literal["flow", "mtz"]


class Compact:
    """All constraints at once, a polynomial number of them; weaker than lazy subtour cuts.

    - "flow": goods flow from node 0 along the chosen arcs, and every node keeps its demand (Gavish
      and Graves 1978; a tour is a vehicle for N - 1 customers of demand 1).
    - "mtz": the load after a node is at least that before it and its demand (Miller, Tucker and
      Zemlin 1960, lifted as by Desrochers and Laporte 1991).

    Parameters
    ----------
    problem
        A TSP, ATSP or CVRP; models grow with the square of the number of nodes.
    seed
        HiGHS's ``random_seed``.
    formulation
        "flow" or "mtz".

    Raises
    ------
    ValueError
        If the problem or the formulation is another.
    ImportError
        If pyomo or highspy is missing.
    """

    def __init__(
        self, problem: AnyProblem, seed: int = 0, formulation: Formulation = "flow"
    ) -> None:
        check_problem(problem, TSP, ATSP, CVRP)
        if formulation not in ("flow", "mtz"):
            raise ValueError(f"formulation: expected 'flow' or 'mtz', got {formulation!r}")
        self._pyo = import_pyomo()
        self.problem = problem
        self.seed = seed
        self.formulation = formulation

    def solve(
        self, instance: Any, exogenous: None = None, time_limit: float | None = None
    ) -> Solution:
        """Solve to optimality, or return the best routes and the bound at the time limit.

        Raises
        ------
        ValueError
            If a customer has no demand: without, nothing ties it to the depot.
        """
        start = time.perf_counter()
        distances = metric.matrix(instance)
        if isinstance(self.problem, CVRP):
            demand, capacity = instance.demand[0], float(instance.capacity[0])
            if (demand[1:] <= 0).any():
                raise ValueError("demand: expected > 0 at every customer, got 0")
            fewest, most = int(np.ceil(demand.sum() / capacity - 1e-9)), len(demand) - 1
        else:
            demand = np.concatenate([[0.0], np.ones(len(distances) - 1)])
            capacity, fewest, most = float(demand.sum()), 1, 1
        model = self._model(distances, demand, capacity, fewest, most)
        result = HighsSession(model, seed=self.seed).solve(time_limit)
        seconds = time.perf_counter() - start
        if not result.feasible:
            return Solution(None, np.inf, result.bound, result.status, seconds)
        following = {i: j for (i, j), x in model.drive.items() if i and x.value > 0.5}
        starts = [j for (i, j), x in model.drive.items() if not i and x.value > 0.5]
        routes = []
        for node in starts:
            route = []
            while node:
                route.append(node)
                node = following[node]
            routes.append(route)
        objective = sum(float(distances[[0, *route], [*route, 0]].sum()) for route in routes)
        if isinstance(self.problem, CVRP):
            actions = route_actions(self.problem, routes)
        else:
            actions = np.array(routes[0], dtype=np.int64)
        bound = None if result.bound is None else min(result.bound, objective)
        return Solution(actions, objective, bound, result.status, seconds)

    def _model(
        self, distances: np.ndarray, demand: np.ndarray, capacity: float, fewest: int, most: int
    ) -> Any:
        pyo = self._pyo
        model = pyo.ConcreteModel()
        nodes = range(len(distances))
        customers = nodes[1:]
        arcs = [(i, j) for i in nodes for j in nodes if i != j]
        model.drive = pyo.Var(arcs, within=pyo.Binary)
        x = model.drive
        model.cost = pyo.Objective(expr=sum(float(distances[i, j]) * x[i, j] for i, j in arcs))
        model.leave = pyo.Constraint(
            customers, rule=lambda m, i: sum(x[i, j] for j in nodes if j != i) == 1
        )
        model.enter = pyo.Constraint(
            customers, rule=lambda m, i: sum(x[j, i] for j in nodes if j != i) == 1
        )
        model.vehicles = pyo.Constraint(expr=(fewest, sum(x[0, j] for j in customers), most))
        q = [float(units) for units in demand]
        if self.formulation == "flow":
            model.goods = pyo.Var(arcs, within=pyo.NonNegativeReals)
            f = model.goods
            model.keep = pyo.Constraint(
                customers,
                rule=lambda m, i: sum(f[j, i] - f[i, j] for j in nodes if j != i) == q[i],
            )
            # Goods for i are left before it, and those for j still to come.
            model.room = pyo.Constraint(
                arcs, rule=lambda m, i, j: f[i, j] <= (capacity - q[i]) * x[i, j]
            )
            model.need = pyo.Constraint(arcs, rule=lambda m, i, j: f[i, j] >= q[j] * x[i, j])
        else:
            model.loaded = pyo.Var(customers, bounds=lambda m, i: (q[i], capacity))
            u = model.loaded

            def order(m: Any, i: int, j: int) -> Any:
                slack = capacity * (1 - x[i, j]) - (capacity - q[i] - q[j]) * x[j, i]
                return u[i] - u[j] + q[j] <= slack

            pairs = [(i, j) for i, j in arcs if i and j and q[i] + q[j] <= capacity]
            model.order = pyo.Constraint(pairs, rule=order)
            model.apart = pyo.Constraint(
                [(i, j) for i, j in arcs if i and j and q[i] + q[j] > capacity],
                rule=lambda m, i, j: x[i, j] == 0,
            )
        return model
