"""Instances and states out of observations of mode "bq", which hold all that the tail needs."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch

from or_envs.knapsack.problem import KnapsackInstance, KnapsackState
from or_envs.routing.atsp import ATSPInstance
from or_envs.routing.cvrp import CVRPInstance, CVRPState
from or_envs.routing.orienteering import OrienteeringInstance, OrienteeringState
from or_envs.routing.tour import TourState
from or_envs.routing.tsp import TSPInstance

Seen = dict[str, torch.Tensor]
#: From actions on the decoded instance to actions of the environment; ``None``: they are the same.
Translation = Callable[[torch.Tensor], torch.Tensor] | None


def from_observation(problem: str, seen: Seen) -> tuple[Any, Any, Translation]:
    """Instance, state and translation of actions, for the name of a problem's class."""
    return _DECODERS[problem](seen)


def _ends(seen: Seen, destination: str) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Nodes (B, N + 2, 2): destination, the N nodes, origin; which remain; number of the origin."""
    first, last = seen[destination][:, None, :], seen["origin"][:, None, :]
    nodes = torch.cat([first, seen["coordinates"], last], dim=1)
    remaining = torch.nn.functional.pad(seen["remaining"] > 0, (1, 1))
    return nodes, remaining, torch.full_like(remaining[:, 0], nodes.shape[1] - 1, dtype=torch.long)


def _no_visits(remaining: torch.Tensor) -> torch.Tensor:
    return torch.zeros_like(remaining[:, :0], dtype=torch.long)


def _tsp(seen: Seen) -> tuple[Any, Any, Translation]:
    nodes, remaining, origin = _ends(seen, "destination")
    state = TourState(origin, remaining, _no_visits(remaining), remaining.sum(dim=1))
    return TSPInstance.euclidean(nodes), state, lambda node: node - 1


def _atsp(seen: Seen) -> tuple[Any, Any, Translation]:
    inner = torch.nn.functional.pad(seen["distances"], (1, 1, 1, 1))
    inner[:, 1:-1, 0] = seen["to_destination"]
    inner[:, -1, 1:-1] = seen["from_origin"]
    remaining = torch.nn.functional.pad(seen["remaining"] > 0, (1, 1))
    origin = torch.full_like(remaining[:, 0], remaining.shape[1] - 1, dtype=torch.long)
    state = TourState(origin, remaining, _no_visits(remaining), remaining.sum(dim=1))
    return ATSPInstance(inner), state, lambda node: node - 1


def _cvrp(seen: Seen) -> tuple[Any, Any, Translation]:
    nodes, remaining, origin = _ends(seen, "depot")
    demand = torch.nn.functional.pad(seen["demand"], (0, 1))
    instance = CVRPInstance.euclidean(nodes, demand, torch.ones_like(demand[:, 0]))
    # A full vehicle at the depot's place is at the depot.
    home = (nodes[:, 0] == nodes[:, -1]).all(dim=1) & (seen["load"][:, 0] >= 1)
    # Shares of the capacity are rounded; demand and load that are equal must stay so.
    load = seen["load"][:, 0] + 1e-5
    current = torch.where(home, torch.zeros_like(origin), origin)
    state = CVRPState(current, remaining, load, _no_visits(remaining))
    # Customer c is node c + 1 in both, so that actions are the same.
    return instance, state, None


def _orienteering(seen: Seen) -> tuple[Any, Any, Translation]:
    nodes, remaining, origin = _ends(seen, "depot")
    prize = torch.nn.functional.pad(seen["prize"], (0, 1))
    left = seen["left"][:, 0]
    state = OrienteeringState(
        origin, remaining, left, _no_visits(remaining), torch.zeros_like(remaining[:, 0])
    )
    return OrienteeringInstance.euclidean(nodes, prize, left), state, None


def _knapsack(seen: Seen) -> tuple[Any, Any, Translation]:
    remaining = seen["remaining"] > 0
    left = seen["left"][:, 0] * remaining.shape[1]
    state = KnapsackState(remaining, left, _no_visits(remaining), torch.zeros_like(remaining[:, 0]))
    return KnapsackInstance(seen["value"], seen["weight"], left), state, None


_DECODERS: dict[str, Callable[[Seen], tuple[Any, Any, Translation]]] = {
    "TSP": _tsp,
    "ATSP": _atsp,
    "CVRP": _cvrp,
    "Orienteering": _orienteering,
    "Knapsack": _knapsack,
}
