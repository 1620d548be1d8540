"""A linear score of legs, its weights found by the cross-entropy method."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from baselines.common.checks import check_at_least, check_problem
from baselines.common.rule_fitness import RuleFitness
from baselines.uam_fleet.bid_price import BidPrice
from baselines.uam_fleet.forecast import Forecast, leg_costs
from baselines.uam_fleet.rules import best_leg
from or_envs.uam_fleet.instances import UAMInstance
from or_envs.uam_fleet.problem import Legs, UAMFleet, UAMState

#: Value (B, N) of an aircraft at every vertiport after so many minutes (B, N).
Value = Callable[[UAMInstance, UAMState, np.ndarray], np.ndarray]

#: Start of the search: mean and deviation of the weights of minutes, value and inbound aircraft.
_MEAN, _DEVIATION = np.array([1.0, 0.3, 1.0]), np.array([1.0, 0.5, 3.0])
#: The same with bid prices, which hold what time is worth.
_PRICED_MEAN, _PRICED_DEVIATION = np.array([0.0, 1.0, 1.0]), np.array([0.5, 0.5, 3.0])


class LinearScore:
    """Flies the leg of the highest profit - a minutes + b value - c aircraft there or on the way.

    Staying has the same score, with profit 0.

    Parameters
    ----------
    problem
        A fleet.
    weights
        a, b, c, (3,), or a row of them per batch row, (B, 3).
    value
        Of destinations.
    """

    def __init__(self, problem: UAMFleet, weights: np.ndarray, value: Value) -> None:
        check_problem(problem, UAMFleet)
        self.problem = problem.compiled()
        self.weights = np.atleast_2d(weights)
        self.value = value

    @property
    def settings(self) -> dict[str, float]:
        """The weights by name."""
        names = ("minutes", "value", "inbound")
        return dict(zip(names, self.weights[0].tolist(), strict=True))

    def __call__(self, instance: UAMInstance, state: UAMState) -> np.ndarray:
        """Return the destinations, (B,)."""
        legs = self.problem.legs(instance, state)
        score = self._score(instance, state, legs)
        rows = np.arange(state.num)
        here = state.location[rows, state.ready.argmin(axis=1)]
        return best_leg(legs, state, score, stay=score[rows, here])

    def scores(self, instance: UAMInstance, state: UAMState) -> np.ndarray:
        """Return the scores of all destinations in money, (B, N)."""
        return self._score(instance, state, self.problem.legs(instance, state))

    def _score(self, instance: UAMInstance, state: UAMState, legs: Legs) -> np.ndarray:
        value = self.value(instance, state, legs.minutes)
        at = state.location[:, :, None] == np.arange(legs.allowed.shape[1])
        a, b, c = (self.weights[:, i : i + 1] for i in range(3))
        score: np.ndarray = legs.profit - a * legs.minutes + b * value - c * at.sum(axis=1)
        return score


class NextLeg:
    """Values a vertiport by the best leg from it in the bin of arrival, if nobody else flies it.

    Parameters
    ----------
    problem
        A fleet.
    """

    def __init__(self, problem: UAMFleet) -> None:
        self.problem = problem
        self._forecast = Forecast(problem)
        self._day: UAMInstance | None = None
        self._table: np.ndarray = np.zeros((0, 0, 0))

    def __call__(self, instance: UAMInstance, state: UAMState, minutes: np.ndarray) -> np.ndarray:
        """Return the expected profits of the next legs, (B, N)."""
        bins = self._forecast.arrival_bin(state, minutes)
        table = self._values(instance)
        rows = np.arange(state.num)[:, None]
        own = rows if table.shape[0] > 1 else np.zeros_like(rows)
        value: np.ndarray = table[own, bins, np.arange(bins.shape[1])]
        return value

    def _values(self, instance: UAMInstance) -> np.ndarray:
        """Value of a vertiport in every bin, (B, H + 1, N); 0 after closing."""
        if self._day is not instance:
            self._day = instance
            setting = self.problem.setting
            patience = setting.num_bins if setting.patience is None else setting.patience
            sums = instance.demand.cumsum(axis=1)
            waiting = sums.copy()
            waiting[:, patience:] -= sums[:, :-patience]
            people = np.minimum(waiting, setting.seats)
            best = []
            for bin in range(setting.num_bins):
                cost, margin, _ = leg_costs(self.problem, instance, instance.fare[:, bin])
                profit = people[:, bin] * margin - cost
                best.append(np.maximum(profit.max(axis=2), 0.0))
            best.append(np.zeros_like(best[0]))
            self._table = np.stack(best, axis=1)
        return self._table


def tune(
    problem: UAMFleet,
    seed: int = 0,
    num_episodes: int = 32,
    population: int = 40,
    generations: int = 15,
    prices: bool = False,
) -> LinearScore:
    """Return the rule whose weights the cross-entropy method likes best on training days.

    Every generation draws weights from a normal law and fits it to the best fifth of them; the
    mean of the last law is the answer.

    Parameters
    ----------
    problem
        A fleet.
    seed
        Of the draws; it also picks the training days, none of which evaluations use.
    num_episodes
        Training days.
    population, generations
        Budget.
    prices
        Whether values are bid prices instead of those of the next leg.
    """
    check_at_least(1, num_episodes=num_episodes, generations=generations)
    check_at_least(5, population=population)
    value: Value = BidPrice(problem, seed).worth if prices else NextLeg(problem)
    fitness = RuleFitness(problem, lambda x: LinearScore(problem, x, value), seed, num_episodes)
    rng = np.random.default_rng(seed)
    mean, deviation = (_PRICED_MEAN, _PRICED_DEVIATION) if prices else (_MEAN, _DEVIATION)
    for _ in range(generations):
        draws = mean + deviation * rng.standard_normal((population, len(mean)))
        best = draws[np.argsort(fitness(draws), kind="stable")[: population // 5]]
        mean, deviation = best.mean(axis=0), best.std(axis=0) + 1e-3
    return LinearScore(problem, mean, value)


def tune_prices(problem: UAMFleet, seed: int = 0, num_episodes: int = 16) -> LinearScore:
    """Return the tuned rule whose values are bid prices."""
    return tune(problem, seed, num_episodes, population=30, generations=8, prices=True)


def weighted_prices(
    problem: UAMFleet,
    seed: int = 0,
    minutes: float = 0.3,
    value: float = 0.8,
    inbound: float = 3.0,
    num_tapes: int = 3,
    step: float = 5.0,
) -> LinearScore:
    """Return the rule with bid prices as values and given weights.

    Parameters
    ----------
    problem, seed, num_tapes, step
        As for :class:`baselines.uam_fleet.bid_price.BidPrice`.
    minutes, value, inbound
        The weights; by default good ones for preset "default".
    """
    prices = BidPrice(problem, seed, num_tapes, step=step)
    return LinearScore(problem, np.array([minutes, value, inbound]), prices.worth)
