"""What legs are expected to earn later in the day, from the announced demand."""

from __future__ import annotations

import numpy as np

from or_envs.uam_fleet.instances import UAMInstance
from or_envs.uam_fleet.problem import UAMFleet, UAMState


class Forecast:
    """Expected passengers and profits of later legs, kept for as long as the day is the same.

    Parameters
    ----------
    problem
        A fleet.
    """

    def __init__(self, problem: UAMFleet) -> None:
        self.problem = problem
        self._day: UAMInstance | None = None
        self._sums = np.zeros(0)

    def arrival_bin(self, state: UAMState, minutes: np.ndarray) -> np.ndarray:
        """Bins (B, N) in which the next aircraft is ready again; H is after closing."""
        setting = self.problem.setting
        then = state.ready.min(axis=1)[:, None] + minutes
        bins: np.ndarray = np.minimum(then // setting.bin, setting.num_bins).astype(np.int64)
        return np.where(then >= setting.day, setting.num_bins, bins)

    def waiting(self, instance: UAMInstance, state: UAMState, bins: np.ndarray) -> np.ndarray:
        """Expected passengers (B, N, N) from vertiport j in bin ``bins[:, j]`` if none are flown.

        Of the bins to come everybody is expected; where they wait for ever, today's queue as well.
        """
        setting = self.problem.setting
        sums = self._cumulative(instance)
        rows, places = np.arange(state.num)[:, None], np.arange(setting.num_vertiports)
        own = rows if sums.shape[0] > 1 else np.zeros_like(rows)
        end = np.minimum(bins + 1, setting.num_bins)
        if setting.patience is None:
            begin = np.broadcast_to(state.bin[:, None] + 1, end.shape)
            begin = np.minimum(begin, end)
            queue = state.queue.sum(axis=1)
        else:
            begin = np.maximum(end - setting.patience, 0)
            queue = 0
        expected = queue + sums[own, end, places] - sums[own, begin, places]
        late = bins >= setting.num_bins
        return np.where(late[:, :, None], 0.0, expected)

    def next_legs(
        self,
        instance: UAMInstance,
        state: UAMState,
        minutes: np.ndarray,
        sharers: np.ndarray,
    ) -> tuple[np.ndarray, np.ndarray]:
        """Profit and minutes (B, N, N) of the legs after one to vertiport j.

        Parameters
        ----------
        minutes
            Of the first legs, (B, N).
        sharers
            Aircraft that share the passengers of a vertiport, (B, N).
        """
        setting = self.problem.setting
        bins = self.arrival_bin(state, minutes)
        people = self.waiting(instance, state, bins) / sharers[:, :, None]
        people = np.minimum(people, setting.seats)
        rows, places = np.arange(state.num)[:, None], np.arange(setting.num_vertiports)
        own = rows if instance.fare.shape[0] > 1 else np.zeros_like(rows)
        fare = instance.fare[own, np.minimum(bins, setting.num_bins - 1), places]
        cost, margin, duration = leg_costs(self.problem, instance, fare)
        profit = people * margin - cost
        possible = (bins < setting.num_bins)[:, :, None] & (profit > 0)
        return np.where(possible, profit, 0.0), np.broadcast_to(duration, profit.shape)

    def _cumulative(self, instance: UAMInstance) -> np.ndarray:
        """Expected passengers before every bin, (B, H + 1, N, N)."""
        if self._day is not instance:
            self._day = instance
            first = np.zeros_like(instance.demand[:, :1])
            to_come = to_arrive(self.problem, instance)
            self._sums = np.concatenate([first, to_come.cumsum(axis=1)], axis=1)
        return self._sums


def to_arrive(problem: UAMFleet, instance: UAMInstance) -> np.ndarray:
    """Expected passengers of every bin, (B, H, N, N); none where all wait from the opening on."""
    demand: np.ndarray = instance.demand
    return np.zeros_like(demand) if problem.setting.demand == "pool" else demand


def leg_costs(
    problem: UAMFleet, instance: UAMInstance, fare: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Cost of a leg, margin per passenger, and minutes without delay.

    Each (B, N, N), with the energy paid and charged at once, as in :class:`Legs` of the problem.
    """
    setting, miles = problem.setting, instance.distance
    energy = setting.flight_energy + setting.consumption * miles
    cost = setting.mile_cost * miles + setting.electricity_price * energy
    margin = fare - setting.passenger_mile_cost * miles
    minutes = setting.takeoff + setting.landing + miles / setting.speed * 60
    return cost, margin, minutes + energy / setting.power * 60
