"""Scenarios on the training device: instances and traces, drawn once and cut by index."""

from __future__ import annotations

from typing import Any, Self

import numpy as np
import torch

from agents.hdpo.policies import NetworkPolicy
from or_envs.core import sample
from or_envs.core.simulation import simulate
from or_envs.inventory.problem import InventoryNetwork

#: Seeds of training and development scenarios, far from those of evaluations and tuning.
_TRAINING, _DEVELOPMENT = 4_000_000_000, 6_000_000_000
#: Seeds set aside for each value of ``seed``.
_BLOCK = 1_000_000
#: Rows that are simulated at a time where no gradient is needed.
_ROWS = 4096


class Scenarios:
    """Instances and demand traces of a problem, as tensors.

    Parameters
    ----------
    problem
        Its horizon is that of the scenarios.
    seed
        Different seeds give disjoint scenarios.
    num
        How many, at most a million.
    device
        Where they are kept.
    first_seed
        Seed of the first scenario of seed 0.

    Raises
    ------
    ValueError
        If there are too many.
    """

    def __init__(
        self,
        problem: InventoryNetwork,
        seed: int,
        num: int,
        device: torch.device,
        first_seed: int = _TRAINING,
    ) -> None:
        if num > _BLOCK:
            raise ValueError(f"num_scenarios: expected an integer in 1..{_BLOCK}, got {num}")
        self.problem = problem
        self.num = num
        self.seed = seed
        instance, exogenous = sample(problem, first_seed + seed * _BLOCK, num)
        self.instance = instance.to_torch(device)
        self.exogenous = exogenous.to_torch(device)
        self._order = (-1, torch.zeros(0, dtype=torch.int64))

    @classmethod
    def development(
        cls, problem: InventoryNetwork, seed: int, num: int, device: torch.device
    ) -> Self:
        """Scenarios that no training with any seed uses."""
        return cls(problem, seed, num, device, _DEVELOPMENT)

    def minibatch(self, update: int, size: int) -> tuple[Any, Any]:
        """Scenarios of an update: every epoch goes through all of them in an order of its own.

        The order depends on seed and epoch alone, so that a resumed training meets the same.
        """
        per_epoch = max(self.num // size, 1)
        epoch, place = divmod(update, per_epoch)
        if self._order[0] != epoch:
            order = np.random.default_rng((self.seed, epoch, 1)).permutation(self.num)
            self._order = (epoch, torch.from_numpy(order).to(self.exogenous.demand.device))
        index = self._order[1][place * size : (place + 1) * size]
        return self.instance.rows(index), self.exogenous.rows(index)

    @property
    def store_periods(self) -> int:
        """Stores times counted periods of a scenario."""
        problem = self.problem
        return problem.network.num_stores * (problem.horizon - problem.warm_up)

    def cost(self, policy: NetworkPolicy) -> float:
        """Mean cost per store and counted period as the environment plays it, in chunks."""

        def decide(instance: Any, state: Any) -> torch.Tensor:
            return policy.playable(policy(self.problem.observation(instance, state)))

        total = 0.0
        with torch.no_grad():
            for start in range(0, self.num, _ROWS):
                rows = torch.arange(start, min(start + _ROWS, self.num))
                rows = rows.to(self.exogenous.demand.device)
                rollout = simulate(
                    self.problem,
                    decide,
                    self.instance.rows(rows),
                    self.exogenous.rows(rows),
                )
                total -= float(rollout.total_reward.sum())
        return total / (self.num * self.store_periods)
