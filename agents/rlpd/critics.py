"""An ensemble of critics in one network, and the SAC policy that has it."""

from __future__ import annotations

import itertools
from typing import Any

import torch
from gymnasium import spaces
from stable_baselines3.common.policies import BaseModel
from stable_baselines3.common.preprocessing import get_action_dim
from stable_baselines3.common.torch_layers import BaseFeaturesExtractor, CombinedExtractor
from stable_baselines3.common.type_aliases import PyTorchObs, Schedule
from stable_baselines3.sac.policies import SACPolicy
from torch import nn
from torch.nn import functional as F


def join(features: torch.Tensor, actions: torch.Tensor) -> torch.Tensor:
    """Features (B, F) beside actions (B, d), or beside those of C candidates each, (B, C, d)."""
    if actions.ndim == 3:
        features = features[:, None].expand(-1, actions.shape[1], -1)
    return torch.cat([features, actions], dim=-1)


class EnsembleLinear(nn.Module):
    """E linear layers side by side, with Xavier's initialisation.

    Parameters
    ----------
    num
        E.
    inputs, outputs
        Sizes of each layer.
    """

    def __init__(self, num: int, inputs: int, outputs: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(num, inputs, outputs))
        self.bias = nn.Parameter(torch.zeros(num, 1, outputs))
        for weight in self.weight:
            nn.init.xavier_uniform_(weight)

    def forward(self, x: torch.Tensor, members: torch.Tensor | None) -> torch.Tensor:
        """Map (B, in) or (E', B, in) to (E', B, out); E' are the ``members``, or all."""
        if members is None:
            return x @ self.weight + self.bias
        return x @ self.weight[members] + self.bias[members]


class EnsembleNorm(nn.Module):
    """Layer normalisation with gain and shift of every member's own."""

    def __init__(self, num: int, size: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(num, 1, size))
        self.bias = nn.Parameter(torch.zeros(num, 1, size))

    def forward(self, x: torch.Tensor, members: torch.Tensor | None) -> torch.Tensor:
        """Normalise (E', B, size) along its last axis."""
        normalised = F.layer_norm(x, x.shape[-1:])
        if members is None:
            return normalised * self.weight + self.bias
        return normalised * self.weight[members] + self.bias[members]


class EnsembleCritic(BaseModel):
    """E action values with layer normalisation (RLPD, arXiv 2302.02948, sec. 4.2).

    Parameters
    ----------
    observation_space, action_space, net_arch, features_extractor, features_dim, activation_fn, \
normalize_images, n_critics
        As in Stable-Baselines3's ``ContinuousCritic``; the extractor is the critic's own.
    """

    features_extractor: BaseFeaturesExtractor

    def __init__(
        self,
        observation_space: spaces.Space,
        action_space: spaces.Box,
        net_arch: list[int],
        features_extractor: BaseFeaturesExtractor,
        features_dim: int,
        activation_fn: type[nn.Module] = nn.ReLU,
        normalize_images: bool = True,
        n_critics: int = 10,
        share_features_extractor: bool = False,
    ) -> None:
        if n_critics < 1:
            raise ValueError(f"n_critics: expected an integer >= 1, got {n_critics}")
        if share_features_extractor:
            raise ValueError("share_features_extractor: expected False, got True")
        super().__init__(
            observation_space,
            action_space,
            features_extractor=features_extractor,
            normalize_images=normalize_images,
        )
        self.n_critics = n_critics
        self.activation = activation_fn()
        sizes = [features_dim + get_action_dim(action_space), *net_arch]
        self.layers = nn.ModuleList(
            EnsembleLinear(n_critics, a, b) for a, b in itertools.pairwise(sizes)
        )
        self.norms = nn.ModuleList(EnsembleNorm(n_critics, size) for size in net_arch)
        self.output = EnsembleLinear(n_critics, sizes[-1], 1)

    def forward(
        self, obs: PyTorchObs, actions: torch.Tensor, members: torch.Tensor | None = None
    ) -> torch.Tensor:
        """Values of actions (B, d) or (B, C, d) by every member: (E', B) or (E', B, C).

        Parameters
        ----------
        members
            Numbers of the E' members to ask, as :meth:`draw` gives them (default: all).
        """
        joint = join(self.extract_features(obs, self.features_extractor), actions)
        x = joint.flatten(0, -2)
        for layer, norm in zip(self.layers, self.norms, strict=True):
            x = self.activation(norm(layer(x, members), members))
        values: torch.Tensor = self.output(x, members)
        return values.reshape(-1, *joint.shape[:-1])

    def draw(self, num: int) -> torch.Tensor:
        """Pick ``num`` different members at random."""
        return torch.randperm(self.n_critics, device=self.device)[:num]


class EnsemblePolicy(SACPolicy):
    """SAC's policy with an ensemble of critics.

    Parameters
    ----------
    observation_space, action_space, lr_schedule, **kwargs
        As in Stable-Baselines3's ``SACPolicy``.
    n_critics
        E.
    """

    action_space: spaces.Box

    critic: EnsembleCritic  # type: ignore[assignment]
    critic_target: EnsembleCritic  # type: ignore[assignment]

    def __init__(
        self,
        observation_space: spaces.Space,
        action_space: spaces.Box,
        lr_schedule: Schedule,
        n_critics: int = 10,
        **kwargs: Any,
    ) -> None:
        super().__init__(
            observation_space, action_space, lr_schedule, n_critics=n_critics, **kwargs
        )

    def make_critic(  # type: ignore[override]
        self, features_extractor: BaseFeaturesExtractor | None = None
    ) -> EnsembleCritic:
        """Build an ensemble; SAC's policy asks for the critic and for its target."""
        kwargs = self._update_features_extractor(self.critic_kwargs, features_extractor)
        return EnsembleCritic(**kwargs).to(self.device)


class EnsembleMultiInputPolicy(EnsemblePolicy):
    """The same for Dict observations."""

    def __init__(
        self,
        *args: Any,
        features_extractor_class: type[BaseFeaturesExtractor] = CombinedExtractor,
        **kwargs: Any,
    ) -> None:
        super().__init__(*args, features_extractor_class=features_extractor_class, **kwargs)
