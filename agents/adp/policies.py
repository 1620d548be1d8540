"""A critic of post-decision states, and the decisions that follow from it."""

from __future__ import annotations

from typing import Any

import gymnasium as gym
import numpy as np
import torch
from stable_baselines3.common.policies import BasePolicy
from stable_baselines3.common.torch_layers import (
    BaseFeaturesExtractor,
    CombinedExtractor,
    FlattenExtractor,
    create_mlp,
)
from stable_baselines3.common.type_aliases import PyTorchObs, Schedule
from stable_baselines3.common.utils import obs_as_tensor
from torch import nn


class PostValuePolicy(BasePolicy):
    """V^x(s^x) by a perceptron. Decisions need the problem, so the algorithm makes them.

    Parameters
    ----------
    observation_space, action_space, lr_schedule
        As in SB3.
    net_arch
        Sizes of the hidden layers.
    activation_fn
        Activation between them.
    features_extractor_class, features_extractor_kwargs, optimizer_class, optimizer_kwargs
        As in SB3.
    use_sde
        SB3 hands it over; there is nothing to explore with.
    """

    reward_scale: torch.Tensor

    def __init__(
        self,
        observation_space: gym.Space[Any],
        action_space: gym.Space[Any],
        lr_schedule: Schedule,
        net_arch: list[int] | None = None,
        activation_fn: type[nn.Module] = nn.ReLU,
        features_extractor_class: type[BaseFeaturesExtractor] = FlattenExtractor,
        features_extractor_kwargs: dict[str, Any] | None = None,
        optimizer_class: type[torch.optim.Optimizer] = torch.optim.Adam,
        optimizer_kwargs: dict[str, Any] | None = None,
        use_sde: bool = False,
    ) -> None:
        assert not use_sde
        super().__init__(
            observation_space,
            action_space,
            features_extractor_class,
            features_extractor_kwargs,
            optimizer_class=optimizer_class,
            optimizer_kwargs=optimizer_kwargs,
        )
        self.features_extractor = self.make_features_extractor()
        hidden = [256, 256] if net_arch is None else net_arch
        layers = create_mlp(self.features_extractor.features_dim, 1, hidden, activation_fn)
        self.post_value_net = nn.Sequential(*layers)
        self.register_buffer("reward_scale", torch.ones((), dtype=torch.float64))
        self.optimizer = self.optimizer_class(
            self.parameters(),
            lr=lr_schedule(1),  # type: ignore[call-arg]
            **self.optimizer_kwargs,
        )

    def predict_post_values(self, post_obs: PyTorchObs) -> torch.Tensor:
        """V^x of the post-decision states, (N, 1)."""
        features = self.extract_features(post_obs, self.features_extractor)
        return self.post_value_net(features)

    def _predict(self, observation: PyTorchObs, deterministic: bool = False) -> torch.Tensor:
        raise NotImplementedError("decisions need the problem: use the algorithm's predict")

    def post_values(self, post_obs: Any) -> np.ndarray:
        """V^x of a numpy batch, (N,)."""
        with torch.no_grad():
            seen = obs_as_tensor(post_obs, self.device)
            return self.predict_post_values(seen).cpu().numpy()[:, 0]


class PostValueMultiInputPolicy(PostValuePolicy):
    """The same for Dict observations."""

    def __init__(
        self,
        observation_space: gym.Space[Any],
        action_space: gym.Space[Any],
        lr_schedule: Schedule,
        features_extractor_class: type[BaseFeaturesExtractor] = CombinedExtractor,
        **kwargs: Any,
    ) -> None:
        super().__init__(
            observation_space,
            action_space,
            lr_schedule,
            features_extractor_class=features_extractor_class,
            **kwargs,
        )
