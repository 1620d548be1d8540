"""PPO that masks illegal actions where the environment says which they are."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any, ClassVar

import gymnasium as gym
import numpy as np
import sb3_contrib
import stable_baselines3
import torch
from sb3_contrib.common.maskable.buffers import MaskableDictRolloutBuffer, MaskableRolloutBuffer
from sb3_contrib.common.maskable.distributions import make_masked_proba_distribution
from sb3_contrib.common.maskable.utils import is_masking_supported
from stable_baselines3.common.buffers import RolloutBuffer
from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.distributions import Distribution
from stable_baselines3.common.policies import ActorCriticPolicy, BasePolicy
from stable_baselines3.common.torch_layers import BaseFeaturesExtractor, CombinedExtractor
from stable_baselines3.common.type_aliases import PyTorchObs, Schedule
from stable_baselines3.common.vec_env import VecEnv

from agents.common.safe_files import SafeFiles

#: Allowed actions of N states, bool (N, sum of action sizes); ``None``: all.
Masks = np.ndarray | torch.Tensor | None


class MaskedActorCriticPolicy(ActorCriticPolicy):
    """SB3's actor-critic policy, whose methods take ``action_masks``.

    Without masks its distributions are SB3's, with them sb3-contrib's. The arguments are SB3's.
    """

    _action_masks: Masks = None

    def _build(self, lr_schedule: Schedule) -> None:
        self.masked_action_dist = None
        if not isinstance(self.action_space, gym.spaces.Box):
            self.masked_action_dist = make_masked_proba_distribution(self.action_space)
        super()._build(lr_schedule)

    def forward(
        self, obs: PyTorchObs, deterministic: bool = False, action_masks: Masks = None
    ) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Return actions (N, ...), values (N, 1) and log-probabilities (N,)."""
        with self._masked(action_masks):
            return super().forward(obs, deterministic)  # type: ignore[arg-type]

    def evaluate_actions(
        self, obs: PyTorchObs, actions: torch.Tensor, action_masks: Masks = None
    ) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor | None]:
        """Return values (N, 1), log-probabilities (N,) and entropies (N,) of given actions."""
        if isinstance(self.action_space, gym.spaces.MultiBinary):
            actions = (
                actions.float()
            )  # sb3-contrib's buffers keep bytes, SB3's Bernoulli wants this
        with self._masked(action_masks):
            return super().evaluate_actions(obs, actions)

    def get_distribution(self, obs: PyTorchObs, action_masks: Masks = None) -> Distribution:
        """Action distribution in N states; the policy's own object, which its next call changes."""
        with self._masked(action_masks):
            return super().get_distribution(obs)

    def predict(
        self,
        observation: np.ndarray | dict[str, np.ndarray],
        state: tuple[np.ndarray, ...] | None = None,
        episode_start: np.ndarray | None = None,
        deterministic: bool = False,
        action_masks: np.ndarray | None = None,
    ) -> tuple[np.ndarray, tuple[np.ndarray, ...] | None]:
        """Actions for one observation or a batch; see sb3-contrib's MaskablePPO."""
        with self._masked(action_masks):
            # SB3 asks ``get_distribution``, which takes the masks that are set here.
            return super().predict(observation, state, episode_start, deterministic)

    @contextlib.contextmanager
    def _masked(self, action_masks: Masks) -> Iterator[None]:
        """Apply the masks to the distributions that SB3's methods make meanwhile."""
        if action_masks is None:
            yield
            return
        if self.masked_action_dist is None:
            raise ValueError("action_masks: continuous actions have no masks")
        self._action_masks = action_masks
        try:
            yield
        finally:
            self._action_masks = None

    def _get_action_dist_from_latent(self, latent_pi: torch.Tensor) -> Distribution:
        if self._action_masks is None:
            return super()._get_action_dist_from_latent(latent_pi)
        assert self.masked_action_dist is not None
        logits = self._categories(self.action_net(latent_pi))
        distribution = self.masked_action_dist.proba_distribution(action_logits=logits)
        distribution.apply_masking(self._action_masks)
        return distribution

    def _categories(self, logits: torch.Tensor) -> torch.Tensor:
        """Logits (N, ...) as sb3-contrib has them: a binary action has two categories."""
        if isinstance(self.action_space, gym.spaces.MultiBinary):
            return torch.stack([torch.zeros_like(logits), logits], dim=2).flatten(1)
        return logits


class MaskedMultiInputPolicy(MaskedActorCriticPolicy):
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


class MaskedPPO(SafeFiles, stable_baselines3.PPO):
    """SB3's PPO for any actions, sb3-contrib's MaskablePPO where the environment has masks.

    A base of agents with settings of their own; both give the parameters, bit by bit, that the
    original gives.
    """

    policy_aliases: ClassVar[dict[str, type[BasePolicy]]] = {
        "MlpPolicy": MaskedActorCriticPolicy,
        "MultiInputPolicy": MaskedMultiInputPolicy,
    }
    policy: MaskedActorCriticPolicy
    #: Whether the environment that was played last has masks.
    masking = False

    def _setup_model(self) -> None:
        if not isinstance(self.action_space, gym.spaces.Box):
            several = isinstance(self.observation_space, gym.spaces.Dict)
            self.rollout_buffer_class = (
                MaskableDictRolloutBuffer if several else MaskableRolloutBuffer
            )
        super()._setup_model()

    def collect_rollouts(
        self,
        env: VecEnv,
        callback: BaseCallback,
        rollout_buffer: RolloutBuffer,
        n_rollout_steps: int,
    ) -> bool:
        """Play ``n_rollout_steps`` steps of every environment; false if a callback stops it."""
        self.masking = self._has_masks(env)
        if self.masking:
            return sb3_contrib.MaskablePPO.collect_rollouts(
                self,  # type: ignore[arg-type]
                env,
                callback,
                rollout_buffer,
                n_rollout_steps,
            )
        return super().collect_rollouts(env, callback, rollout_buffer, n_rollout_steps)

    def _has_masks(self, env: VecEnv) -> bool:
        return not isinstance(self.action_space, gym.spaces.Box) and is_masking_supported(env)

    def train(self) -> None:
        """Update the policy on the collected transitions."""
        if self.masking:
            sb3_contrib.MaskablePPO.train(self)  # type: ignore[arg-type]
        else:
            super().train()

    def predict(  # type: ignore[override]
        self,
        observation: np.ndarray | dict[str, np.ndarray],
        state: tuple[np.ndarray, ...] | None = None,
        episode_start: np.ndarray | None = None,
        deterministic: bool = False,
        action_masks: np.ndarray | None = None,
    ) -> tuple[np.ndarray, tuple[np.ndarray, ...] | None]:
        """Actions for one observation or a batch.

        Parameters
        ----------
        observation
            One observation, or a batch (B, ...).
        state, episode_start
            Not used; part of SB3's interface.
        deterministic
            Take the mode of the policy instead of a sample.
        action_masks
            Allowed actions, bool (B, sum of action sizes).
        """
        return self.policy.predict(
            observation, state, episode_start, deterministic, action_masks=action_masks
        )
