"""Model B: batteries in levels, so that aircraft may charge when and as much as they like."""

from __future__ import annotations

import time

import numpy as np

from baselines.common.solution import Solution
from baselines.uam_fleet.bounds import check_money
from baselines.uam_fleet.linear_model import LinearModel
from baselines.uam_fleet.sparse import Rows
from baselines.uam_fleet.time_network import TimeNetwork, time_network
from or_envs.uam_fleet.instances import UAMInstance, UAMTape
from or_envs.uam_fleet.problem import UAMFleet


class BatteryModel(LinearModel):
    """The relaxation over vertiports, steps and battery levels.

    A level is what a charger gives in a step. Flights take floor(energy / level) levels and need no
    more than that; full batteries have ceil(battery / level). Since floors add up to no more than
    the floor of the sum, and durations are rounded down, every real day is a plan of the model,
    also with chargers that are taken, stops without chargers and partial charges: it is a bound.

    Parameters
    ----------
    network
        A day with ``ground=False``.
    cuts
        Whether to add mixed-integer rounding.
    """

    def __init__(self, network: TimeNetwork, cuts: bool = True) -> None:
        setting = network.setting
        self.level = setting.power * network.step / 60
        self.top = int(np.ceil(setting.battery / self.level - 1e-9))
        self.drop = np.floor(network.energy / self.level).astype(np.int64)
        super().__init__(network, cuts)

    def _add_flow(self, rows: Rows, columns: int) -> tuple[np.ndarray, np.ndarray]:
        network, variables = self.network, self.variables
        n, steps = variables.idle.shape
        levels = self.top + 1
        # Flights by level, and aircraft that stay or charge.
        number = np.repeat(np.arange(len(variables.route)), levels)
        level = np.tile(np.arange(levels), len(variables.route))
        able = level >= self.drop[variables.route[number]]
        number, level = number[able], level[able]
        flights = columns + np.arange(len(number))
        shape = (n, steps, levels)
        cells = np.arange(n * steps * levels).reshape(shape)
        stays = columns + len(number) + cells
        charges = stays + cells.size
        route, step = variables.route[number], variables.step[number]
        later = step + network.duration[route, step]
        lands = later < steps
        origin, destination = network.origin[route], network.destination[route]
        left = level - self.drop[route]
        source = np.zeros(shape)
        source[:, 0, self.top] = network.start
        rows.add(
            source.ravel(),
            source.ravel(),
            (cells[origin, step, level], flights, 1.0),
            (
                cells[destination[lands], later[lands], left[lands]],
                flights[lands],
                -1.0,
            ),
            (cells.ravel(), stays.ravel(), 1.0),
            (cells.ravel(), charges.ravel(), 1.0),
            (cells[:, 1:].ravel(), stays[:, :-1].ravel(), -1.0),
            (cells[:, 1:, 1:].ravel(), charges[:, :-1, :-1].ravel(), -1.0),
        )
        # What the rest of the model counts: departures and aircraft on the ground.
        departures = np.arange(len(variables.route))
        rows.add(
            np.zeros(len(departures)),
            np.zeros(len(departures)),
            (number, flights, 1.0),
            (departures, departures, -1.0),
        )
        ground = np.arange(n * steps)
        of_cell = np.repeat(ground, levels)
        rows.add(
            np.zeros(n * steps),
            np.zeros(n * steps),
            (of_cell, stays.ravel(), 1.0),
            (of_cell, charges.ravel(), 1.0),
            (ground, variables.idle.ravel(), -1.0),
        )
        rows.add(
            -np.inf,
            np.repeat(network.chargers.astype(float), steps),
            (of_cell, charges.ravel(), 1.0),
        )
        cost = np.zeros(len(number) + 2 * cells.size)
        cost[len(number) + cells.size :] = network.setting.electricity_price * self.level
        limit = np.full(len(cost), np.inf)
        limit[charges[:, :, -1].ravel() - columns] = 0.0  # a full battery takes no more
        return cost, limit

    def _price(self, duals: np.ndarray) -> np.ndarray:
        """What one more full aircraft earns, (N, T)."""
        n, steps = self.variables.idle.shape
        levels = self.top + 1
        price: np.ndarray = -duals[: n * steps * levels].reshape(n, steps, levels)[:, :, -1]
        return price


class BatteryBound:
    """Bound on every way to play a known day, by :class:`BatteryModel`; for small days.

    Parameters
    ----------
    problem
        A fleet with dense or terminal rewards.
    seed
        Unused: nothing is random.
    step
        Minutes.

    Raises
    ------
    ValueError
        If the problem does not fit; in ``solve`` if the tape is missing.
    """

    def __init__(self, problem: UAMFleet, seed: int = 0, step: float = 5.0) -> None:
        check_money(problem)
        self.problem = problem
        self.step = step

    def solve(
        self,
        instance: UAMInstance,
        exogenous: UAMTape | None = None,
        time_limit: float | None = None,
    ) -> Solution:
        """Return the bound; there is nothing to play."""
        start = time.perf_counter()
        if exogenous is None:
            raise ValueError("exogenous: the bound of a day needs its tape")
        network = time_network(self.problem, instance, exogenous, self.step, "down", ground=False)
        profit = BatteryModel(network).solve().profit
        return Solution(None, np.inf, -profit, "relaxation", time.perf_counter() - start)
