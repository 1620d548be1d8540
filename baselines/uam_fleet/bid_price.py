"""Bid prices: what an aircraft is worth at a vertiport and time, from linear programs."""

from __future__ import annotations

import dataclasses
import hashlib

import numpy as np

from baselines.common.checks import check_at_least, check_problem
from baselines.uam_fleet.linear_model import LinearModel
from baselines.uam_fleet.rules import best_leg
from baselines.uam_fleet.time_network import Rounding, time_network
from or_envs.core import generators
from or_envs.uam_fleet import instances
from or_envs.uam_fleet.instances import UAMInstance
from or_envs.uam_fleet.problem import UAMFleet, UAMState

#: Seeds of the sampled tapes, far from those of days.
_FIRST_SEED = 8_000_000_000


class BidPrices:
    """Prices (N, T + 1) of the days that were asked for; 0 at closing.

    For every day, the relaxation of model A with cuts is solved on tapes drawn from what is
    announced, and the duals of the flow balance are averaged.

    Parameters
    ----------
    problem
        A fleet.
    seed
        Of the tapes, which are the same for every day.
    num_tapes
        Tapes per day.
    step
        Minutes.
    rounding
        Of durations.
    reserve
        Whether flights of the models need chargers.

    Raises
    ------
    ValueError
        If an argument is outside its range.
    """

    def __init__(
        self,
        problem: UAMFleet,
        seed: int = 0,
        num_tapes: int = 3,
        step: float = 5.0,
        rounding: Rounding = "nearest",
        reserve: bool = False,
    ) -> None:
        check_problem(problem, UAMFleet)
        check_at_least(1, num_tapes=num_tapes)
        self.problem = problem
        self.seed = seed
        self.num_tapes = num_tapes
        self.step = step
        self.rounding: Rounding = rounding
        self.reserve = reserve
        self._known: dict[bytes, np.ndarray] = {}

    def of_day(self, instance: UAMInstance) -> np.ndarray:
        """Prices (N, T + 1) of a day, a batch of one."""
        digest = hashlib.blake2b(digest_size=16)
        for leaf in instance.leaves():
            digest.update(np.ascontiguousarray(leaf).tobytes())
        key = digest.digest()
        if key not in self._known:
            self._known[key] = self._solve(instance)
        return self._known[key]

    def _solve(self, instance: UAMInstance) -> np.ndarray:
        many = instance.repeat(self.num_tapes) if self.num_tapes > 1 else instance
        rngs = generators(_FIRST_SEED + self.seed * self.num_tapes, self.num_tapes)
        tapes = instances.sample_tape(self.problem.setting, many, rngs)
        total: np.ndarray | float = 0.0
        for row in range(self.num_tapes):
            tape = tapes.rows(np.array([row])) if self.num_tapes > 1 else tapes
            network = time_network(self.problem, instance, tape, self.step, self.rounding)
            model = LinearModel(network, cuts=True, reserve=self.reserve)
            total = total + model.solve(crossover=False).price
        prices = np.asarray(total) / self.num_tapes
        return np.concatenate([prices, np.zeros((len(prices), 1))], axis=1)


class BidPrice:
    """Flies where profit and the price of the aircraft after the leg are most together.

    Parameters
    ----------
    problem
        A fleet.
    seed, num_tapes, reserve, step
        As for :class:`BidPrices`. ``reserve`` pays where chargers are the bottleneck (preset
        "paper2024"), and costs much elsewhere.

    Raises
    ------
    ValueError
        If an argument is outside its range.
    """

    def __init__(
        self,
        problem: UAMFleet,
        seed: int = 0,
        num_tapes: int = 3,
        reserve: bool = False,
        step: float = 5.0,
    ) -> None:
        self.problem = problem.compiled()
        self.prices = BidPrices(problem, seed, num_tapes, step, reserve=reserve)
        self._day: UAMInstance | None = None
        self._table: np.ndarray = np.zeros((0, 0, 0))

    def __call__(self, instance: UAMInstance, state: UAMState) -> np.ndarray:
        """Return the destinations, (B,)."""
        legs = self.problem.legs(instance, state)
        score = legs.profit + self.worth(instance, state, legs.minutes)
        here = state.location[np.arange(state.num), state.ready.argmin(axis=1)]
        stay = np.take_along_axis(score, here[:, None], axis=1)[:, 0]
        return best_leg(legs, state, score, stay)

    def worth(self, instance: UAMInstance, state: UAMState, minutes: np.ndarray) -> np.ndarray:
        """Price (B, N) of an aircraft at every vertiport so many minutes from now."""
        if self._day is not instance:
            self._day = instance
            one = [
                dataclasses.replace(
                    instance,
                    **{
                        name: leaf[b : b + 1] if leaf.shape[0] > 1 else leaf
                        for name, leaf in zip(instance.names(), instance.leaves(), strict=True)
                    },
                )
                for b in range(instance.num)
            ]
            self._table = np.stack([self.prices.of_day(day) for day in one])
        then = (state.ready.min(axis=1)[:, None] + minutes) / self.prices.step
        last = self._table.shape[2] - 1
        then = np.minimum(then, last)
        before = np.minimum(then.astype(np.int64), last - 1)
        rows = np.arange(state.num)[:, None]
        places = np.arange(self._table.shape[1])
        table = np.broadcast_to(self._table, (state.num, *self._table.shape[1:]))
        low, high = table[rows, places, before], table[rows, places, before + 1]
        worth: np.ndarray = low + (then - before) * (high - low)
        return worth
