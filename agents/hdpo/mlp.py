"""One perceptron for the whole network."""

from __future__ import annotations

from typing import Literal

import torch
from torch import nn

from agents.hdpo.allocation import orders_outside, proportional, softmax_shares
from agents.hdpo.policies import NetworkPolicy, mlp

Allocation = Literal["softmax", "proportional"]


class MlpPolicy(NetworkPolicy):
    """The vanilla policy of arXiv 2306.11246: all stocks in, a score for every edge out.

    Orders from outside are softplus of the score, times mean demand. Orders inside the network are
    softmax shares of the supplier's stock or, with ``allocation="proportional"``, wishes that are
    scaled down where stock is short.
    """

    def build(
        self,
        net_arch: list[int] | None = None,
        activation_fn: type[nn.Module] = nn.ELU,
        allocation: Allocation = "softmax",
    ) -> None:
        """Make the perceptron with hidden layers ``net_arch`` (default: 32, 32)."""
        if allocation not in ("softmax", "proportional"):
            raise ValueError(
                f"allocation: expected 'softmax' or 'proportional', got {allocation!r}"
            )
        assert self.observation_space.shape is not None
        self.allocation: Allocation = allocation
        hidden = [32, 32] if net_arch is None else list(net_arch)
        inputs = self.observation_space.shape[0]
        self.net = mlp(inputs, hidden, self.view.num_edges, activation_fn)

    def forward(self, observation: torch.Tensor) -> torch.Tensor:
        """Orders (B, E)."""
        view = self.view
        scores = self.net(observation)
        outside = orders_outside(view, scores)
        if not view.internal:
            return outside
        on_hand = view.parts(observation)["on_hand"] * view.scale
        if self.allocation == "proportional":
            return proportional(view, outside, on_hand)
        return outside * view.outside + softmax_shares(view, scores, on_hand)


class DataDrivenPolicy(MlpPolicy):
    """The published data-driven network: history, calendar and data in, proportional wishes out.

    It is a larger :class:`MlpPolicy`; what it sees of the past is the observation's history.
    """

    def build(
        self,
        net_arch: list[int] | None = None,
        activation_fn: type[nn.Module] = nn.ELU,
        allocation: Allocation = "proportional",
    ) -> None:
        """Make the perceptron with hidden layers ``net_arch`` (default: 128, 128, 128)."""
        super().build([128, 128, 128] if net_arch is None else net_arch, activation_fn, allocation)
