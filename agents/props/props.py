"""Proximal robust on-policy sampling (PROPS)."""

from __future__ import annotations

import dataclasses
from collections import defaultdict
from typing import Any, ClassVar, Literal, get_args

import gymnasium as gym
import numpy as np
import torch
from sb3_contrib.common.maskable.utils import get_action_masks
from stable_baselines3.common.buffers import RolloutBuffer
from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.type_aliases import GymEnv, MaybeCallback, Schedule
from stable_baselines3.common.utils import ConstantSchedule, obs_as_tensor
from stable_baselines3.common.vec_env import VecEnv

from agents.common.masked_ppo import MaskedActorCriticPolicy, MaskedPPO
from agents.props.divergence import exact_kl, sampling_error
from agents.props.ring import Observations, Step, StepRing

Sampling = Literal["on_policy", "props", "ros"]
KLDirection = Literal["target_behavior", "behavior_target"]


@dataclasses.dataclass(frozen=True)
class BehaviorUpdate:
    """How the behaviour policy is adapted.

    Attributes
    ----------
    interval
        Steps of all environments together, m, from one adaptation to the next.
    epochs, batch_size
        Passes over the data, and pairs in a minibatch (``None``: all).
    clip_range
        eps; 1 does not clip.
    target_kl
        Divergence on the data that ends the adaptation (``None``: none does).
    kl_coef
        lambda.
    """

    interval: int
    epochs: int
    batch_size: int | None
    clip_range: float
    target_kl: float | None
    kl_coef: float


class PROPS(MaskedPPO):
    """PPO whose data are collected by a policy that makes up for what chance left out.

    (arXiv 2311.08290.) The newest ``buffer_batches`` roll-outs count as on-policy data of the
    target policy theta, advantages and probabilities computed anew. Before every few steps the
    behaviour policy phi, which plays, starts from theta and is adapted so that actions become less
    likely that the data have too often::

        L(phi) = E max(g, 1 - eps) + lambda KL,   g = pi_phi(a|s) / pi_theta(a|s)

    At phi = theta the gradient is zero where the data are as on-policy as data can be. Only the
    choice of actions is corrected, no noise of the environment.

    Parameters
    ----------
    policy
        "MlpPolicy", or "MultiInputPolicy" for Dict observations.
    env
        Environment; masks are used where it has them.
    n_steps
        Steps of every environment between two updates of theta.
    sampling
        "props"; "on_policy": theta itself plays, which with ``buffer_batches=1`` is PPO (and
        MaskablePPO); "ros": robust on-policy sampling (arXiv 2111.14552), one plain gradient step
        of size ``behavior_learning_rate`` before every step of the environments, without clipping
        and KL.
    buffer_batches
        Roll-outs b that theta learns from, >= 1.
    behavior_n_steps
        Steps m, of all environments together, from one adaptation of phi to the next: a multiple
        of the number of environments, and a divisor of ``n_steps`` times that.
    behavior_learning_rate, behavior_epochs, behavior_batch_size, behavior_max_grad_norm
        Of the adaptation; constant.
    behavior_clip_range
        eps in (0, 1].
    behavior_target_kl
        An adaptation ends before the step at which the mean of (g - 1) - log g exceeds this;
        ``None``: never.
    kl_coef
        lambda >= 0; the divergence is summed over the entries of an action (in the published code
        averaged).
    kl_direction
        "target_behavior", KL(theta || phi), or "behavior_target", KL(phi || theta).
    reset_behavior_optimizer
        Forget the moments of phi's optimiser before each adaptation (published code: no).
    learning_rate, batch_size, n_epochs, gamma, gae_lambda, clip_range, clip_range_vf, \
normalize_advantage, ent_coef, vf_coef, max_grad_norm, target_kl, stats_window_size, \
tensorboard_log, policy_kwargs, verbose, seed, device
        As in Stable-Baselines3's PPO. Time limits are bootstrapped.

    Raises
    ------
    ValueError
        If an argument is outside its range, or (while learning) ``behavior_n_steps`` does not fit
        the number of environments.
    """

    keeps_optimizers: ClassVar[bool] = True
    behavior_policy: MaskedActorCriticPolicy

    def __init__(
        self,
        policy: str | type[MaskedActorCriticPolicy],
        env: GymEnv | str,
        learning_rate: float | Schedule = 3e-4,
        n_steps: int = 2048,
        batch_size: int = 64,
        n_epochs: int = 10,
        gamma: float = 0.99,
        gae_lambda: float = 0.95,
        clip_range: float | Schedule = 0.2,
        clip_range_vf: float | Schedule | None = None,
        normalize_advantage: bool = True,
        ent_coef: float = 0.0,
        vf_coef: float = 0.5,
        max_grad_norm: float = 0.5,
        target_kl: float | None = None,
        sampling: Sampling = "props",
        buffer_batches: int = 2,
        behavior_n_steps: int = 256,
        behavior_learning_rate: float = 1e-3,
        behavior_epochs: int = 16,
        behavior_batch_size: int = 240,
        behavior_clip_range: float = 0.3,
        behavior_target_kl: float | None = 0.05,
        behavior_max_grad_norm: float = 0.5,
        kl_coef: float = 0.1,
        kl_direction: KLDirection = "target_behavior",
        reset_behavior_optimizer: bool = True,
        stats_window_size: int = 100,
        tensorboard_log: str | None = None,
        policy_kwargs: dict[str, Any] | None = None,
        verbose: int = 0,
        seed: int | None = None,
        device: torch.device | str = "auto",
        _init_setup_model: bool = True,
    ) -> None:
        for name, choice, allowed in (
            ("sampling", sampling, get_args(Sampling)),
            ("kl_direction", kl_direction, get_args(KLDirection)),
        ):
            if choice not in allowed:
                raise ValueError(f"{name}: expected one of {', '.join(allowed)}, got {choice!r}")
        for name, count in (
            ("buffer_batches", buffer_batches),
            ("behavior_n_steps", behavior_n_steps),
            ("behavior_epochs", behavior_epochs),
            ("behavior_batch_size", behavior_batch_size),
        ):
            if count < 1:
                raise ValueError(f"{name}: expected an integer >= 1, got {count}")
        for name, number in (
            ("behavior_learning_rate", behavior_learning_rate),
            ("behavior_max_grad_norm", behavior_max_grad_norm),
            ("behavior_target_kl", behavior_target_kl),
        ):
            if number is not None and not number > 0:
                raise ValueError(f"{name}: expected a number > 0, got {number}")
        if not 0 < behavior_clip_range <= 1:
            raise ValueError(
                f"behavior_clip_range: expected a number in (0, 1], got {behavior_clip_range}"
            )
        if not kl_coef >= 0:
            raise ValueError(f"kl_coef: expected a number >= 0, got {kl_coef}")
        self.sampling = sampling
        self.buffer_batches = buffer_batches
        self.behavior_n_steps = behavior_n_steps
        self.behavior_learning_rate = behavior_learning_rate
        self.behavior_epochs = behavior_epochs
        self.behavior_batch_size = behavior_batch_size
        self.behavior_clip_range = behavior_clip_range
        self.behavior_target_kl = behavior_target_kl
        self.behavior_max_grad_norm = behavior_max_grad_norm
        self.kl_coef = kl_coef
        self.kl_direction = kl_direction
        self.reset_behavior_optimizer = reset_behavior_optimizer
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
            clip_range_vf=clip_range_vf,
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

    def _setup_model(self) -> None:
        super()._setup_model()
        self.ring = StepRing(self.buffer_batches * self.n_steps)
        self.behavior_policy = self.policy
        if self.sampling == "on_policy":
            return
        # Drawn apart, so that theta and what it samples are those of PPO; phi is a copy of theta.
        with torch.random.fork_rng(devices=[]):
            built: Any = self.policy_class(
                self.observation_space,
                self.action_space,
                ConstantSchedule(self.behavior_learning_rate),
                **self.policy_kwargs,
            )
        self.behavior_policy = built.to(self.device)
        if self.sampling == "ros":
            self.behavior_policy.optimizer = torch.optim.SGD(
                self.behavior_policy.parameters(), lr=self.behavior_learning_rate
            )
        self.behavior_policy.load_state_dict(self.policy.state_dict())

    def _get_torch_save_params(self) -> tuple[list[str], list[str]]:
        names, variables = super()._get_torch_save_params()
        if self.sampling != "on_policy":
            names = [*names, "behavior_policy", "behavior_policy.optimizer"]
        return names, variables

    # ---- collecting -------------------------------------------------------------------------

    def _setup_learn(
        self,
        total_timesteps: int,
        callback: MaybeCallback = None,
        reset_num_timesteps: bool = True,
        *arguments: Any,
        **options: Any,
    ) -> tuple[int, BaseCallback]:
        if reset_num_timesteps or self._last_obs is None:
            self.ring.clear()  # SB3 resets the environments: what is there would have no end
        return super()._setup_learn(
            total_timesteps, callback, reset_num_timesteps, *arguments, **options
        )

    def collect_rollouts(
        self,
        env: VecEnv,
        callback: BaseCallback,
        rollout_buffer: RolloutBuffer,
        n_rollout_steps: int,
    ) -> bool:
        """Play ``n_rollout_steps`` steps of every environment by phi, then value the whole ring.

        It is SB3's loop; new are the adaptations of phi, and that nothing is normalised or valued
        before the data are used.
        """
        self.masking = self._has_masks(env)
        update = self._behavior_update(env.num_envs)
        self.policy.set_training_mode(False)
        callback.on_rollout_start()
        dones = np.zeros(env.num_envs, dtype=np.bool_)
        for step in range(n_rollout_steps):
            if update is not None and step * env.num_envs % update.interval == 0:
                self._adapt(update, env.num_envs)
            assert self._last_obs is not None
            assert self._last_episode_starts is not None
            action_masks = get_action_masks(env) if self.masking else None
            with torch.no_grad():
                seen = obs_as_tensor(self._last_obs, self.device)
                drawn = self.behavior_policy.get_distribution(seen, action_masks).get_actions()
            actions = drawn.cpu().numpy()
            played = actions.reshape((-1, *(self.action_space.shape or ())))
            if isinstance(self.action_space, gym.spaces.Box):
                played = np.clip(played, self.action_space.low, self.action_space.high)
            before = self._raw_observation(self._last_obs)
            new_obs, rewards, dones, infos = env.step(played)

            self.num_timesteps += env.num_envs
            callback.update_locals(locals())
            if not callback.on_step():
                return False
            self._update_info_buffer(infos, dones)

            truncated = np.array([info.get("TimeLimit.truncated", False) for info in infos]) & dones
            self.ring.add(
                Step(
                    before,
                    actions.reshape(env.num_envs, -1),
                    self._raw_reward(rewards),
                    np.array(self._last_episode_starts),
                    truncated,
                    self._terminal_observation(before, infos, truncated),
                    action_masks,
                )
            )
            self._last_obs = new_obs  # type: ignore[assignment]
            self._last_episode_starts = dones
        self._fill(rollout_buffer, dones)
        callback.update_locals(locals())
        callback.on_rollout_end()
        return True

    def _raw_observation(self, obs: Observations) -> Observations:
        """The current observation as the environment gave it, (B, ...)."""
        if self._vec_normalize_env is not None:
            return self._vec_normalize_env.get_original_obs()
        return (
            {key: part.copy() for key, part in obs.items()} if isinstance(obs, dict) else obs.copy()
        )

    def _raw_reward(self, rewards: np.ndarray) -> np.ndarray:
        """The last rewards as the environment gave them, (B,)."""
        if self._vec_normalize_env is not None:
            return self._vec_normalize_env.get_original_reward()
        return rewards.copy()

    def _terminal_observation(
        self, like: Observations, infos: list[dict[str, Any]], truncated: np.ndarray
    ) -> Observations:
        """Observations at time limits in their rows, (B, ...); ``like`` in all others."""
        if not truncated.any():
            return like
        rows = {row: infos[row]["terminal_observation"] for row in np.flatnonzero(truncated)}
        if self._vec_normalize_env is not None:
            rows = {row: self._vec_normalize_env.unnormalize_obs(o) for row, o in rows.items()}
        if isinstance(like, dict):
            found = {key: part.copy() for key, part in like.items()}
            for row, observation in rows.items():
                for key, part in found.items():
                    part[row] = observation[key]
            return found
        found = like.copy()
        for row, observation in rows.items():
            found[row] = observation
        return found

    # ---- what the ring holds ----------------------------------------------------------------

    def _fill(self, rollout_buffer: RolloutBuffer, dones: np.ndarray) -> None:
        """Put the whole ring into SB3's buffer, seen and valued by theta as it is now."""
        steps = self.ring.stacked()
        length, num = steps.reward.shape
        obs, actions, masks = self._pairs(steps)
        with torch.no_grad():
            values, log_probs, _ = self.policy.evaluate_actions(obs, actions, masks)
            last_values = self.policy.predict_values(obs_as_tensor(self._last_obs, self.device))  # type: ignore[arg-type]
            rewards = steps.reward
            if self._vec_normalize_env is not None:
                rewards = self._vec_normalize_env.normalize_reward(rewards)
            rewards = rewards.astype(np.float32)
            if steps.truncated.any():
                # What follows a time limit is worth V; gamma V goes into the reward, as in SB3.
                ends = self._seen(_rows(steps.terminal_observation, steps.truncated))
                following = self.policy.predict_values(ends).cpu().numpy()[:, 0]
                rewards[steps.truncated] += self.gamma * following
        rollout_buffer.buffer_size = length
        rollout_buffer.reset()
        seen = _by_time(obs, length)
        for t in range(length):
            extra = {} if steps.action_masks is None else {"action_masks": steps.action_masks[t]}
            rollout_buffer.add(
                _numpy(seen, t),
                steps.action[t],
                rewards[t],
                steps.episode_start[t],
                values.view(length, num)[t],
                log_probs.view(length, num)[t],
                **extra,
            )
        rollout_buffer.compute_returns_and_advantage(last_values, dones)

    def _pairs(self, steps: Step) -> tuple[Any, torch.Tensor, torch.Tensor | None]:
        """Observations, actions and masks of T steps of B environments, T B rows of each."""
        obs = self._seen(_rows(steps.observation))
        actions = torch.as_tensor(_rows(steps.action), device=self.device)
        if isinstance(self.action_space, gym.spaces.Discrete):
            actions = actions.flatten()
        masks = None
        if steps.action_masks is not None:
            masks = torch.as_tensor(_rows(steps.action_masks), device=self.device)
        return obs, actions, masks

    def _seen(self, observation: Observations) -> Any:
        """Raw observations as the policy takes them, under the current normalisation."""
        if self._vec_normalize_env is not None:
            observation = self._vec_normalize_env.normalize_obs(observation)
        return obs_as_tensor(observation, self.device)

    def sampling_error(self) -> float:
        """How far the ring's actions are from theta.

        See :func:`agents.props.divergence.sampling_error`.
        """
        return sampling_error(self.policy, *self._pairs(self.ring.stacked()))

    # ---- adapting the behaviour policy ------------------------------------------------------

    def _behavior_update(self, num_envs: int) -> BehaviorUpdate | None:
        """How phi is adapted; ``None`` if theta plays itself."""
        if self.sampling == "on_policy":
            return None
        if self.sampling == "ros":
            return BehaviorUpdate(num_envs, 1, None, 1.0, None, 0.0)
        interval, rollout = self.behavior_n_steps, self.n_steps * num_envs
        if interval % num_envs or rollout % interval:
            raise ValueError(
                f"behavior_n_steps: expected a multiple of the {num_envs} environments that divides"
                f" the {rollout} steps of a roll-out, got {interval}"
            )
        return BehaviorUpdate(
            interval,
            self.behavior_epochs,
            self.behavior_batch_size,
            self.behavior_clip_range,
            self.behavior_target_kl,
            self.kl_coef,
        )

    def _adapt(self, update: BehaviorUpdate, num_envs: int) -> None:
        """Start phi from theta and make actions less likely that the ring has too often.

        The oldest steps, which the coming ones evict, do not count.
        """
        phi = self.behavior_policy
        phi.load_state_dict(self.policy.state_dict())
        if self.reset_behavior_optimizer:
            phi.optimizer.state = defaultdict(dict)
        coming = update.interval // num_envs
        evicted = max(0, len(self.ring) + coming - self.buffer_batches * self.n_steps)
        if evicted >= len(self.ring):
            return
        obs, actions, masks = self._pairs(self.ring.stacked(evicted))
        with torch.no_grad():
            log_theta = self.policy.get_distribution(obs, masks).log_prob(actions)
        phi.set_training_mode(True)
        count, divergence, clipped = 0, 0.0, 0.0
        for rows in self._minibatches(len(actions), update):
            some_obs = _take(obs, rows)
            some_masks = None if masks is None else masks[rows]
            behavior = phi.get_distribution(some_obs, some_masks)
            log_ratio = behavior.log_prob(actions[rows]) - log_theta[rows]
            ratio = torch.exp(log_ratio)
            divergence = ((ratio - 1) - log_ratio).mean().item()
            if update.target_kl is not None and divergence > update.target_kl:
                break
            # max(g, clip(g, 1 - eps, 1 + eps)) = max(g, 1 - eps)
            loss = torch.clamp(ratio, min=1 - update.clip_range).mean()
            if update.kl_coef > 0:
                with torch.no_grad():
                    target = self.policy.get_distribution(some_obs, some_masks)
                forward = self.kl_direction == "target_behavior"
                pair = (target, behavior) if forward else (behavior, target)
                loss = loss + update.kl_coef * exact_kl(*pair).mean()
            phi.optimizer.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            torch.nn.utils.clip_grad_norm_(phi.parameters(), self.behavior_max_grad_norm)
            phi.optimizer.step()
            count += 1
            clipped = (ratio < 1 - update.clip_range).float().mean().item()
        phi.set_training_mode(False)
        self.logger.record("props/approx_kl", divergence)
        self.logger.record("props/clip_fraction", clipped)
        self.logger.record("props/n_minibatches", count)

    def _minibatches(self, num: int, update: BehaviorUpdate) -> Any:
        """Indices of the minibatches of all epochs."""
        size = update.batch_size or num
        for _ in range(update.epochs):
            # SB3's generator, which checkpoints keep.
            order = np.random.permutation(num)  # noqa: NPY002
            for start in range(0, num, size):
                yield torch.as_tensor(order[start : start + size], device=self.device)

    # ---- checkpoints ------------------------------------------------------------------------

    def run_state(self) -> dict[str, np.ndarray]:
        """The ring. Phi is adapted anew, from theta, before the next step is played."""
        return self.ring.arrays()

    def set_run_state(self, arrays: dict[str, np.ndarray]) -> None:
        """Go on from what :meth:`run_state` returned."""
        self.ring.restore(arrays)


def _rows(values: Any, where: np.ndarray | None = None) -> Any:
    """(T, B, ...) as T B rows, or those of them where the mask (T, B) is true."""
    if isinstance(values, dict):
        return {key: _rows(part, where) for key, part in values.items()}
    if where is not None:
        return values[where]
    return values.reshape(-1, *values.shape[2:])


def _take(values: Any, rows: torch.Tensor) -> Any:
    if isinstance(values, dict):
        return {key: part[rows] for key, part in values.items()}
    return values[rows]


def _by_time(values: Any, length: int) -> Any:
    """T B rows as (T, B, ...)."""
    if isinstance(values, dict):
        return {key: _by_time(part, length) for key, part in values.items()}
    return values.unflatten(0, (length, -1))


def _numpy(values: Any, t: int) -> Any:
    if isinstance(values, dict):
        return {key: part[t].cpu().numpy() for key, part in values.items()}
    return values[t].cpu().numpy()
