"""From routes, visits and sets of items to the actions of an environment, in either mode."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from or_envs.core import AnyProblem, simulate
from or_envs.knapsack.problem import Knapsack
from or_envs.routing.cvrp import CVRP


def route_actions(problem: CVRP, routes: Sequence[Sequence[int]]) -> np.ndarray:
    """Actions (T,) that drive the routes, lists of customers 1..N, in their order."""
    filled = [list(route) for route in routes if len(route)]
    if problem.mode == "direct":
        return np.array([node for route in filled for node in [*route, 0]], dtype=np.int64)
    actions = [
        2 * (customer - 1) + int(place == 0 and number > 0)
        for number, route in enumerate(filled)
        for place, customer in enumerate(route)
    ]
    return np.array(actions, dtype=np.int64)


def item_actions(problem: Knapsack, items: Sequence[int]) -> np.ndarray:
    """Actions (T,) that pack items which leave no room for another; in mode "direct", then stop."""
    actions = list(items)
    if problem.mode == "direct" or not actions:
        actions.append(problem.num_items)
    return np.array(actions, dtype=np.int64)


def completed(problem: AnyProblem, instance: Any, chosen: Iterable[int]) -> np.ndarray:
    """Actions (T,) of a whole episode: customers or items in order, then the first allowed action.

    For orienteering in mode "direct" that is the way home. In mode "bq", where nobody goes home or
    stops while something is within reach or fits, it is that, be it worth nothing.

    Parameters
    ----------
    problem
        Orienteering or a knapsack.
    instance
        A batch of one.
    chosen
        Customers 1..N, or items 0..N - 1.

    Raises
    ------
    gymnasium.error.InvalidAction
        If they do not fit.
    """
    plan = iter(chosen)

    def decide(instance: Any, state: Any) -> np.ndarray:
        mask = np.asarray(problem.action_mask(instance, state))
        return np.array([next(plan, int(mask[0].argmax()))])

    return np.asarray(simulate(problem, decide, instance).actions[0])
