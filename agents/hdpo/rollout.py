"""Mean cost of scenarios with gradients: by ``simulate``, or by compiled chunks of periods."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import array_api_compat
import array_api_compat.torch
import torch

from agents.hdpo.policies import NetworkPolicy
from or_envs.core.simulation import simulate
from or_envs.inventory.network import Demand
from or_envs.inventory.problem import InventoryNetwork

#: (instance, demand) -> mean total cost of an episode, a scalar with gradients.
MeanCost = Callable[[Any, Demand], torch.Tensor]


def eager_cost(problem: InventoryNetwork, policy: NetworkPolicy) -> MeanCost:
    """Return the mean cost as :func:`or_envs.simulate` plays it."""

    def rule(instance: Any, state: Any) -> torch.Tensor:
        orders: torch.Tensor = policy(problem.observation(instance, state))
        return orders

    def cost(instance: Any, exogenous: Demand) -> torch.Tensor:
        total: torch.Tensor = simulate(problem, rule, instance, exogenous).total_reward
        return -total.mean()

    return cost


def compiled_cost(problem: InventoryNetwork, policy: NetworkPolicy, num_periods: int) -> MeanCost:
    """Return the same, with chunks of ``num_periods`` periods fused by ``torch.compile``.

    Compiling takes from seconds to minutes, growing with the chunk; shapes must not change. A step
    alone is too little to gain from it on a CPU.
    """
    _teach_dynamo()

    def chunk(instance: Any, state: Any, demand: torch.Tensor) -> tuple[Any, torch.Tensor]:
        total = torch.zeros_like(demand[:, 0, 0])
        for period in range(demand.shape[1]):
            orders = policy(problem.observation(instance, state))
            post_state, decision = problem.post_decision(instance, state, orders)
            state, outcome, _ = problem.transition(instance, post_state, Demand(demand[:, period]))
            total = total + decision + outcome
        return state, total

    # Every agent in a process compiles its own: they must not use up one another's limit.
    compiled = torch.compile(  # type: ignore[call-overload]
        chunk, dynamic=False, isolate_recompiles=True
    )

    def cost(instance: Any, exogenous: Demand) -> torch.Tensor:
        state = problem.initial(instance)
        total = torch.zeros_like(exogenous.demand[:, 0, 0])
        for start in range(0, problem.horizon, num_periods):
            demand = exogenous.demand[:, start : start + num_periods]
            state, reward = compiled(instance, state, demand)
            total = total + reward
        return -total.mean()

    return cost


def _teach_dynamo() -> None:
    """Tell the compiler what ``array_namespace`` returns for tensors; it cannot trace into it."""
    if getattr(_teach_dynamo, "done", False):
        return

    @torch.compiler.substitute_in_graph(array_api_compat.array_namespace, skip_signature_check=True)
    def namespace(*arrays: Any, **options: Any) -> Any:
        return array_api_compat.torch

    _teach_dynamo.done = True  # type: ignore[attr-defined]
