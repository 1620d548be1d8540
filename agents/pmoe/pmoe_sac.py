"""SAC whose actor is a mixture of Gaussians (PMOE)."""

from __future__ import annotations

from typing import Any, ClassVar, Literal, get_args

import numpy as np
import stable_baselines3
import torch
from stable_baselines3.common.policies import BasePolicy
from stable_baselines3.common.type_aliases import GymEnv, PyTorchObs, Schedule
from stable_baselines3.common.utils import polyak_update
from torch.nn import functional as F

from agents.common.off_policy import SafeOffPolicy
from agents.pmoe.mixture import choose, frequency_loss, pick, record_usage
from agents.pmoe.policies import MixtureActor, PMOESACMultiInputPolicy, PMOESACPolicy

PrimitiveUpdate = Literal["best", "all"]
EntropyMode = Literal["component", "mixture"]


class PMOESAC(SafeOffPolicy, stable_baselines3.SAC):
    """Probabilistic mixture-of-experts in soft actor-critic (arXiv 2104.09122).

    The choice of a component has no gradient; its router learns instead how often each component's
    action is the best one, by the critics. With one component it is SAC, bit by bit. Rewards are
    not normalised per batch as in the published code, which changes the objective at every step;
    use ``VecNormalize``.

    Parameters
    ----------
    policy
        "MlpPolicy", or "MultiInputPolicy" for Dict observations.
    env
        Environment with Box actions.
    primitive_update
        Components that learn from a state: the "best" one, as published, or "all".
    entropy_mode
        Whose density is the entropy term's: that of the "component" that drew the action, as
        published, or that of the "mixture", which rewards modes that lie apart.
    freq_coef
        Weight of the router's loss, >= 0.
    policy_kwargs
        As in SB3, and ``n_components``, ``router_arch`` and ``component_init_std``, see
        :mod:`agents.pmoe.policies`.
    learning_rate, buffer_size, learning_starts, batch_size, tau, gamma, train_freq, \
gradient_steps, ent_coef, target_update_interval, target_entropy, stats_window_size, \
tensorboard_log, verbose, seed, device
        As in Stable-Baselines3's SAC.

    Raises
    ------
    ValueError
        If an argument is outside its range.
    """

    policy_aliases: ClassVar[dict[str, type[BasePolicy]]] = {
        "MlpPolicy": PMOESACPolicy,
        "MultiInputPolicy": PMOESACMultiInputPolicy,
    }
    policy: PMOESACPolicy
    actor: MixtureActor

    def __init__(
        self,
        policy: str | type[PMOESACPolicy],
        env: GymEnv | str,
        learning_rate: float | Schedule = 3e-4,
        buffer_size: int = 1_000_000,
        learning_starts: int = 100,
        batch_size: int = 256,
        tau: float = 0.005,
        gamma: float = 0.99,
        train_freq: int | tuple[int, str] = 1,
        gradient_steps: int = 1,
        ent_coef: str | float = "auto",
        target_update_interval: int = 1,
        target_entropy: str | float = "auto",
        primitive_update: PrimitiveUpdate = "best",
        entropy_mode: EntropyMode = "component",
        freq_coef: float = 1.0,
        stats_window_size: int = 100,
        tensorboard_log: str | None = None,
        policy_kwargs: dict[str, Any] | None = None,
        verbose: int = 0,
        seed: int | None = None,
        device: torch.device | str = "auto",
        _init_setup_model: bool = True,
    ) -> None:
        for name, choice, allowed in (
            ("primitive_update", primitive_update, get_args(PrimitiveUpdate)),
            ("entropy_mode", entropy_mode, get_args(EntropyMode)),
        ):
            if choice not in allowed:
                raise ValueError(f"{name}: expected one of {', '.join(allowed)}, got {choice!r}")
        if not freq_coef >= 0:
            raise ValueError(f"freq_coef: expected a number >= 0, got {freq_coef}")
        self.primitive_update = primitive_update
        self.entropy_mode = entropy_mode
        self.freq_coef = freq_coef
        super().__init__(
            policy,
            env,
            learning_rate=learning_rate,
            buffer_size=buffer_size,
            learning_starts=learning_starts,
            batch_size=batch_size,
            tau=tau,
            gamma=gamma,
            train_freq=train_freq,
            gradient_steps=gradient_steps,
            ent_coef=ent_coef,
            target_update_interval=target_update_interval,
            target_entropy=target_entropy,
            stats_window_size=stats_window_size,
            tensorboard_log=tensorboard_log,
            policy_kwargs=policy_kwargs,
            verbose=verbose,
            seed=seed,
            device=device,
            _init_setup_model=_init_setup_model,
        )

    def train(self, gradient_steps: int, batch_size: int = 64) -> None:
        """Update critics, actor, router and temperature on batches of the replay buffer.

        min Q is the smaller of the two critics, k* = argmax_k min Q(s, u_k) over one action u_k of
        every component.
        """
        self.policy.set_training_mode(True)
        optimizers = [self.actor.optimizer, self.critic.optimizer]
        if self.ent_coef_optimizer is not None:
            optimizers.append(self.ent_coef_optimizer)
        self._update_learning_rate(optimizers)
        of_mixture = self.entropy_mode == "mixture"
        losses: dict[str, list[float]] = {}
        weights, wins = [], []

        for step in range(gradient_steps):
            batch = self.replay_buffer.sample(batch_size, env=self._vec_normalize_env)  # type: ignore[union-attr]
            current = self.actor.sample_components(batch.observations, of_mixture)
            alpha = self._ent_coef()

            # y = r + gamma (1 - d) (min Q'(s', a') - alpha log pi(a'|s')), a' of component k' ~ w
            with torch.no_grad():
                following = self.actor.sample_components(batch.next_observations, of_mixture)
                drawn = choose(following.log_weights)
                next_values = torch.cat(
                    self.critic_target(batch.next_observations, pick(following.actions, drawn)),
                    dim=1,
                ).amin(dim=1, keepdim=True)
                next_values = next_values - alpha * pick(following.log_probs, drawn)[:, None]
                targets = batch.rewards + (1 - batch.dones) * self.gamma * next_values
            critic_loss = torch.stack(
                [
                    0.5 * F.mse_loss(values, targets)
                    for values in self.critic(batch.observations, batch.actions)
                ]
            ).sum()
            self.critic.optimizer.zero_grad()
            critic_loss.backward()  # type: ignore[no-untyped-call]
            self.critic.optimizer.step()

            # L_pri = alpha log pi(u_k|s) - min Q(s, u_k), of the best k or summed over all k
            values = torch.cat(
                self.critic(
                    _repeated(batch.observations, self.actor.n_components),
                    current.actions.flatten(0, 1),
                ),
                dim=1,
            )
            values = values.amin(dim=1).view_as(current.log_probs)
            winner = values.argmax(dim=1)
            primitive = alpha * current.log_probs - values
            if self.primitive_update == "best":
                actor_loss = pick(primitive, winner).mean()
            else:
                actor_loss = primitive.sum(dim=1).mean()
            # L_freq = mean over k of (w_k - 1[k = k*])^2
            router_loss = frequency_loss(current.log_weights, winner)
            self.actor.optimizer.zero_grad()
            (actor_loss + self.freq_coef * router_loss).backward()  # type: ignore[no-untyped-call]
            self.actor.optimizer.step()

            # L_alpha = -log alpha (log pi(u_k*|s) + H_target)
            if self.ent_coef_optimizer is not None:
                assert self.log_ent_coef is not None
                assert isinstance(self.target_entropy, float)
                missing = pick(current.log_probs, winner).detach() + self.target_entropy
                ent_coef_loss = -(self.log_ent_coef * missing).mean()
                self.ent_coef_optimizer.zero_grad()
                ent_coef_loss.backward()  # type: ignore[no-untyped-call]
                self.ent_coef_optimizer.step()
                losses.setdefault("ent_coef_loss", []).append(ent_coef_loss.item())

            if step % self.target_update_interval == 0:
                polyak_update(self.critic.parameters(), self.critic_target.parameters(), self.tau)
                polyak_update(self.batch_norm_stats, self.batch_norm_stats_target, 1.0)

            for name, value in (
                ("ent_coef", alpha),
                ("actor_loss", actor_loss),
                ("critic_loss", critic_loss),
                ("router_loss", router_loss),
            ):
                losses.setdefault(name, []).append(value.item())
            weights.append(current.log_weights.detach().exp().mean(dim=0))
            wins.append(F.one_hot(winner, self.actor.n_components).float().mean(dim=0))

        self._n_updates += gradient_steps
        self.logger.record("train/n_updates", self._n_updates, exclude="tensorboard")
        for name, found in losses.items():
            self.logger.record(f"train/{name}", np.mean(found))
        record_usage(self.logger, torch.stack(weights).mean(dim=0), torch.stack(wins).mean(dim=0))

    def _ent_coef(self) -> torch.Tensor:
        """Temperature alpha, a constant."""
        if self.log_ent_coef is None:
            return self.ent_coef_tensor
        return torch.exp(self.log_ent_coef.detach())


def _repeated(obs: PyTorchObs, num: int) -> PyTorchObs:
    """Every row of the observations ``num`` times."""
    if isinstance(obs, dict):
        return {key: part.repeat_interleave(num, dim=0) for key, part in obs.items()}
    return obs.repeat_interleave(num, dim=0)
