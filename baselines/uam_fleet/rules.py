"""Rules that look at the next leg, or at one leg more."""

from __future__ import annotations

from typing import Literal

import numpy as np

from baselines.common.checks import check_at_least, check_problem
from baselines.uam_fleet.forecast import Forecast
from or_envs.uam_fleet.instances import UAMInstance
from or_envs.uam_fleet.problem import Legs, UAMFleet, UAMState

Measure = Literal["profit", "rate"]


class Greedy:
    """Flies where the leg earns most, in all or per expected minute; stays if none earns anything.

    Parameters
    ----------
    problem
        A fleet.
    measure
        "profit" or "rate" (profit per minute).
    min_passengers
        Passengers without whom no leg is flown.

    Raises
    ------
    ValueError
        If the problem is another.
    """

    def __init__(self, problem: UAMFleet, measure: Measure, min_passengers: int = 0) -> None:
        check_problem(problem, UAMFleet)
        check_at_least(0, min_passengers=min_passengers)
        self.problem = problem.compiled()
        self.measure: Measure = measure
        self.min_passengers = min_passengers

    def __call__(self, instance: UAMInstance, state: UAMState) -> np.ndarray:
        """Return the destinations, (B,)."""
        legs = self.problem.legs(instance, state)
        earns = (legs.profit > 0) & (legs.boarded >= self.min_passengers)
        score = legs.profit if self.measure == "profit" else legs.profit / legs.minutes
        return best_leg(legs, state, np.where(earns, score, -np.inf), stay=0.0)


class LookAhead:
    """Greedy by profit per minute of a leg and of the best leg that is expected after it.

    Who is expected to wait at a destination is shared among the aircraft there and on the way.

    Parameters
    ----------
    problem
        A fleet.

    Raises
    ------
    ValueError
        If the problem is another.
    """

    def __init__(self, problem: UAMFleet) -> None:
        check_problem(problem, UAMFleet)
        self.problem = problem.compiled()
        self._forecast = Forecast(problem)

    def __call__(self, instance: UAMInstance, state: UAMState) -> np.ndarray:
        """Return the destinations, (B,)."""
        legs = self.problem.legs(instance, state)
        at = state.location[:, :, None] == np.arange(legs.allowed.shape[1])
        next_profit, next_minutes = self._forecast.next_legs(
            instance, state, legs.minutes, sharers=1 + at.sum(axis=1)
        )
        two = (legs.profit[:, :, None] + next_profit) / (legs.minutes[:, :, None] + next_minutes)
        one = legs.profit / legs.minutes
        score = np.maximum(one, two.max(axis=2))
        here = state.location[np.arange(state.num), state.ready.argmin(axis=1)]
        rest = np.take_along_axis(score, here[:, None], axis=1)[:, 0]
        return best_leg(legs, state, score, stay=np.maximum(rest, 0.0))


def best_leg(
    legs: Legs, state: UAMState, score: np.ndarray, stay: np.ndarray | float
) -> np.ndarray:
    """Allowed destination of the highest score (B, N) that beats ``stay`` (B,), else to stay.

    Where staying is not allowed (REF22), the best destination is taken in any case.
    """
    rows = np.arange(state.num)
    here = state.location[rows, state.ready.argmin(axis=1)]
    flights = legs.allowed.copy()
    flights[rows, here] = False
    score = np.where(flights, score, -np.inf)
    best: np.ndarray = score.argmax(axis=1)
    goes = flights.any(axis=1) & ((score[rows, best] > stay) | ~legs.allowed[rows, here])
    # Where nothing has a score, argmax may point at what is not allowed.
    fallback = np.where(np.isfinite(score[rows, best]), best, flights.argmax(axis=1))
    return np.where(goes, fallback, here)


def greedy_profit(problem: UAMFleet, seed: int) -> Greedy:
    """Return the rule of the largest profit."""
    return Greedy(problem, "profit")


def greedy_rate(problem: UAMFleet, seed: int) -> Greedy:
    """Return the rule of the largest profit per minute."""
    return Greedy(problem, "rate")


def wait_full(problem: UAMFleet, seed: int, min_passengers: int = 3) -> Greedy:
    """Return the rule of the largest profit per minute among flights that are full enough."""
    return Greedy(problem, "rate", min_passengers)


def look_ahead(problem: UAMFleet, seed: int) -> LookAhead:
    """Return the rule that looks one leg ahead."""
    return LookAhead(problem)
