"""Plan the next hours from the true state, fly the first bin of the plan, plan again."""

from __future__ import annotations

import dataclasses
import math

import numpy as np

from baselines.common.checks import check_at_least
from baselines.uam_fleet.bid_price import BidPrice
from baselines.uam_fleet.forecast import to_arrive
from baselines.uam_fleet.sparse import Rows, solve_integer
from baselines.uam_fleet.time_network import TimeNetwork, time_network
from or_envs.uam_fleet.instances import UAMInstance, UAMTape
from or_envs.uam_fleet.problem import UAMFleet, UAMState

#: Flights of a route in a bin whose further passengers are counted one by one.
_COUNTED = 6


class RollingHorizon:
    """Model-predictive control with model A over a few hours.

    With every bin a plan is made from where aircraft are and who waits. Passengers of later bins
    are Poisson around what is announced, so the n-th flight of a route and bin is expected to carry
    E min(D, seats n) - E min(D, seats (n - 1)); half of the bin before is expected to wait still.
    Delays are the announced ones, closures those of the hour. At its end an aircraft is worth its
    bid price. Where aircraft are ready that the plan has no flight for, they stay; a planned flight
    that is not allowed is replaced by the rule of bid prices.

    Parameters
    ----------
    problem
        A fleet.
    seed
        Of the tapes behind the bid prices, and of HiGHS.
    minutes
        Of a plan, at most the rest of the day.
    step
        Minutes of a step.
    num_tapes
        Of the bid prices.
    mip_rel_gap, time_limit
        Of a plan; seconds.

    Raises
    ------
    ValueError
        If an argument is outside its range.
    """

    def __init__(
        self,
        problem: UAMFleet,
        seed: int = 0,
        minutes: int = 150,
        step: float = 5.0,
        num_tapes: int = 3,
        mip_rel_gap: float = 0.01,
        time_limit: float = 5.0,
    ) -> None:
        check_at_least(problem.setting.bin, minutes=minutes)
        if not time_limit > 0:
            raise ValueError(f"time_limit: expected a number > 0, got {time_limit!r}")
        self.problem = problem.compiled()
        self.seed = seed
        self.minutes = minutes
        self.step = step
        self.mip_rel_gap = mip_rel_gap
        self.time_limit = time_limit
        self.prices = BidPrice(problem, seed, num_tapes)
        self._day: UAMInstance | None = None
        self._plans: list[_Plan | None] = []

    def __call__(self, instance: UAMInstance, state: UAMState) -> np.ndarray:
        """Return the destinations, (B,)."""
        actions = self.prices(instance, state)
        mask = self.problem.action_mask(instance, state)
        if self._day is not instance:
            self._day, self._plans = instance, [None] * state.num
        for row in range(state.num):
            k = int(state.ready[row].argmin())
            now, here = float(state.ready[row, k]), int(state.location[row, k])
            if now >= self.problem.closing:
                continue
            bin = int(state.bin[row])
            plan = self._plans[row]
            if plan is None or plan.bin != bin or now < plan.made:
                one = np.array([row])
                prices = self.prices.prices.of_day(instance.rows(one))
                plan = self._make(instance.rows(one), state.rows(one), prices)
                self._plans[row] = plan
            planned = plan.flights[here]
            if not planned.any():
                if mask[row, here]:
                    actions[row] = here
                continue
            possible = np.flatnonzero((planned > 0) & mask[row])
            # The rule's choice stands if the plan agrees, or has nothing that is allowed.
            if len(possible) and actions[row] not in possible:
                actions[row] = possible[0]
            if actions[row] != here and planned[actions[row]] > 0:
                planned[actions[row]] -= 1
        return actions

    def _make(self, instance: UAMInstance, state: UAMState, prices: np.ndarray) -> _Plan:
        """Plan for a batch of one."""
        setting = self.problem.setting
        bin, now = int(state.bin[0]), float(state.ready[0].min())
        whole_day = expected_network(self.problem, instance, state, self.step)
        first = round(bin * setting.bin / self.step)
        until = min(first + round(self.minutes / self.step), whole_day.steps)
        window = _Window(whole_day, first, until)
        flights = self._optimise(instance, state, window, prices)
        plan = np.zeros((setting.num_vertiports, setting.num_vertiports), dtype=np.int64)
        soon = whole_day.bin[first:until] == bin
        counts = flights[:, soon].sum(axis=1)
        np.add.at(plan, (whole_day.origin, whole_day.destination), counts)
        return _Plan(bin, now, plan)

    def _optimise(
        self, instance: UAMInstance, state: UAMState, window: _Window, prices: np.ndarray
    ) -> np.ndarray:
        """Departures (M, W) of the window's steps."""
        network, setting = window.network, self.problem.setting
        n, steps = setting.num_vertiports, window.steps
        routes = len(network.origin)
        route, step = np.nonzero(network.open[:, window.first : window.until])
        lands = step + network.duration[route, step + window.first]
        bins = network.bin[window.first : window.until]
        gains = self._gains(instance, state, window)
        bin_count, _, counted = gains.shape
        idle = len(route) + np.arange(n * steps).reshape(n, steps)
        first = len(route) + n * steps
        share = first + np.arange(gains.size).reshape(gains.shape)
        cost = np.zeros(first + gains.size)
        limit = np.full(len(cost), np.inf)
        # What an aircraft is worth at the end of the plan.
        ends = lands >= steps
        index = np.minimum(window.first + lands, prices.shape[1] - 1)
        worth = np.where(ends, prices[network.destination[route], index], 0.0)
        cost[: len(route)] = network.cost[route] - worth
        cost[idle[:, -1]] = -prices[:, window.until]
        cost[share.ravel()] = -gains.ravel()
        limit[idle] = (network.parking + network.chargers)[:, None]
        limit[share.ravel()] = 1.0

        rows = Rows()
        ready = np.floor(state.ready[0] / self.step + 1e-9).astype(np.int64) - window.first
        source = np.zeros((n, steps))
        inside = ready < steps
        np.add.at(source, (state.location[0, inside], np.maximum(ready[inside], 0)), 1.0)
        place = np.arange(n * steps).reshape(n, steps)
        rows.add(
            source.ravel(),
            source.ravel(),
            (place[network.origin[route], step], np.arange(len(route)), 1.0),
            (
                place[network.destination[route[~ends]], lands[~ends]],
                np.flatnonzero(~ends),
                -1.0,
            ),
            (place.ravel(), idle.ravel(), 1.0),
            (place[:, 1:].ravel(), idle[:, :-1].ravel(), -1.0),
        )
        # Passengers of a flight only if it flies; the emptier flights come after the fuller.
        of_bin = (bins[step] - bins[0]) * routes + route
        cells = np.arange(bin_count * routes).reshape(bin_count, routes)
        rows.add(
            -np.inf,
            np.zeros(bin_count * routes),
            (np.repeat(cells.ravel(), counted), share.ravel(), 1.0),
            (of_bin, np.arange(len(route)), -1.0),
        )
        self._add_chargers(rows, state, window, route, step, ready)
        program = rows.program(cost, limit)
        integer = np.arange(len(cost)) < len(route)
        outcome = solve_integer(program, integer, self.mip_rel_gap, self.time_limit, self.seed)
        flights = np.zeros((routes, steps), dtype=np.int64)
        if math.isfinite(outcome.objective):
            flights[route, step] = np.rint(outcome.values[: len(route)]).astype(np.int64)
        return flights

    def _add_chargers(
        self,
        rows: Rows,
        state: UAMState,
        window: _Window,
        route: np.ndarray,
        step: np.ndarray,
        ready: np.ndarray,
    ) -> None:
        """Every flight needs a charger, or a stand where there are none, until it is ready."""
        network, steps = window.network, window.steps
        length = np.minimum(network.duration[route, step + window.first], steps - step)
        flight = np.repeat(np.arange(len(route)), length)
        since = np.arange(len(flight)) - np.repeat(np.cumsum(length) - length, length)
        row = network.destination[route[flight]] * steps + step[flight] + since
        has = network.chargers > 0
        stands = np.where(has, network.chargers, network.parking)
        free = np.repeat(stands[:, None], steps, axis=1).astype(float)
        for k in np.flatnonzero((state.charging[0] | ~has[state.location[0]]) & (ready > 0)):
            free[state.location[0, k], : ready[k]] -= 1
        rows.add(-np.inf, np.maximum(free, 0.0).ravel(), (row, flight, 1.0))

    def _gains(self, instance: UAMInstance, state: UAMState, window: _Window) -> np.ndarray:
        """Expected fares of the n-th flight of every bin and route, (bins, M, n)."""
        network, setting = window.network, self.problem.setting
        bins = np.unique(network.bin[window.first : window.until])
        origin, destination = network.origin, network.destination
        demand = to_arrive(self.problem, instance)[0][:, origin, destination]
        queue = state.queue[0][:, origin, destination]
        waiting = queue.sum(axis=0).astype(float)
        seats = setting.seats * np.arange(_COUNTED + 1)
        gains = np.zeros((len(bins), len(origin), _COUNTED))
        for number, bin in enumerate(bins):
            if number == 0:
                carried = np.minimum(waiting[:, None], seats)
            else:
                mean = demand[bin].copy()
                if setting.patience is None:
                    mean += waiting + demand[bins[1] : bin].sum(axis=0)
                elif setting.patience > 1:
                    mean += 0.5 * (queue[-1] if number == 1 else demand[bin - 1])
                carried = expected_minimum(mean, seats)
            gains[number] = np.diff(carried, axis=1) * network.margin[bin][:, None]
        return gains


@dataclasses.dataclass(frozen=True)
class _Window:
    """Steps ``first`` to ``until`` - 1 of a day."""

    network: TimeNetwork
    first: int
    until: int

    @property
    def steps(self) -> int:
        return self.until - self.first


@dataclasses.dataclass
class _Plan:
    """Flights of a bin that are still to be flown, (N, N), and when they were planned."""

    bin: int
    made: float
    flights: np.ndarray


def expected_network(
    problem: UAMFleet, instance: UAMInstance, state: UAMState, step: float
) -> TimeNetwork:
    """Return the day as it is announced: expected delays, and the closures of this hour only."""
    setting, n = problem.setting, problem.setting.num_vertiports
    bins, hours = setting.num_bins, setting.num_hours
    hour = np.minimum(np.arange(bins) * setting.bin // 60, hours - 1)
    closed = np.zeros((1, hours, n, n), dtype=np.bool_)
    closed[0, int(hour[int(state.bin[0])])] = state.closed[0]
    tape = UAMTape(
        np.zeros((1, bins - 1, n, n), dtype=np.int64),
        instance.expected_delay[:, hour],
        closed[:, 1:],
        np.zeros((1, setting.num_aircraft, 1), dtype=np.bool_),
    )
    day = dataclasses.replace(instance, closed=closed[:, 0])
    return time_network(problem, day, tape, step, "nearest")


def expected_minimum(mean: np.ndarray, limit: np.ndarray) -> np.ndarray:
    """E min(D, limit), (M, L), of Poisson variables D with means (M,), for whole limits (L,)."""
    most = int(limit.max())
    count = np.arange(most)
    logs = np.cumsum(np.log(np.maximum(count, 1)))
    safe = np.maximum(mean, 1e-12)[:, None]
    probability = np.exp(count * np.log(safe) - safe - logs)
    # E min(D, c) is the sum of P(D > k) over k < c.
    beyond = np.maximum(1 - np.cumsum(probability, axis=1), 0.0)
    sums = np.concatenate([np.zeros((len(mean), 1)), np.cumsum(beyond, axis=1)], axis=1)
    expected: np.ndarray = sums[:, limit]
    return expected
