"""Model C: a binary variable per aircraft and flight, to check model A on small days."""

from __future__ import annotations

from typing import Any

import numpy as np

from baselines.common.milp import import_pyomo
from baselines.uam_fleet.time_network import TimeNetwork


class IndividualModel:
    """Routes of single aircraft; K times as large as model A, and full of symmetries.

    Parameters
    ----------
    network
        The day.
    location
        Vertiport of every aircraft at the opening, (K,).
    """

    def __init__(self, network: TimeNetwork, location: np.ndarray) -> None:
        pyo = import_pyomo()
        aircraft = range(len(location))
        steps, vertiports = range(network.steps), range(len(network.start))
        flights = [(m, t) for m, t in np.argwhere(network.open).tolist()]
        self.model = model = pyo.ConcreteModel()
        model.fly = pyo.Var(aircraft, flights, within=pyo.Binary)
        model.stay = pyo.Var(aircraft, vertiports, steps, within=pyo.Binary)
        groups = [(m, g, h) for g, h in network.groups for m in range(len(network.origin))]
        model.board = pyo.Var(groups, within=pyo.NonNegativeReals)
        model.rules = pyo.ConstraintList()
        leave: dict[tuple[int, int], list[tuple[int, int]]] = {}
        come: dict[tuple[int, int], list[tuple[int, int]]] = {}
        for m, t in flights:
            leave.setdefault((int(network.origin[m]), t), []).append((m, t))
            ready = t + int(network.duration[m, t])
            come.setdefault((int(network.destination[m]), ready), []).append((m, t))
        for k in aircraft:
            for i in vertiports:
                for t in steps:
                    before: Any = model.stay[k, i, t - 1] if t else int(location[k] == i)
                    before = before + sum(model.fly[k, m, s] for m, s in come.get((i, t), []))
                    away = sum(model.fly[k, m, s] for m, s in leave.get((i, t), []))
                    model.rules.add(before == model.stay[k, i, t] + away)
        stands = network.parking + network.chargers
        for i in vertiports:
            for t in steps:
                model.rules.add(sum(model.stay[k, i, t] for k in aircraft) <= int(stands[i]))
        seats = network.setting.seats
        for m in range(len(network.origin)):
            for g in range(len(network.arrivals)):
                mine = [model.board[m, a, h] for a, h in network.groups if a == g]
                model.rules.add(sum(mine) <= int(network.arrivals[g, m]))
            for h in range(len(network.arrivals)):
                mine = [model.board[m, g, b] for g, b in network.groups if b == h]
                flown = [
                    model.fly[k, m, t]
                    for k in aircraft
                    for t in steps
                    if network.bin[t] == h and network.open[m, t]
                ]
                model.rules.add(sum(mine) <= seats * sum(flown))
        model.loss = pyo.Objective(
            expr=sum(float(network.cost[m]) * x for (_, m, _), x in model.fly.items())
            - sum(float(network.margin[h, m]) * p for (m, _, h), p in model.board.items())
        )
