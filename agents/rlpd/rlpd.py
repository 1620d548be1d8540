"""Reinforcement learning with prior data (RLPD, arXiv 2302.02948)."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
import torch
from stable_baselines3 import SAC
from stable_baselines3.common.buffers import DictReplayBuffer, ReplayBuffer
from stable_baselines3.common.policies import BasePolicy
from stable_baselines3.common.preprocessing import get_action_dim
from stable_baselines3.common.type_aliases import GymEnv, PyTorchObs, ReplayBufferSamples, Schedule
from stable_baselines3.common.utils import polyak_update

from agents.common.off_policy import SafeOffPolicy
from agents.common.offline_data import Transitions, load_transitions
from agents.rlpd.critics import EnsembleCritic, EnsembleMultiInputPolicy, EnsemblePolicy


class RLPD(SafeOffPolicy, SAC):
    """SAC that learns from recorded and from own transitions at once.

    Half of every minibatch comes from the data set (symmetric sampling). ``gradient_steps``
    updates of E critics with layer normalisation follow every environment step; a target is the
    minimum of ``n_min_critics`` random members. Actor and temperature are updated once, on the last
    minibatch, by the mean of all members.

    Parameters
    ----------
    policy
        "MlpPolicy", or "MultiInputPolicy" for Dict observations.
    env
        Environment with Box actions.
    learning_rate, buffer_size, learning_starts, batch_size, tau, gamma, train_freq, \
stats_window_size, tensorboard_log, policy_kwargs, verbose, seed, device
        As in Stable-Baselines3's SAC; ``policy_kwargs`` takes ``n_critics``, E.
    gradient_steps
        Critic updates after every roll-out: the update-to-data ratio, where ``train_freq`` and the
        number of environments are 1.
    ent_coef, target_entropy
        As in SAC, but "auto" aims at -d / 2 for d action components.
    n_min_critics
        Members whose minimum is a target, in 1..E.
    entropy_backup
        Whether targets hold the entropy of the next action, as in SAC.
    offline_dataset
        What :func:`agents.common.offline_data.load_transitions` reads; rewards in the environment's
        own units. Files of the model do not hold it: call :meth:`load_offline_dataset` after
        loading.
    offline_ratio
        Share of a minibatch that comes from the data set, in [0, 1]; 0 where there is none.

    Raises
    ------
    ValueError
        If an argument is outside its range, or the data set does not fit the environment.
    """

    policy_aliases: ClassVar[dict[str, type[BasePolicy]]] = {
        "MlpPolicy": EnsemblePolicy,
        "MultiInputPolicy": EnsembleMultiInputPolicy,
    }
    session_arguments: ClassVar[frozenset[str]] = frozenset({"offline_dataset"})
    policy: EnsemblePolicy
    critic: EnsembleCritic  # type: ignore[assignment]
    critic_target: EnsembleCritic  # type: ignore[assignment]

    def __init__(
        self,
        policy: str | type[EnsemblePolicy],
        env: GymEnv | str,
        learning_rate: float | Schedule = 3e-4,
        buffer_size: int = 1_000_000,
        learning_starts: int = 5000,
        batch_size: int = 256,
        tau: float = 0.005,
        gamma: float = 0.99,
        train_freq: int | tuple[int, str] = 1,
        gradient_steps: int = 20,
        ent_coef: str | float = "auto",
        target_entropy: str | float = "auto",
        n_min_critics: int = 2,
        entropy_backup: bool = False,
        offline_dataset: Any = None,
        offline_ratio: float = 0.5,
        stats_window_size: int = 100,
        tensorboard_log: str | None = None,
        policy_kwargs: dict[str, Any] | None = None,
        verbose: int = 0,
        seed: int | None = None,
        device: torch.device | str = "auto",
        _init_setup_model: bool = True,
    ) -> None:
        if not 0 <= offline_ratio <= 1:
            raise ValueError(f"offline_ratio: expected a number in [0, 1], got {offline_ratio}")
        if not 0 <= gamma <= 1:
            raise ValueError(f"gamma: expected a number in [0, 1], got {gamma}")
        super().__init__(
            policy,
            env,
            learning_rate,
            buffer_size,
            learning_starts,
            batch_size,
            tau,
            gamma,
            train_freq,
            gradient_steps,
            ent_coef=ent_coef,
            target_entropy=target_entropy,
            stats_window_size=stats_window_size,
            tensorboard_log=tensorboard_log,
            policy_kwargs=policy_kwargs,
            verbose=verbose,
            seed=seed,
            device=device,
            _init_setup_model=False,
        )
        self.n_min_critics = n_min_critics
        self.entropy_backup = entropy_backup
        self.offline_ratio = offline_ratio
        self.offline_buffer: ReplayBuffer | None = None
        if _init_setup_model:
            self._setup_model()
            if offline_dataset is not None:
                self.load_offline_dataset(offline_dataset)

    def _setup_model(self) -> None:
        if self.target_entropy == "auto":
            self.target_entropy = self._default_target_entropy(get_action_dim(self.action_space))
        super()._setup_model()
        if not 1 <= self.n_min_critics <= self.critic.n_critics:
            raise ValueError(
                f"n_min_critics: expected an integer in 1..{self.critic.n_critics} (n_critics),"
                f" got {self.n_min_critics}"
            )

    def _default_target_entropy(self, num_components: int) -> float:
        return -num_components / 2

    # ---- data -------------------------------------------------------------------------------

    def load_offline_dataset(self, source: Any) -> None:
        """Learn from this data set from now on; see the parameter ``offline_dataset``.

        Fresh statistics of a ``VecNormalize`` begin with its observations, since what is imitated
        must look the same when it is played.

        Raises
        ------
        ValueError
            If the data set is of another form or does not fit the spaces of the environment.
        """
        data = load_transitions(source)
        _check_shapes(data, self.observation_space, self.action_space)
        self.offline_buffer = self._buffer_of(data)
        normalizer = self._vec_normalize_env
        if normalizer is not None and normalizer.norm_obs:
            seen = data.observations
            statistics: Any = normalizer.obs_rms
            pairs = (
                [(statistics[key], seen[key]) for key in normalizer.norm_obs_keys or ()]
                if isinstance(seen, dict)
                else [(statistics, seen)]
            )
            for running, observations in pairs:
                if running.count < 1:
                    running.update(observations)

    def _buffer_of(self, data: Transitions) -> ReplayBuffer:
        """The data as a full replay buffer; actions in [-1, 1], rewards as the agent sees them."""
        kind: Any = DictReplayBuffer if isinstance(data.observations, dict) else ReplayBuffer
        buffer: ReplayBuffer = kind(
            data.num, self.observation_space, self.action_space, device=self.device
        )
        scale = 1.0 if self.env is None else getattr(self.env.unwrapped, "reward_scale", 1.0)
        actions = np.clip(self.policy.scale_action(data.actions), -1, 1)
        for into, values in (
            (buffer.observations, data.observations),
            (buffer.next_observations, data.next_observations),
            (buffer.actions, actions.reshape(data.num, -1)),
            (buffer.rewards, scale * data.rewards),
            (buffer.dones, data.terminations),
        ):
            if isinstance(into, dict):
                for key, part in into.items():
                    part[:, 0] = values[key]  # type: ignore[call-overload]
            else:
                into[:, 0] = values
        buffer.full = True
        return buffer

    def _sample(self, batch_size: int) -> ReplayBufferSamples:
        """A minibatch, of which ``offline_ratio`` comes from the data set."""
        offline = 0 if self.offline_buffer is None else round(self.offline_ratio * batch_size)
        parts = [
            buffer.sample(num, env=self._vec_normalize_env)
            for buffer, num in (
                (self.offline_buffer, offline),
                (self.replay_buffer, batch_size - offline),
            )
            if buffer is not None and num
        ]
        if len(parts) == 1:
            return parts[0]
        return ReplayBufferSamples(
            *(_concatenate(*pair) for pair in zip(*(part[:5] for part in parts), strict=True))
        )

    # ---- learning ---------------------------------------------------------------------------

    def train(self, gradient_steps: int, batch_size: int = 64) -> None:
        """Update the critics ``gradient_steps`` times, then what decides, once."""
        self.policy.set_training_mode(True)
        self._update_learning_rate(self._optimizers())
        critic_losses = []
        for _ in range(gradient_steps):
            batch = self._sample(batch_size)
            critic_losses.append(self._update_critic(batch))
            polyak_update(self.critic.parameters(), self.critic_target.parameters(), self.tau)
        figures = self._update_actor(batch)
        self._n_updates += gradient_steps
        self.logger.record("train/n_updates", self._n_updates, exclude="tensorboard")
        self.logger.record("train/critic_loss", np.mean(critic_losses))
        self.logger.record("train/ent_coef", self._temperature().item())
        for name, value in figures.items():
            self.logger.record(f"train/{name}", value)

    def _optimizers(self) -> list[torch.optim.Optimizer]:
        found = [self.actor.optimizer, self.critic.optimizer]
        return found if self.ent_coef_optimizer is None else [*found, self.ent_coef_optimizer]

    def _update_critic(self, batch: ReplayBufferSamples) -> float:
        """Descend the mean squared error of all members; return it."""
        targets = self._targets(batch)
        values = self.critic(batch.observations, batch.actions)
        loss = (values - targets).square().mean()
        self.critic.optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        self.critic.optimizer.step()
        return loss.item()

    @torch.no_grad()
    def _targets(self, batch: ReplayBufferSamples) -> torch.Tensor:
        """Return r + gamma (1 - done) (min of random members' Q'(s', a') + bonus), (B,)."""
        actions, bonus = self._next_actions(batch.next_observations)
        members = self.critic_target.draw(self.n_min_critics)
        values = self.critic_target(batch.next_observations, actions, members).amin(dim=0)
        discount = self.gamma * (1 - batch.dones.flatten())
        return batch.rewards.flatten() + discount * (values + bonus)

    def _next_actions(self, observations: PyTorchObs) -> tuple[torch.Tensor, torch.Tensor | float]:
        """Actions (B, d) that the targets suppose, and the bonus (B,) for their entropy."""
        actions, log_probs = self.actor.action_log_prob(observations)
        return actions, -self._temperature() * log_probs if self.entropy_backup else 0.0

    def _update_actor(self, batch: ReplayBufferSamples) -> dict[str, float]:
        """One step of actor and temperature; return what to log."""
        actions, log_probs = self.actor.action_log_prob(batch.observations)
        return self._update_stochastic(batch.observations, actions, log_probs)

    def _update_stochastic(
        self, observations: PyTorchObs, actions: torch.Tensor, log_probs: torch.Tensor
    ) -> dict[str, float]:
        """Descend E[alpha log pi - mean of all members' Q], and move alpha to the target entropy.

        Parameters
        ----------
        actions, log_probs
            (B, d) and (B,), differentiable in the actor's parameters.
        """
        values = self.critic(observations, actions).mean(dim=0)
        loss = (self._temperature() * log_probs - values).mean()
        self.actor.optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        self.actor.optimizer.step()
        entropy = -log_probs.detach().mean()
        if self.ent_coef_optimizer is not None:
            assert self.log_ent_coef is not None
            assert isinstance(self.target_entropy, float)
            self.ent_coef_optimizer.zero_grad()
            (self.log_ent_coef * (entropy - self.target_entropy)).sum().backward()  # type: ignore[no-untyped-call]
            self.ent_coef_optimizer.step()
        return {"actor_loss": loss.item(), "entropy": entropy.item()}

    def _temperature(self) -> torch.Tensor:
        """Entropy temperature alpha, (1,) or ()."""
        if self.log_ent_coef is None:
            return self.ent_coef_tensor
        return self.log_ent_coef.detach().exp()


def _check_shapes(data: Transitions, observation_space: Any, action_space: Any) -> None:
    """Refuse data of other spaces."""
    wanted = {"observations": observation_space, "next_observations": observation_space}
    for name, space in {**wanted, "actions": action_space}.items():
        value = getattr(data, name)
        spaces = getattr(space, "spaces", None)
        if (spaces is None) == isinstance(value, dict):
            raise ValueError(f"offline data: {name}: does not fit the environment's {space}")
        pairs = [(name, value, space)]
        if spaces is not None:
            if spaces.keys() != value.keys():
                raise ValueError(
                    f"offline data: {name}: expected keys {', '.join(spaces)},"
                    f" got {', '.join(value)}"
                )
            pairs = [(f"{name}/{key}", value[key], spaces[key]) for key in spaces]
        for place, array, part in pairs:
            if array.shape[1:] != part.shape:
                raise ValueError(
                    f"offline data: {place}: expected shape {part.shape} per transition, as the"
                    f" environment has it, got {array.shape[1:]}"
                )


def _concatenate(a: Any, b: Any) -> Any:
    if isinstance(a, dict):
        return {key: torch.cat([a[key], b[key]]) for key in a}
    return torch.cat([a, b])
