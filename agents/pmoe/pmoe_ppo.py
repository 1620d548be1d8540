"""PPO whose actor is a mixture of Gaussians or of products of categoricals (PMOE)."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
import torch
from stable_baselines3.common.policies import BasePolicy
from stable_baselines3.common.type_aliases import GymEnv, Schedule
from stable_baselines3.common.utils import explained_variance
from torch.nn import functional as F

from agents.common.masked_ppo import MaskedPPO
from agents.pmoe.mixture import frequency_loss, record_usage
from agents.pmoe.policies import PMOEPPOMultiInputPolicy, PMOEPPOPolicy


class PMOEPPO(MaskedPPO):
    """Probabilistic mixture-of-experts in PPO (arXiv 2104.09122 and the code published with it).

    PPO's ratio is that of the mixture, so PPO itself trains the router; in addition a critic
    Q(s, a) of the returns says which component's action is the best, and the router learns how
    often each is. With one component it is PPO, bit by bit, and MaskablePPO where the environment
    has masks. Time limits are bootstrapped, and the published code takes them for ends.

    Parameters
    ----------
    policy
        "MlpPolicy", or "MultiInputPolicy" for Dict observations.
    env
        Environment with Box, MultiDiscrete or MultiBinary actions, masked or not.
    freq_coef
        Weight of the router's loss, >= 0.
    policy_kwargs
        As in SB3, and ``n_components``, ``router_arch`` and ``component_init_std``, see
        :mod:`agents.pmoe.policies`.
    ent_coef
        As in SB3; the entropy is the components' own, weighted, see
        :meth:`agents.pmoe.mixture.MixtureDistribution.entropy`.
    learning_rate, n_steps, batch_size, n_epochs, gamma, gae_lambda, clip_range, \
normalize_advantage, vf_coef, max_grad_norm, target_kl, stats_window_size, tensorboard_log, \
verbose, seed, device
        As in Stable-Baselines3's PPO; ``max_grad_norm`` holds for the critic Q(s, a) on its own.

    Raises
    ------
    ValueError
        If an argument is outside its range, or actions are Discrete.
    """

    policy_aliases: ClassVar[dict[str, type[BasePolicy]]] = {
        "MlpPolicy": PMOEPPOPolicy,
        "MultiInputPolicy": PMOEPPOMultiInputPolicy,
    }
    keeps_optimizers: ClassVar[bool] = True
    policy: PMOEPPOPolicy

    def __init__(
        self,
        policy: str | type[PMOEPPOPolicy],
        env: GymEnv | str,
        learning_rate: float | Schedule = 3e-4,
        n_steps: int = 2048,
        batch_size: int = 64,
        n_epochs: int = 10,
        gamma: float = 0.99,
        gae_lambda: float = 0.95,
        clip_range: float | Schedule = 0.2,
        normalize_advantage: bool = True,
        ent_coef: float = 0.0,
        vf_coef: float = 0.5,
        max_grad_norm: float = 0.5,
        target_kl: float | None = None,
        freq_coef: float = 1.0,
        stats_window_size: int = 100,
        tensorboard_log: str | None = None,
        policy_kwargs: dict[str, Any] | None = None,
        verbose: int = 0,
        seed: int | None = None,
        device: torch.device | str = "auto",
        _init_setup_model: bool = True,
    ) -> None:
        if not freq_coef >= 0:
            raise ValueError(f"freq_coef: expected a number >= 0, got {freq_coef}")
        self.freq_coef = freq_coef
        super().__init__(
            policy,
            env,
            learning_rate=learning_rate,
            n_steps=n_steps,
            batch_size=batch_size,
            n_epochs=n_epochs,
            gamma=gamma,
            gae_lambda=gae_lambda,
            clip_range=clip_range,
            normalize_advantage=normalize_advantage,
            ent_coef=ent_coef,
            vf_coef=vf_coef,
            max_grad_norm=max_grad_norm,
            target_kl=target_kl,
            stats_window_size=stats_window_size,
            tensorboard_log=tensorboard_log,
            policy_kwargs=policy_kwargs,
            verbose=verbose,
            seed=seed,
            device=device,
            _init_setup_model=_init_setup_model,
        )

    def train(self) -> None:
        """Update policy, router and both critics on the collected transitions.

        Equation numbers are those of the PPO paper (arXiv 1707.06347).
        """
        policy = self.policy
        policy.set_training_mode(True)
        self._update_learning_rate(policy.optimizer)
        epsilon = self.clip_range(self._current_progress_remaining)  # type: ignore[operator]
        losses: dict[str, list[float]] = {}
        weights, wins = [], []
        going_on = True
        for _ in range(self.n_epochs):
            for batch in self.rollout_buffer.get(self.batch_size):
                masks = batch.action_masks if self.masking else None  # type: ignore[attr-defined]
                values, log_prob, entropy = policy.evaluate_actions(
                    batch.observations, batch.actions, masks
                )
                log_weights = policy.mixture.log_weights
                advantages = batch.advantages
                if self.normalize_advantage and len(advantages) > 1:
                    advantages = (advantages - advantages.mean()) / (advantages.std() + 1e-8)

                # r(theta) = pi(a|s) / pi_old(a|s)                          [before eq. 6]
                log_ratio = log_prob - batch.old_log_prob
                ratio = torch.exp(log_ratio)
                # L^CLIP = E min(r A, clip(r, 1 - eps, 1 + eps) A)          [eq. 7]
                clipped = torch.clamp(ratio, 1 - epsilon, 1 + epsilon)
                policy_loss = -torch.min(advantages * ratio, advantages * clipped).mean()
                # L^VF and S                                                [eq. 9]
                value_loss = F.mse_loss(batch.returns, values.flatten())
                assert entropy is not None
                entropy_loss = -torch.mean(entropy)
                loss = policy_loss + self.ent_coef * entropy_loss + self.vf_coef * value_loss

                # L_Q = (Q(s, a) - R)^2; the router learns which component Q prefers
                played = batch.actions[:, None]
                action_values = policy.action_values(batch.observations, played)
                action_value_loss = F.mse_loss(batch.returns, action_values.flatten())
                winner = self._winner(batch.observations)
                router_loss = frequency_loss(log_weights, winner)
                loss = loss + action_value_loss + self.freq_coef * router_loss

                with torch.no_grad():  # http://joschu.net/blog/kl-approx.html
                    approx_kl = ((ratio - 1) - log_ratio).mean().item()
                    clip_fraction = (torch.abs(ratio - 1) > epsilon).float().mean().item()
                for name, value in (
                    ("policy_gradient_loss", policy_loss.item()),
                    ("value_loss", value_loss.item()),
                    ("action_value_loss", action_value_loss.item()),
                    ("router_loss", router_loss.item()),
                    ("entropy_loss", entropy_loss.item()),
                    ("loss", loss.item()),
                    ("approx_kl", approx_kl),
                    ("clip_fraction", clip_fraction),
                ):
                    losses.setdefault(name, []).append(value)
                weights.append(log_weights.detach().exp().mean(dim=0))
                wins.append(F.one_hot(winner, policy.n_components).float().mean(dim=0))
                if self.target_kl is not None and approx_kl > 1.5 * self.target_kl:
                    going_on = False
                    break

                policy.optimizer.zero_grad()
                loss.backward()  # type: ignore[no-untyped-call]
                # Apart: a large error of Q must not shrink the actor's step.
                for parameters in (
                    policy.actor_critic_parameters(),
                    list(policy.action_value_net.parameters()),
                ):
                    torch.nn.utils.clip_grad_norm_(parameters, self.max_grad_norm)
                policy.optimizer.step()
            self._n_updates += 1
            if not going_on:
                break

        buffer = self.rollout_buffer
        for name, found in losses.items():
            self.logger.record(f"train/{name}", np.mean(found))
        self.logger.record(
            "train/explained_variance",
            explained_variance(buffer.values.flatten(), buffer.returns.flatten()),
        )
        self.logger.record("train/n_updates", self._n_updates, exclude="tensorboard")
        self.logger.record("train/clip_range", epsilon)
        record_usage(self.logger, torch.stack(weights).mean(dim=0), torch.stack(wins).mean(dim=0))

    def _winner(self, obs: Any) -> torch.Tensor:
        """k* = argmax_k Q(s, a_k) of fresh actions in the states of the last evaluation, (N,)."""
        mixture = self.policy.mixture
        if mixture.num == 1:  # nothing to compare: the random stream stays that of PPO
            return torch.zeros(len(mixture.log_weights), dtype=torch.long, device=self.device)
        with torch.no_grad():
            return self.policy.action_values(obs, mixture.sample_components()).argmax(dim=1)
