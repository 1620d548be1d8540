"""From routes to the actions of an environment, in either mode."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from or_envs.knapsack.problem import Knapsack
from or_envs.routing.cvrp import CVRP
from or_envs.routing.orienteering import Orienteering


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


def visit_actions(problem: Orienteering, nodes: Sequence[int]) -> np.ndarray:
    """Actions (T,) that visit customers in this order; in mode "direct" the last goes home."""
    actions = list(nodes)
    if problem.mode == "direct" or not actions:
        actions.append(0)
    return np.array(actions, dtype=np.int64)


def item_actions(problem: Knapsack, items: Sequence[int]) -> np.ndarray:
    """Actions (T,) that pack items; in mode "direct" the last one stops."""
    actions = list(items)
    if problem.mode == "direct" or not actions:
        actions.append(problem.num_items)
    return np.array(actions, dtype=np.int64)
