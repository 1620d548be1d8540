"""The best plan for a known day: model A as a mixed-integer program, flown in the environment."""

from __future__ import annotations

import time
from typing import Any

import numpy as np

from baselines.common.milp import HighsSession, import_pyomo
from baselines.common.solution import Solution
from baselines.uam_fleet.bounds import LinearBound, check_money
from baselines.uam_fleet.pilot import Pilot
from baselines.uam_fleet.time_network import TimeNetwork, time_network
from or_envs.core import simulate
from or_envs.uam_fleet.instances import UAMInstance, UAMTape
from or_envs.uam_fleet.problem import UAMFleet


class Hindsight:
    """Plan with durations rounded up, let aircraft follow the plan, and report what they earn.

    Where staying takes one step, every vertiport has chargers and there are no corridors or
    failures, all flights of the plan are flown in their steps; elsewhere the aircraft come close.
    Passengers board at once: what a plan earns by keeping some for a dearer bin is lost. The bound
    is that of :class:`baselines.uam_fleet.bounds.LinearBound`.

    Parameters
    ----------
    problem
        A fleet with dense or terminal rewards.
    seed
        HiGHS's random seed.
    step
        Minutes.
    mip_rel_gap
        Relative gap at which a plan is good enough.

    Raises
    ------
    ValueError
        If the problem does not fit; in ``solve`` if the tape is missing.
    ImportError
        If pyomo or highspy is missing.
    """

    def __init__(
        self, problem: UAMFleet, seed: int = 0, step: float = 5.0, mip_rel_gap: float = 1e-3
    ) -> None:
        check_money(problem)
        import_pyomo()
        self.problem = problem
        self.seed = seed
        self.step = step
        self.mip_rel_gap = mip_rel_gap

    def solve(
        self,
        instance: UAMInstance,
        exogenous: UAMTape | None = None,
        time_limit: float | None = None,
    ) -> Solution:
        """Plan for a batch of one within ``time_limit`` seconds of HiGHS."""
        start = time.perf_counter()
        if exogenous is None:
            raise ValueError("exogenous: the hindsight solver needs the tape of the day")
        bound = LinearBound(self.problem, step=self.step).solve(instance, exogenous).bound
        network = time_network(self.problem, instance, exogenous, self.step, "up")
        model = AggregatedModel(network, cuts=True, reserve=True)
        result = HighsSession(model.model, self.mip_rel_gap, self.seed).solve(time_limit)
        if not result.feasible:
            seconds = time.perf_counter() - start
            return Solution(None, np.inf, bound, result.status, seconds)
        pilot = Pilot(self.problem, network, model.departures())
        rollout = simulate(self.problem, pilot, instance, exogenous)
        status = "feasible" if result.status == "optimal" else result.status
        return Solution(
            rollout.actions[0],
            -float(rollout.total_reward[0]),
            bound,
            status,
            time.perf_counter() - start,
        )


class AggregatedModel:
    """Model A in pyomo: what :mod:`baselines.uam_fleet.linear_model` states as matrices.

    Parameters
    ----------
    network
        The day.
    cuts, reserve
        As for :class:`baselines.uam_fleet.linear_model.LinearModel`.
    integer
        Whether aircraft are whole.
    """

    def __init__(
        self,
        network: TimeNetwork,
        cuts: bool = True,
        reserve: bool = False,
        integer: bool = True,
    ) -> None:
        pyo = import_pyomo()
        self.network = network
        steps, routes = range(network.steps), range(len(network.origin))
        vertiports, bins = range(len(network.start)), range(len(network.arrivals))
        self.model = model = pyo.ConcreteModel()
        whole = pyo.NonNegativeIntegers if integer else pyo.NonNegativeReals
        model.fly = pyo.Var(
            [(m, t) for m in routes for t in steps if network.open[m, t]], within=whole
        )
        stands = network.parking if reserve else network.parking + network.chargers
        model.idle = pyo.Var(
            vertiports, steps, within=pyo.NonNegativeReals, bounds=lambda _, i, t: (0, stands[i])
        )
        model.board = pyo.Var(
            [(m, g, h) for g, h in network.groups for m in routes if network.arrivals[g, m] > 0],
            within=pyo.NonNegativeReals,
        )
        departures: dict[tuple[int, int], list[Any]] = {
            (i, t): [] for i in vertiports for t in steps
        }
        arrivals: dict[tuple[int, int], list[Any]] = {(i, t): [] for i in vertiports for t in steps}
        held: dict[tuple[int, int], list[Any]] = {(i, t): [] for i in vertiports for t in steps}
        flights: dict[tuple[int, int], list[Any]] = {(m, h): [] for m in routes for h in bins}
        for (m, t), variable in model.fly.items():
            ready = t + int(network.duration[m, t])
            departures[int(network.origin[m]), t].append(variable)
            if ready < network.steps:
                arrivals[int(network.destination[m]), ready].append(variable)
            for later in range(t, min(ready + 1, network.steps)):
                held[int(network.destination[m]), later].append(variable)
            flights[m, int(network.bin[t])].append(variable)

        def balance(_: Any, i: int, t: int) -> Any:
            before = model.idle[i, t - 1] if t else int(network.start[i])
            return before + sum(arrivals[i, t]) == model.idle[i, t] + sum(departures[i, t])

        model.balance = pyo.Constraint(vertiports, steps, rule=balance)
        boarded: dict[tuple[int, int], list[tuple[int, Any]]] = {key: [] for key in flights}
        for (m, g, h), variable in model.board.items():
            boarded[m, h].append((g, variable))
        seats = network.setting.seats
        model.rules = pyo.ConstraintList()
        of_group: dict[tuple[int, int], list[tuple[int, Any]]] = {}
        for (m, h), people in boarded.items():
            if not people:
                continue
            total = sum(variable for _, variable in people)
            model.rules.add(total <= seats * sum(flights[m, h]))
            if cuts and network.setting.patience is not None:
                came = sum(int(network.arrivals[g, m]) for g, _ in people)
                self._round(total, came, flights[m, h])
                for g, variable in people:
                    self._round(variable, int(network.arrivals[g, m]), flights[m, h])
            for g, variable in people:
                of_group.setdefault((m, g), []).append((h, variable))
        for (m, g), people in of_group.items():
            came, total = int(network.arrivals[g, m]), sum(variable for _, variable in people)
            model.rules.add(total <= came)
            if cuts and network.setting.patience is not None:
                self._round(total, came, [x for h, _ in people for x in flights[m, h]])
        if cuts and network.setting.patience is None:
            for m in routes:
                mine = [v for h in bins for _, v in boarded[m, h]]
                every = [x for h in bins for x in flights[m, h]]
                if mine:
                    self._round(sum(mine), int(network.arrivals[:, m].sum()), every)
        if reserve:
            for (i, t), kept in held.items():
                if network.chargers[i] > 0:
                    room, own = int(network.chargers[i]), 0
                else:
                    room, own = int(network.parking[i]), model.idle[i, t]
                if kept:
                    model.rules.add(sum(kept) + own <= room)
        model.loss = pyo.Objective(
            expr=sum(float(network.cost[m]) * x for (m, _), x in model.fly.items())
            - sum(float(network.margin[h, m]) * p for (m, _, h), p in model.board.items())
        )

    def _round(self, people: Any, came: int, flights: list[Any]) -> None:
        """At most ``came`` people fly with these flights: mixed-integer rounding."""
        seats = self.network.setting.seats
        needed = -(-came // seats)
        last = came - seats * (needed - 1)
        if last < seats:
            self.model.rules.add(people <= came - last * (needed - sum(flights)))

    def departures(self) -> np.ndarray:
        """Flights of the solution, integers (M, T)."""
        flown = np.zeros(self.network.open.shape, dtype=np.int64)
        for (m, t), variable in self.model.fly.items():
            flown[m, t] = round(variable.value)
        return flown
