"""Actor and two critics, V(s) and V^x(s^x), with action masks."""

from __future__ import annotations

from typing import Any, NamedTuple

import gymnasium as gym
import numpy as np
import torch
from sb3_contrib.common.maskable.distributions import make_masked_proba_distribution
from stable_baselines3.common.distributions import Distribution
from stable_baselines3.common.policies import ActorCriticPolicy
from stable_baselines3.common.torch_layers import (
    BaseFeaturesExtractor,
    CombinedExtractor,
    create_mlp,
)
from stable_baselines3.common.type_aliases import PyTorchObs, Schedule
from stable_baselines3.common.utils import obs_as_tensor
from torch import nn

Masks = np.ndarray | torch.Tensor | None


class Evaluation(NamedTuple):
    """What a minibatch of N states and actions looks like to the current networks.

    Attributes
    ----------
    values
        V(s), (N, 1).
    log_probs
        Log-probability of each of the K components of the actions, (N, K).
    entropy
        Entropy of the action distribution, summed over components, (N,).
    distribution
        Of the actions; the policy's own object, which its next call changes.
    """

    values: torch.Tensor
    log_probs: torch.Tensor
    entropy: torch.Tensor
    distribution: Distribution


class PostDecisionActorCriticPolicy(ActorCriticPolicy):
    """SB3's actor-critic policy with a second critic for post-decision states.

    The second critic has an extractor and layers of its own, sized as those of the first, and is
    the last to be initialised, from a copy of the random stream: actor and first critic are those
    of SB3's policy for the same seed. The arguments are SB3's. The optimiser has two groups of
    parameters, the actor's (and what it shares with a critic) and the critics'.
    """

    post_features_extractor: BaseFeaturesExtractor
    post_value_net: nn.Sequential
    reward_scale: torch.Tensor

    def _build(self, lr_schedule: Schedule) -> None:
        super()._build(lr_schedule)
        self.masked_action_dist = None
        if not isinstance(self.action_space, gym.spaces.Box):
            self.masked_action_dist = make_masked_proba_distribution(self.action_space)
        hidden = self.net_arch["vf"] if isinstance(self.net_arch, dict) else self.net_arch
        with torch.random.fork_rng(devices=[]):
            self.post_features_extractor = self.make_features_extractor()
            layers = create_mlp(self.features_dim, 1, hidden, self.activation_fn)
            self.post_value_net = nn.Sequential(*layers)
            self.register_buffer("reward_scale", torch.ones((), dtype=torch.float64))
            if self.ortho_init:  # the gains of SB3's first critic
                for module in self.post_critic_modules():
                    module.apply(lambda part: self.init_weights(part, gain=np.sqrt(2)))
                self.init_weights(self.post_value_net[-1], gain=1)
        self.optimizer = self.optimizer_class(
            [{"params": self.actor_parameters()}, {"params": self.critic_parameters()}],
            lr=lr_schedule(1),  # type: ignore[call-arg]
            **self.optimizer_kwargs,
        )

    def post_critic_modules(self) -> tuple[nn.Module, nn.Module]:
        """Modules of the second critic; it shares none with the rest."""
        return self.post_features_extractor, self.post_value_net

    def post_critic_parameters(self) -> list[nn.Parameter]:
        """Parameters of the second critic."""
        return [parameter for part in self.post_critic_modules() for parameter in part.parameters()]

    def critic_parameters(self) -> list[nn.Parameter]:
        """Parameters of both critics that the actor does not share."""
        parts = [self.mlp_extractor.value_net, self.value_net, *self.post_critic_modules()]
        if not self.share_features_extractor:
            parts.append(self.vf_features_extractor)
        return [parameter for part in parts for parameter in part.parameters()]

    def actor_parameters(self) -> list[nn.Parameter]:
        """All other parameters."""
        critics = {id(parameter) for parameter in self.critic_parameters()}
        return [parameter for parameter in self.parameters() if id(parameter) not in critics]

    def actor_critic_parameters(self) -> list[nn.Parameter]:
        """Parameters of the actor and of the first critic, those of SB3's policy."""
        second = {id(parameter) for parameter in self.post_critic_parameters()}
        return [parameter for parameter in self.parameters() if id(parameter) not in second]

    def forward(  # type: ignore[override]
        self, obs: PyTorchObs, deterministic: bool = False, action_masks: Masks = None
    ) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Return actions (N, ...), V(s) (N, 1) and log-probabilities of components (N, K)."""
        latent_pi, latent_vf = self._latent(obs)
        values = self.value_net(latent_vf)
        distribution = self._distribution(latent_pi, action_masks)
        actions = distribution.get_actions(deterministic=deterministic)
        log_probs = component_log_probs(distribution, actions)
        assert self.action_space.shape is not None
        return actions.reshape((-1, *self.action_space.shape)), values, log_probs

    def evaluate_actions(  # type: ignore[override]
        self, obs: PyTorchObs, actions: torch.Tensor, action_masks: Masks = None
    ) -> Evaluation:
        """Evaluate actions (N, ...) in the states (N, ...)."""
        latent_pi, latent_vf = self._latent(obs)
        distribution = self._distribution(latent_pi, action_masks)
        log_probs = component_log_probs(distribution, actions)
        values = self.value_net(latent_vf)
        entropy = distribution.entropy()
        assert entropy is not None
        return Evaluation(values, log_probs, entropy, distribution)

    def predict_post_values(self, post_obs: PyTorchObs) -> torch.Tensor:
        """V^x of the post-decision states, (N, 1)."""
        features = super(ActorCriticPolicy, self).extract_features(
            post_obs, self.post_features_extractor
        )
        return self.post_value_net(features)

    def post_values(self, post_obs: Any) -> np.ndarray:
        """V^x of a numpy batch, (N,)."""
        with torch.no_grad():
            seen = obs_as_tensor(post_obs, self.device)
            return self.predict_post_values(seen).cpu().numpy()[:, 0]

    def get_distribution(  # type: ignore[override]
        self, obs: PyTorchObs, action_masks: Masks = None
    ) -> Distribution:
        """Action distribution in the states (N, ...)."""
        features = super(ActorCriticPolicy, self).extract_features(obs, self.pi_features_extractor)
        return self._distribution(self.mlp_extractor.forward_actor(features), action_masks)

    def predict(  # type: ignore[override]
        self,
        observation: np.ndarray | dict[str, np.ndarray],
        state: tuple[np.ndarray, ...] | None = None,
        episode_start: np.ndarray | None = None,
        deterministic: bool = False,
        action_masks: np.ndarray | None = None,
    ) -> tuple[np.ndarray, tuple[np.ndarray, ...] | None]:
        """Actions for one observation or a batch; see sb3-contrib's MaskablePPO."""
        self.set_training_mode(False)
        obs, batched = self.obs_to_tensor(observation)
        with torch.no_grad():
            distribution = self.get_distribution(obs, action_masks)
            actions = distribution.get_actions(deterministic=deterministic).cpu().numpy()
        assert self.action_space.shape is not None
        actions = actions.reshape((-1, *self.action_space.shape))
        if isinstance(self.action_space, gym.spaces.Box):
            actions = np.clip(actions, self.action_space.low, self.action_space.high)
        return (actions if batched else actions.squeeze(axis=0)), state

    def _latent(self, obs: PyTorchObs) -> tuple[torch.Tensor, torch.Tensor]:
        features = self.extract_features(obs)
        if isinstance(features, tuple):
            actor, critic = features
            return self.mlp_extractor.forward_actor(actor), self.mlp_extractor.forward_critic(
                critic
            )
        return self.mlp_extractor(features)

    def _distribution(self, latent_pi: torch.Tensor, action_masks: Masks) -> Distribution:
        # Masked distributions normalise twice, which changes last bits: where nothing is masked,
        # the distribution is SB3's own.
        if action_masks is None or action_masks.all():
            return self._get_action_dist_from_latent(latent_pi)
        if self.masked_action_dist is None:
            raise ValueError("action_masks: continuous actions have no masks")
        distribution = self.masked_action_dist.proba_distribution(
            action_logits=self.action_net(latent_pi)
        )
        if isinstance(action_masks, np.ndarray):
            action_masks = action_masks.copy()  # torch warns about arrays that it may not write to
        distribution.apply_masking(action_masks)
        return distribution


class PostDecisionMultiInputPolicy(PostDecisionActorCriticPolicy):
    """The same for Dict observations."""

    def __init__(
        self,
        *args: Any,
        features_extractor_class: type[BaseFeaturesExtractor] = CombinedExtractor,
        **kwargs: Any,
    ) -> None:
        super().__init__(
            *args,
            features_extractor_class=features_extractor_class,  # type: ignore[misc]
            **kwargs,
        )


def component_log_probs(distribution: Distribution, actions: torch.Tensor) -> torch.Tensor:
    """Log-probability of each of the K components of the actions, (N, K).

    Parameters
    ----------
    distribution
        Over Discrete, MultiDiscrete, MultiBinary or Box actions, masked or not.
    actions
        (N,) or (N, K).
    """
    parts = getattr(distribution, "distributions", None) or getattr(
        distribution, "distribution", None
    )
    if isinstance(parts, list):
        columns = torch.unbind(actions.view(-1, len(parts)), dim=1)
        return torch.stack(
            [part.log_prob(column) for part, column in zip(parts, columns, strict=True)], dim=1
        )
    assert parts is not None
    log_probs = parts.log_prob(actions)
    return log_probs[:, None] if log_probs.ndim == 1 else log_probs


def all_log_probs(distribution: Distribution) -> torch.Tensor:
    """Log-probabilities of all values of all components, side by side, (N, sum of their sizes).

    Parameters
    ----------
    distribution
        Over Discrete or MultiDiscrete actions, masked or not.
    """
    parts: Any = getattr(distribution, "distributions", None) or getattr(
        distribution, "distribution", None
    )
    if not isinstance(parts, list):
        parts = [parts]
    return torch.cat([part.logits for part in parts], dim=1)
