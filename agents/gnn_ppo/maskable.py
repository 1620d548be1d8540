"""The fleet's network as a policy of sb3-contrib's MaskablePPO."""

from __future__ import annotations

from typing import Any

import gymnasium as gym
import torch
from sb3_contrib.common.maskable.policies import MaskableMultiInputActorCriticPolicy
from stable_baselines3.common.torch_layers import BaseFeaturesExtractor
from stable_baselines3.common.type_aliases import Schedule
from torch import nn

from agents.gnn_ppo.encoder import Encoded
from agents.gnn_ppo.fleet_graph import FleetGraph, Pointer


class FleetFeatures(BaseFeaturesExtractor):
    """Embeddings of an observation side by side in one vector, as SB3 hands them on.

    Parameters
    ----------
    observation_space
        Of the fleet, features "relational".
    **architecture
        Of :class:`agents.gnn_ppo.fleet_graph.FleetGraph`.

    Raises
    ------
    ValueError
        If the observations are others, or an argument is outside its range.
    """

    def __init__(self, observation_space: gym.spaces.Dict, **architecture: Any) -> None:
        keys = {"vertiports", "aircraft", "series", "context"}
        if not keys <= set(observation_space):
            raise ValueError(
                f"env: FleetGraph needs observations with {', '.join(sorted(keys))},"
                f" got {observation_space}"
            )
        encoder = FleetGraph(**architecture)
        vertiports = observation_space["vertiports"].shape
        assert vertiports is not None
        num = vertiports[0]
        #: Numbers of candidates' embeddings, of the context and of scores.
        self.sizes = [num * encoder.width, encoder.context_width, num]
        super().__init__(observation_space, sum(self.sizes))
        self.encoder = encoder

    def forward(self, observations: dict[str, torch.Tensor]) -> torch.Tensor:
        """Embed a batch of observations."""
        encoded = self.encoder(observations)
        assert encoded.scores is not None
        nodes = encoded.candidates.flatten(1)
        return torch.cat([nodes, encoded.context, encoded.scores], dim=1)

    def encoded(self, features: torch.Tensor) -> Encoded:
        """Take features apart again."""
        parts = torch.split(features, self.sizes, dim=1)  # type: ignore[no-untyped-call]
        nodes, context, scores = parts
        return Encoded(nodes.reshape(len(nodes), -1, self.encoder.width), context, scores)


class Destinations(nn.Module):
    """Scores of destinations, of features.

    Parameters
    ----------
    features
        Takes them apart.
    """

    def __init__(self, features: FleetFeatures) -> None:
        super().__init__()
        self._encoded = features.encoded
        self.pointer = Pointer(features.encoder.width, features.encoder.context_width)

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        """Return scores (B, N)."""
        encoded = self._encoded(features)
        assert encoded.scores is not None
        return encoded.scores + self.pointer(encoded.candidates, encoded.context)  # type: ignore[no-any-return]


class Values(nn.Module):
    """Value of a state, of features.

    Parameters
    ----------
    features
        Takes them apart.
    """

    def __init__(self, features: FleetFeatures) -> None:
        super().__init__()
        self._encoded = features.encoded
        width, context = features.encoder.width, features.encoder.context_width
        self.network = nn.Sequential(nn.Linear(context, width), nn.ReLU(), nn.Linear(width, 1))

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        """Return values (B, 1)."""
        return self.network(self._encoded(features).context)  # type: ignore[no-any-return]


class Unchanged(nn.Module):
    """Stands where SB3 expects a network between features and heads.

    Parameters
    ----------
    size
        Number of features.
    """

    def __init__(self, size: int) -> None:
        super().__init__()
        self.latent_dim_pi = self.latent_dim_vf = size

    def forward(self, features: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Return the features for both heads."""
        return features, features

    def forward_actor(self, features: torch.Tensor) -> torch.Tensor:
        """Return the features."""
        return features

    def forward_critic(self, features: torch.Tensor) -> torch.Tensor:
        """Return the features."""
        return features


class MaskableFleetPolicy(MaskableMultiInputActorCriticPolicy):
    """Policy "FleetGraph" of MaskablePPO: encoder, pointer and values as those of GNN-PPO.

    Parameters
    ----------
    observation_space, action_space, lr_schedule, **settings
        As in sb3-contrib.
    **architecture
        Of :class:`agents.gnn_ppo.fleet_graph.FleetGraph`, such as ``width``.
    """

    def __init__(
        self,
        observation_space: gym.spaces.Dict,
        action_space: gym.spaces.Discrete,
        lr_schedule: Schedule,
        use_sde: bool = False,
        optimizer_class: type[torch.optim.Optimizer] = torch.optim.Adam,
        optimizer_kwargs: dict[str, Any] | None = None,
        **architecture: Any,
    ) -> None:
        assert not use_sde
        super().__init__(
            observation_space,
            action_space,
            lr_schedule,
            features_extractor_class=FleetFeatures,
            features_extractor_kwargs=architecture,
            optimizer_class=optimizer_class,
            optimizer_kwargs=optimizer_kwargs,
            # It would undo that scores start as those of the rule.
            ortho_init=False,
        )

    def _build(self, lr_schedule: Schedule) -> None:
        """Build the heads and the optimiser."""
        features = self.features_extractor
        assert isinstance(features, FleetFeatures)
        self.mlp_extractor = Unchanged(features.features_dim)  # type: ignore[assignment]
        self.action_net = Destinations(features)
        self.value_net = Values(features)  # type: ignore[assignment]
        self.optimizer = self.optimizer_class(
            self.parameters(),
            lr=lr_schedule(1),  # type: ignore[call-arg]
            **self.optimizer_kwargs,
        )
