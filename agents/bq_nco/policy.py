"""The policy: the network, and how the environment's states reach it."""

from __future__ import annotations

from typing import Any

import gymnasium as gym
import numpy as np
import torch
from stable_baselines3.common.policies import BasePolicy
from stable_baselines3.common.type_aliases import PyTorchObs, Schedule

from agents.bq_nco.network import BQNetwork
from agents.bq_nco.observations import from_observation
from agents.bq_nco.relaxation import WIDEST, relaxed
from agents.bq_nco.tails import Tail, candidates, nearest, view_of
from agents.common.muon import Muon
from or_envs.knapsack.problem import Knapsack
from or_envs.routing.tree_shares import MOST_TREES
from or_envs.routing.tsp import TSP

#: Rows that the network sees at a time where no gradient is needed, times tokens.
_TOKENS = 200_000
_OPTIMIZERS: dict[str, type[torch.optim.Optimizer]] = {"adam": torch.optim.Adam, "muon": Muon}


class BQPolicy(BasePolicy):
    """Chooses the next node of a tail sub-problem.

    Parameters
    ----------
    observation_space, action_space, lr_schedule, optimizer_kwargs
        As in SB3.
    problem
        Name of the problem's class.
    canonical
        See :mod:`agents.bq_nco.tails`; the published network sees plain coordinates.
    penalty
        See :class:`agents.bq_nco.network.BQNetwork`.
    neighbours
        Look at so many nodes nearest to the current one only, in training as well (TSP); 0: all.
    trees
        1-trees of the relaxation that tokens get features and links from (TSP, see
        :mod:`agents.bq_nco.relaxation`); 0: none.
    precision
        "float32", or "bfloat16" for the network's matrix products.
    compiled
        Compile the network's blocks (torch.compile), which pays on GPUs.
    optimizer
        "adam", or "muon" (:class:`agents.common.muon.Muon`).
    use_sde
        SB3 hands it over; there is nothing to explore with.
    **architecture
        Arguments of :class:`agents.bq_nco.network.BQNetwork`.
    """

    def __init__(
        self,
        observation_space: gym.Space[Any],
        action_space: gym.Space[Any],
        lr_schedule: Schedule,
        problem: str,
        canonical: bool = True,
        penalty: str = "distance",
        neighbours: int = 0,
        trees: int = 0,
        precision: str = "float32",
        compiled: bool = False,
        optimizer: str = "adam",
        optimizer_kwargs: dict[str, Any] | None = None,
        use_sde: bool = False,
        **architecture: Any,
    ) -> None:
        assert not use_sde
        if precision not in ("float32", "bfloat16"):
            raise ValueError(f"precision: expected 'float32' or 'bfloat16', got {precision!r}")
        if optimizer not in _OPTIMIZERS:
            expected = " or ".join(map(repr, _OPTIMIZERS))
            raise ValueError(f"optimizer: expected {expected}, got {optimizer!r}")
        if neighbours < 0 or (neighbours and problem != TSP.__name__):
            raise ValueError(
                f"neighbours: expected an integer >= 0, and 0 except for TSP, got {neighbours}"
            )
        if not 0 <= trees <= MOST_TREES or (trees and problem != TSP.__name__):
            raise ValueError(
                f"trees: expected an integer in 0..{MOST_TREES}, and 0 except for TSP, got {trees}"
            )
        super().__init__(
            observation_space,
            action_space,
            optimizer_class=_OPTIMIZERS[optimizer],
            optimizer_kwargs=optimizer_kwargs,
        )
        self.problem = problem
        self.view = view_of(problem, canonical, penalty)
        self.neighbours = neighbours
        self.trees = trees
        self.precision = precision
        self.network = BQNetwork(self.view, penalty=penalty, linked=trees > 0, **architecture)
        if compiled:
            # One by one: their code is the same, so that it is compiled once for all of them.
            for block in self.network.blocks:
                block.compile(dynamic=True)
        self.optimizer = self.optimizer_class(
            self.parameters(),
            lr=lr_schedule(1),  # type: ignore[call-arg]
            **self.optimizer_kwargs,
        )

    def tail(self, instance: Any, state: Any) -> Tail:
        """What the network sees of a batch."""
        if self.trees:
            instance, state = nearest(self.problem, instance, state, WIDEST)
        some = (instance, state)
        if self.neighbours:
            some = nearest(self.problem, *some, self.neighbours)
        tail = self.view(*some)
        return relaxed(tail, instance, state, self.trees) if self.trees else tail

    def scores(self, instance: Any, state: Any) -> tuple[torch.Tensor, torch.Tensor]:
        """Scores (B, n K) of the outputs and the actions (B, n K) that they stand for."""
        tail = self.tail(instance, state)
        with self.half_precision():
            return self.network(tail), tail.actions.flatten(1)

    def half_precision(self) -> torch.autocast:
        """Return the context that the network runs in."""
        half = self.precision == "bfloat16"
        return torch.autocast(self.device.type, torch.bfloat16, enabled=half)

    @torch.no_grad()
    def decide(
        self, instance: Any, state: Any, deterministic: bool = True, neighbours: int = 0
    ) -> torch.Tensor:
        """Actions (B,); instances and states are torch. Rows without a choice stop.

        Given ``neighbours``, only so many nodes nearest to the current one are looked at (routing).
        """
        return self.choose(instance, state, deterministic, neighbours)[0]

    @torch.no_grad()
    def choose(
        self, instance: Any, state: Any, deterministic: bool = True, neighbours: int = 0
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Actions as by :meth:`decide`, and the policy's probabilities of them (B,)."""
        live = torch.nonzero(candidates(self.problem, instance, state).any(dim=1))[:, 0]
        played = torch.full((state.num,), self._stop(state), device=live.device)
        chance = torch.ones(state.num, device=live.device)
        # As many rows at a time as fit into memory.
        most = neighbours or self.neighbours or state.remaining.shape[1]
        rows = max(_TOKENS // most, 1)
        for index in live.split(rows):  # type: ignore[no-untyped-call]
            everything = len(index) == state.num
            some = (instance, state) if everything else (instance.rows(index), state.rows(index))
            if neighbours:
                some = nearest(self.problem, *some, neighbours)
            scores, actions = self.scores(*some)
            shares = scores.softmax(dim=1)
            if deterministic:
                choice = scores.argmax(dim=1, keepdim=True)
            else:
                choice = torch.multinomial(shares, 1)
            played[index] = actions.gather(1, choice)[:, 0]
            chance[index] = shares.gather(1, choice)[:, 0].float()
        return played, chance

    def _stop(self, state: Any) -> int:
        return state.remaining.shape[1] if self.problem == Knapsack.__name__ else 0

    def _predict(self, observation: PyTorchObs, deterministic: bool = False) -> torch.Tensor:
        """Decide on observations of mode "bq"."""
        assert isinstance(observation, dict)
        instance, state, translate = from_observation(self.problem, observation)
        choice = self.decide(instance, state, deterministic)
        return choice if translate is None else translate(choice)

    def rule(self, deterministic: bool = True) -> Any:
        """Return the decision rule (instance, state) -> actions on numpy."""

        def decide(instance: Any, state: Any) -> np.ndarray:
            # In double precision, so that what is allowed here is allowed there.
            data = instance.to_torch(self.device, torch.float64)
            now = state.to_torch(self.device, torch.float64)
            return self.decide(data, now, deterministic).cpu().numpy()

        return decide
