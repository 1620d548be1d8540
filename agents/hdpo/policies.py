"""The base of policies that HDPO trains, and the simple ones: order-up-to levels."""

from __future__ import annotations

import abc
import types
from typing import Any

import gymnasium as gym
import torch
from stable_baselines3.common.policies import BasePolicy
from stable_baselines3.common.type_aliases import PyTorchObs, Schedule
from torch import nn
from torch.nn import functional as F

from agents.hdpo.view import NetworkView
from or_envs.inventory.actions import echelon_position


class NetworkPolicy(BasePolicy, abc.ABC):
    """A deterministic policy of an inventory network: observations to orders on all edges.

    Parameters
    ----------
    observation_space, action_space, lr_schedule
        As in SB3.
    network
        Description of the network, see :func:`agents.hdpo.view.describe`.
    optimizer_class, optimizer_kwargs
        As in SB3.
    use_sde
        SB3 hands it over; there is nothing to explore with.
    """

    def __init__(
        self,
        observation_space: gym.Space[Any],
        action_space: gym.Space[Any],
        lr_schedule: Schedule,
        network: dict[str, Any],
        optimizer_class: type[torch.optim.Optimizer] = torch.optim.Adam,
        optimizer_kwargs: dict[str, Any] | None = None,
        use_sde: bool = False,
        **architecture: Any,
    ) -> None:
        assert not use_sde
        super().__init__(
            observation_space,
            action_space,
            optimizer_class=optimizer_class,
            optimizer_kwargs=optimizer_kwargs,
        )
        self.view = NetworkView(network)
        self.build(**architecture)
        self.optimizer = self.optimizer_class(
            self.parameters(),
            lr=lr_schedule(1),  # type: ignore[call-arg]
            **self.optimizer_kwargs,
        )

    @abc.abstractmethod
    def build(self, *args: Any, **kwargs: Any) -> None:
        """Make the networks and parameters; the arguments are the policy's own."""

    @abc.abstractmethod
    def forward(self, observation: torch.Tensor) -> torch.Tensor:
        """Orders (B, E) in units of goods, not rounded; differentiable."""

    def _predict(self, observation: PyTorchObs, deterministic: bool = False) -> torch.Tensor:
        assert isinstance(observation, torch.Tensor)
        return self.playable(self(observation.float()))

    def playable(self, orders: torch.Tensor) -> torch.Tensor:
        """Orders as the environment takes them: within limits, and whole where goods are."""
        orders = torch.minimum(orders.clamp(min=0.0), self.view.limit)
        return orders.round().long() if self.view.integer else orders


class LevelPolicy(NetworkPolicy):
    """Order up to trained levels: what base, capped base and echelon base stock share."""

    def build(self) -> None:
        """One trained number per edge, at first the mean demand that the level has to cover."""
        view = self.view
        covered = view.flow * (view.lead_time + 1)
        self.levels = nn.Parameter(_inverse_softplus(covered / view.scale))

    def position(self, observation: torch.Tensor, echelon: bool) -> torch.Tensor:
        """Inventory position of the buyer of every edge, of its echelon or its own, in units."""
        view = self.view
        parts = view.parts(observation)
        num = len(observation)
        empty = observation.new_zeros(num, view.num_edges, 0)
        state: Any = types.SimpleNamespace(
            on_hand=parts["on_hand"],
            pipeline=parts["pipeline"],
            orders=parts.get("orders", empty),
            backorders=parts.get("backorders", observation.new_zeros(num, view.num_edges)),
        )
        below = view.below if echelon else torch.eye(view.num_nodes, device=observation.device)
        instance: Any = types.SimpleNamespace(
            supplier=view.supplier[None], buyer=view.buyer[None], below=below[None]
        )
        return echelon_position(_torch(), instance, state) * view.scale


class BaseStock(LevelPolicy):
    """Every node orders up to a level of its own inventory position."""

    def forward(self, observation: torch.Tensor) -> torch.Tensor:
        """Orders (B, E)."""
        levels = self.view.scale * F.softplus(self.levels)
        return (levels - self.position(observation, echelon=False)).clamp(min=0.0)


class CappedBaseStock(LevelPolicy):
    """Base stock whose orders are at most a trained cap (Xin, Oper. Res. 69(1), 2021)."""

    def build(self) -> None:
        """Levels and caps."""
        super().build()
        self.caps = nn.Parameter(_inverse_softplus(1.5 * self.view.flow / self.view.scale))

    def forward(self, observation: torch.Tensor) -> torch.Tensor:
        """Orders (B, E)."""
        levels = self.view.scale * F.softplus(self.levels)
        caps = self.view.scale * F.softplus(self.caps)
        gap = (levels - self.position(observation, echelon=False)).clamp(min=0.0)
        return torch.minimum(gap, caps)


class EchelonStock(LevelPolicy):
    """Every node orders up to a level of its echelon position; optimal in serial systems.

    A level is the node's own trained number plus those of all nodes below it, so that levels grow
    upstream.
    """

    def forward(self, observation: torch.Tensor) -> torch.Tensor:
        """Orders (B, E)."""
        view = self.view
        own = view.scale * F.softplus(self.levels)
        # Several edges into a node: each has its own number; below it the largest counts.
        per_node = torch.amax(own[None] * view.buyer, dim=1)
        upstream = view.below - torch.eye(view.num_nodes, device=own.device)
        levels = own + (upstream @ per_node) @ view.buyer
        return (levels - self.position(observation, echelon=True)).clamp(min=0.0)


def mlp(inputs: int, hidden: list[int], outputs: int, activation: type[nn.Module]) -> nn.Sequential:
    """Make a perceptron without activation after the last layer."""
    layers: list[nn.Module] = []
    for size in hidden:
        layers += [nn.Linear(inputs, size), activation()]
        inputs = size
    return nn.Sequential(*layers, nn.Linear(inputs, outputs))


def _inverse_softplus(values: torch.Tensor) -> torch.Tensor:
    return values + torch.log(-torch.expm1(-values))


def _torch() -> Any:
    import array_api_compat.torch as xp

    return xp
