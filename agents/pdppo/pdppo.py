"""Post-decision proximal policy optimisation (PDPPO)."""

from __future__ import annotations

from typing import Any, ClassVar, Literal, get_args

import gymnasium as gym
import numpy as np
import stable_baselines3
import torch
from sb3_contrib.common.maskable.utils import get_action_masks, is_masking_supported
from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.distributions import Distribution
from stable_baselines3.common.policies import BasePolicy
from stable_baselines3.common.type_aliases import GymEnv, PyTorchObs, Schedule
from stable_baselines3.common.utils import explained_variance, obs_as_tensor
from stable_baselines3.common.vec_env import VecEnv, VecNormalize, unwrap_vec_normalize
from torch.nn import functional as F

from agents.common.post_decision_agent import PostDecisionAgent, reward_scale, stack_observations
from agents.common.post_decision_search import PostDecisionSearch
from agents.common.safe_files import SafeFiles
from agents.pdppo.advantages import minimum_value, partial_returns, temporal_difference
from agents.pdppo.buffer import Components, PostDecision, PostDecisionRolloutBuffer, Samples
from agents.pdppo.policies import (
    PostDecisionActorCriticPolicy,
    PostDecisionMultiInputPolicy,
    all_log_probs,
)
from agents.pdppo.reference import ReferencePolicy
from or_envs.core.problem import AnyProblem, Problem
from or_envs.core.sb3 import SB3VecEnv
from or_envs.core.simulation import policy_rule

Advantage = Literal["ppo", "ppo_two_critics", "pd_max", "pd_min", "pd_sum", "pd_td"]
Ratio = Literal["joint", "per_component"]

_WITHOUT_HALF_STEPS = ("ppo", "ppo_two_critics")

_KEYS = ("post_decision_obs", "post_decision_reward", "exogenous_reward")


class PDPPO(PostDecisionAgent, SafeFiles, stable_baselines3.PPO):
    """PPO with a second critic for post-decision states (arXiv 2504.05150), and as it should be.

    The environment gives ``post_decision_obs``, ``post_decision_reward`` and ``exogenous_reward``
    in the info of every step, as the stochastic problems of this package do.

    Parameters
    ----------
    policy
        "MlpPolicy", "MultiInputPolicy" for Dict observations, or "ReferencePolicy", the networks
        of the published code (:class:`agents.pdppo.reference.ReferencePolicy`).
    env
        Environment; native batches by :class:`or_envs.core.sb3.SB3VecEnv` are much faster.
    advantage
        "pd_td": generalised advantage estimation over the half-steps, see
        :func:`agents.pdppo.advantages.temporal_difference`; time limits are bootstrapped.
        "pd_max": as published, the larger of two partial advantages; biased, see
        :func:`agents.pdppo.advantages.partial_returns`. "pd_sum": their sum.
        "pd_min": as in the older published code, see
        :func:`agents.pdppo.advantages.minimum_value`.
        "ppo": PPO itself, bit-equal to Stable-Baselines3's; it needs no half-steps.
        "ppo_two_critics": PPO whose value is the mean of two independent critics of s, with as
        many parameters as the others have; it needs no half-steps either.
    ratio
        Clip the ratio of the whole action ("joint", as SB3), or that of every component of a
        MultiDiscrete action ("per_component", as the published code).
    lambda_decision, lambda_outcome
        lambda_1 and lambda_2 of "pd_td".
    reuse_rollouts
        Learn from the newest ``reuse_rollouts`` roll-outs, the older ones with the advantages and
        probabilities that they were collected with (published code: 6). PPO is 1.
    expected_outcome
        Replace the sampled r^w by its expectation E[r^w | s^x], which takes the noise of the
        reward (not that of s') out of the advantage. For an
        :class:`or_envs.core.sb3.SB3VecEnv` of a problem with ``expected_outcome``.
    all_actions
        Actor's gradient over all values of every component instead of the sampled ones: the
        effect f of a decision is known, so Q(s, a) = r^x(s, a) + V^x(f(s, a)) values them without
        being played. Every component is clipped on its own, whatever ``ratio`` is. "pd_td" only,
        and an :class:`or_envs.core.sb3.SB3VecEnv` with Discrete or MultiDiscrete actions, masked
        if some are illegal.
    improvement_sweeps
        Sweeps of coordinate ascent on Q, from the actor's decision, when ``predict`` decides; 0
        plays the actor's decision. Not while collecting. "pd_td" only; learning needs an
        :class:`or_envs.core.sb3.SB3VecEnv`, which says how rewards are scaled, and ``predict`` a
        problem whose observations can be decoded.
    critic_learning_rate
        Constant learning rate of the critics; ``None``: ``learning_rate``.
    mask
        Mask illegal actions; ``None``: if the environment says which they are.
    learning_rate, n_steps, batch_size, n_epochs, gamma, gae_lambda, clip_range, \
normalize_advantage, ent_coef, vf_coef, max_grad_norm, target_kl, stats_window_size, \
tensorboard_log, policy_kwargs, verbose, seed, device
        As in Stable-Baselines3's PPO; ``gae_lambda`` is that of "ppo". ``max_grad_norm`` holds
        for actor and first critic together, as in SB3, and for the second critic on its own.

    Raises
    ------
    ValueError
        If an argument is outside its range, the environment is normalised by ``VecNormalize``,
        its actions are not of the kind that an argument needs, or (while learning) it does not
        give the half-steps or the expected outcome, is not of the class that an argument needs, or
        has another ``reward_scale`` than the one that the critics have learned with.
    """

    policy_aliases: ClassVar[dict[str, type[BasePolicy]]] = {
        "MlpPolicy": PostDecisionActorCriticPolicy,
        "MultiInputPolicy": PostDecisionMultiInputPolicy,
        "ReferencePolicy": ReferencePolicy,
    }
    policy: PostDecisionActorCriticPolicy
    rollout_buffer: PostDecisionRolloutBuffer

    def __init__(
        self,
        policy: str | type[PostDecisionActorCriticPolicy],
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
        advantage: Advantage = "pd_td",
        ratio: Ratio = "joint",
        lambda_decision: float = 0.9,
        lambda_outcome: float = 0.95,
        reuse_rollouts: int = 1,
        expected_outcome: bool = False,
        all_actions: bool = False,
        improvement_sweeps: int = 0,
        critic_learning_rate: float | None = None,
        mask: bool | None = None,
        stats_window_size: int = 100,
        tensorboard_log: str | None = None,
        policy_kwargs: dict[str, Any] | None = None,
        verbose: int = 0,
        seed: int | None = None,
        device: torch.device | str = "auto",
        _init_setup_model: bool = True,
    ) -> None:
        for name, choice, allowed in (
            ("advantage", advantage, get_args(Advantage)),
            ("ratio", ratio, get_args(Ratio)),
        ):
            if choice not in allowed:
                raise ValueError(f"{name}: expected one of {', '.join(allowed)}, got {choice!r}")
        for name, value in (
            ("lambda_decision", lambda_decision),
            ("lambda_outcome", lambda_outcome),
        ):
            if not 0 <= value <= 1:
                raise ValueError(f"{name}: expected a number in [0, 1], got {value}")
        if reuse_rollouts < 1:
            raise ValueError(f"reuse_rollouts: expected an integer >= 1, got {reuse_rollouts}")
        if critic_learning_rate is not None and not critic_learning_rate > 0:
            raise ValueError(
                f"critic_learning_rate: expected a number > 0, got {critic_learning_rate}"
            )
        if expected_outcome and advantage in _WITHOUT_HALF_STEPS:
            raise ValueError(
                f"expected_outcome: True, but advantage={advantage!r} does not tell outcomes apart"
            )
        for name, value in (
            ("all_actions", all_actions),
            ("improvement_sweeps", improvement_sweeps),
        ):
            if value and advantage != "pd_td":
                raise ValueError(
                    f"{name}: {value}, but with advantage={advantage!r} no critic values"
                    " post-decision states; use 'pd_td'"
                )
        if improvement_sweeps < 0:
            raise ValueError(
                f"improvement_sweeps: expected an integer >= 0, got {improvement_sweeps}"
            )
        self.advantage = advantage
        self.all_actions = all_actions
        self.improvement_sweeps = improvement_sweeps
        self.ratio = ratio
        self.lambda_decision = lambda_decision
        self.lambda_outcome = lambda_outcome
        self.reuse_rollouts = reuse_rollouts
        self.expected_outcome = expected_outcome
        self.critic_learning_rate = critic_learning_rate
        self.mask = mask
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
            rollout_buffer_class=PostDecisionRolloutBuffer,
            rollout_buffer_kwargs={
                "per_component": ratio == "per_component",
                "half_steps": advantage not in _WITHOUT_HALF_STEPS,
                "components": all_actions,
                "rollouts": reuse_rollouts,
            },
            stats_window_size=stats_window_size,
            tensorboard_log=tensorboard_log,
            policy_kwargs=policy_kwargs,
            verbose=verbose,
            seed=seed,
            device=device,
            _init_setup_model=_init_setup_model,
        )

    def _setup_model(self) -> None:
        for name in ("all_actions", "improvement_sweeps"):
            if getattr(self, name) and not isinstance(
                self.action_space, gym.spaces.Discrete | gym.spaces.MultiDiscrete
            ):
                raise ValueError(
                    f"{name}: {getattr(self, name)} needs Discrete or MultiDiscrete actions, got"
                    f" {self.action_space}"
                )
        super()._setup_model()
        self.policy.reward_scale.copy_(reward_scale(self.env))

    # ---- deciding ---------------------------------------------------------------------------

    def _start(
        self, problem: AnyProblem, instance: Any, state: Any, deterministic: bool
    ) -> np.ndarray:
        return policy_rule(problem, self.policy, deterministic)(instance, state)

    def _max_sweeps(self) -> int:
        return self.improvement_sweeps

    # ---- collecting -------------------------------------------------------------------------

    def collect_rollouts(  # type: ignore[override]
        self,
        env: VecEnv,
        callback: BaseCallback,
        rollout_buffer: PostDecisionRolloutBuffer,
        n_rollout_steps: int,
    ) -> bool:
        """Play ``n_rollout_steps`` steps of every environment and compute the advantages.

        It is SB3's loop; new are the masks and the half-steps.
        """
        half_steps = rollout_buffer.half_steps
        if half_steps and isinstance(unwrap_vec_normalize(env), VecNormalize):
            raise ValueError(
                "env: VecNormalize does not normalise post-decision observations and rewards; use"
                " the problem's own scaling and SB3VecEnv's reward_scale"
            )
        if self.expected_outcome:
            _check_expected_outcome(env)
        if self.improvement_sweeps:
            self._native(env)  # in predict, the critic's scale must be that of the rewards
        search = self.search(self._native(env).vector_env.problem) if self.all_actions else None
        masking = self._masking(env)
        self.policy.set_training_mode(False)
        rollout_buffer.reset()
        callback.on_rollout_start()
        dones = np.zeros(env.num_envs, dtype=np.bool_)
        for _ in range(n_rollout_steps):
            assert self._last_obs is not None
            action_masks = get_action_masks(env) if masking else None
            with torch.no_grad():
                seen = obs_as_tensor(self._last_obs, self.device)
                actions, values, log_probs = self.policy(seen, action_masks=action_masks)
                if self.advantage == "ppo_two_critics":
                    values = self._predict_values(seen)
            if self.ratio == "joint":
                log_probs = log_probs.sum(dim=1, keepdim=True)
            actions = actions.cpu().numpy()
            played = actions
            if isinstance(self.action_space, gym.spaces.Box):
                played = np.clip(actions, self.action_space.low, self.action_space.high)
            components = None
            if search is not None:
                components = self._components(search, env, seen, actions, action_masks)
            expected = _expected_outcome(env, played) if self.expected_outcome else None
            new_obs, rewards, dones, infos = env.step(played)
            post_decision = self._post_decision(rewards, infos, expected) if half_steps else None

            self.num_timesteps += env.num_envs
            callback.update_locals(locals())
            if not callback.on_step():
                return False
            self._update_info_buffer(infos, dones)

            # A time limit is no end of the task. The value of what would follow belongs to the
            # outcome; the published algorithms take time limits for ends.
            if self.advantage in ("ppo", "ppo_two_critics", "pd_td"):
                target = rewards if post_decision is None else post_decision.exogenous_reward
                for row in np.flatnonzero(dones):
                    if infos[row].get("TimeLimit.truncated", False):
                        last, _ = self.policy.obs_to_tensor(infos[row]["terminal_observation"])
                        with torch.no_grad():
                            target[row] += (self.gamma * self._predict_values(last)).item()
            assert self._last_episode_starts is not None
            rollout_buffer.add(
                self._last_obs,
                actions,
                rewards,
                self._last_episode_starts,
                values,
                log_probs,
                action_masks,
                post_decision,
                components,
            )
            self._last_obs = new_obs  # type: ignore[assignment]
            self._last_episode_starts = dones
        with torch.no_grad():
            last_values = self._predict_values(obs_as_tensor(new_obs, self.device))  # type: ignore[arg-type]
        self._compute_advantages(rollout_buffer, last_values, dones)
        callback.update_locals(locals())
        callback.on_rollout_end()
        return True

    def _components(
        self,
        search: PostDecisionSearch,
        env: VecEnv,
        seen: PyTorchObs,
        actions: np.ndarray,
        action_masks: np.ndarray | None,
    ) -> Components:
        """Advantages of all single-component changes, over the mean of the actor's choices."""
        batch = self._native(env).vector_env.batch
        values = search.all_values(batch.instance, batch.state, actions)
        legal = ~np.isneginf(values)
        if action_masks is None and not legal.all():
            raise ValueError(
                "mask: False, but all_actions=True cannot value the illegal actions of this problem"
            )
        with torch.no_grad():
            distribution = self.policy.get_distribution(seen, action_masks)
            log_probs = all_log_probs(distribution).cpu().numpy()
        values = np.where(legal, values, 0.0)
        advantages = np.empty_like(values)
        for part in np.split(np.arange(values.shape[1]), np.cumsum(search.sizes)[:-1]):
            probabilities = np.exp(log_probs[:, part]) * legal[:, part]
            mean = (probabilities * values[:, part]).sum(axis=1) / probabilities.sum(axis=1)
            advantages[:, part] = np.where(legal[:, part], values[:, part] - mean[:, None], 0.0)
        return Components(log_probs, advantages)

    def _masking(self, env: VecEnv) -> bool:
        supported = not isinstance(self.action_space, gym.spaces.Box) and is_masking_supported(env)
        if self.mask and not supported:
            raise ValueError("mask: True, but the environment has no method action_masks")
        return supported if self.mask is None else self.mask

    def _predict_values(self, obs: PyTorchObs) -> torch.Tensor:
        """V(s), (B, 1); of "ppo_two_critics" the mean of two."""
        values = self.policy.predict_values(obs)
        if self.advantage == "ppo_two_critics":
            return (values + self.policy.predict_post_values(obs)) / 2
        return values

    def _post_decision(
        self, rewards: np.ndarray, infos: list[dict[str, Any]], expected: np.ndarray | None
    ) -> PostDecision:
        """Read the half-steps of all environments from their infos.

        ``expected`` outcomes (B,), if given, replace the sampled ones.
        """
        for key in _KEYS:
            if any(key not in info for info in infos):
                raise ValueError(
                    f"env: advantage={self.advantage!r} needs info[{key!r}] at every step, and it"
                    " is missing; deterministic problems have no post-decision information: use"
                    " advantage='ppo'"
                )
        observation = stack_observations([info["post_decision_obs"] for info in infos])
        post, exogenous = (
            np.array([info[key] for info in infos], dtype=np.float32) for key in _KEYS[1:]
        )
        size = 1.0 + np.abs(post) + np.abs(exogenous)
        if (np.abs(rewards - (post + exogenous)) > 1e-5 * size).any():
            raise ValueError(
                "env: post_decision_reward and exogenous_reward do not add up to the reward; a"
                " wrapper must change all three"
            )
        if expected is not None:
            # An illegal action ends the episode with a penalty and without any outcome.
            illegal = np.array(["invalid_action" in info for info in infos])
            exogenous = np.where(illegal, exogenous, expected).astype(np.float32)
        with torch.no_grad():
            value = self.policy.predict_post_values(obs_as_tensor(observation, self.device))
        return PostDecision(observation, post, exogenous, value)

    def _compute_advantages(
        self, buffer: PostDecisionRolloutBuffer, last_values: torch.Tensor, dones: np.ndarray
    ) -> None:
        if not buffer.half_steps:
            buffer.compute_returns_and_advantage(last_values, dones)
            return
        half_steps = (
            buffer.post_rewards,
            buffer.exogenous_rewards,
            buffer.dones(dones),
            buffer.values,
            buffer.post_values,
        )
        if self.advantage == "pd_max":
            computed = partial_returns(*half_steps, self.gamma, np.maximum)
        elif self.advantage == "pd_sum":
            computed = partial_returns(*half_steps, self.gamma, np.add)
        elif self.advantage == "pd_min":
            computed = minimum_value(*half_steps, self.gamma)
        else:
            computed = temporal_difference(
                *half_steps,
                last_values.cpu().numpy().flatten(),
                self.gamma,
                self.lambda_decision,
                self.lambda_outcome,
            )
        buffer.advantages, buffer.returns, buffer.post_returns = computed

    # ---- learning ---------------------------------------------------------------------------

    def train(self) -> None:
        """Update actor and critics on the collected transitions.

        Equation numbers are those of the PPO paper (arXiv 1707.06347).
        """
        self.policy.set_training_mode(True)
        self._update_learning_rate(self.policy.optimizer)
        if self.critic_learning_rate is not None:
            self.policy.optimizer.param_groups[1]["lr"] = self.critic_learning_rate
        epsilon = self.clip_range(self._current_progress_remaining)  # type: ignore[operator]
        losses: dict[str, list[float]] = {}
        going_on = True
        for _ in range(self.n_epochs):
            for batch in self.rollout_buffer.get(self.batch_size):
                actions = batch.actions
                if isinstance(self.action_space, gym.spaces.Discrete):
                    actions = actions.long().flatten()
                now = self.policy.evaluate_actions(batch.observations, actions, batch.action_masks)
                log_prob = now.log_probs
                if self.ratio == "joint":
                    log_prob = log_prob.sum(dim=1, keepdim=True)

                advantages = batch.advantages
                if self.normalize_advantage and len(advantages) > 1:
                    advantages = (advantages - advantages.mean()) / (advantages.std() + 1e-8)
                advantages = advantages[:, None]

                # r(theta) = pi(a|s) / pi_old(a|s), (N, K)                    [before eq. 6]
                log_ratio = log_prob - batch.old_log_prob
                ratio = torch.exp(log_ratio)
                # L^CLIP = E min(r A, clip(r, 1 - eps, 1 + eps) A)            [eq. 7]
                if self.all_actions:
                    policy_loss = self._all_actions_loss(batch, now.distribution, epsilon)
                else:
                    clipped = torch.clamp(ratio, 1 - epsilon, 1 + epsilon)
                    policy_loss = -torch.min(advantages * ratio, advantages * clipped).mean()
                # S = entropy of the policy                                   [eq. 9]
                entropy_loss = -torch.mean(now.entropy)
                loss = policy_loss + self.ent_coef * entropy_loss
                # L^VF, of both critics                                       [eq. 9]
                critic_losses = self._critic_losses(batch, now.values)
                for critic_loss in critic_losses.values():
                    loss = loss + self.vf_coef * critic_loss

                with torch.no_grad():  # http://joschu.net/blog/kl-approx.html
                    approx_kl = ((ratio - 1) - log_ratio).sum(dim=1).mean().item()
                    clip_fraction = (torch.abs(ratio - 1) > epsilon).float().mean().item()
                for name, value in (
                    ("policy_gradient_loss", policy_loss.item()),
                    *((name, critic_loss.item()) for name, critic_loss in critic_losses.items()),
                    ("entropy_loss", entropy_loss.item()),
                    ("loss", loss.item()),
                    ("approx_kl", approx_kl),
                    ("clip_fraction", clip_fraction),
                ):
                    losses.setdefault(name, []).append(value)
                if self.target_kl is not None and approx_kl > 1.5 * self.target_kl:
                    going_on = False
                    break

                self.policy.optimizer.zero_grad()
                loss.backward()  # type: ignore[no-untyped-call]
                # Apart: a large error of the second critic must not shrink the actor's step.
                for parameters in (
                    self.policy.actor_critic_parameters(),
                    self.policy.post_critic_parameters(),
                ):
                    torch.nn.utils.clip_grad_norm_(parameters, self.max_grad_norm)
                self.policy.optimizer.step()
            self._n_updates += 1
            if not going_on:
                break

        buffer = self.rollout_buffer
        for name, values in losses.items():
            self.logger.record(f"train/{name}", np.mean(values))
        self.logger.record(
            "train/explained_variance",
            explained_variance(buffer.values.flatten(), buffer.returns.flatten()),
        )
        if buffer.half_steps:
            self.logger.record(
                "train/post_explained_variance",
                explained_variance(buffer.post_values.flatten(), buffer.post_returns.flatten()),
            )
        self.logger.record("train/n_updates", self._n_updates, exclude="tensorboard")
        self.logger.record("train/clip_range", epsilon)

    def _all_actions_loss(
        self, batch: Samples, distribution: Distribution, epsilon: float
    ) -> torch.Tensor:
        """Expectation of the clipped objective over the old policy's choice of every component.

        -E sum_k sum_x pi_old(x) min(r A, clip(r, 1 - eps, 1 + eps) A), x over the values of
        component k and r = pi(x) / pi_old(x): eq. 7 without the noise of sampling.
        """
        assert batch.component_log_probs is not None
        assert batch.component_advantages is not None
        advantages = batch.component_advantages
        old = torch.exp(batch.component_log_probs)
        if self.normalize_advantage:
            # The mean is 0 by construction.
            advantages = advantages / ((old * advantages**2).sum(dim=1).mean().sqrt() + 1e-8)
        # pi_old is multiplied into r: no quotient, so that values without any chance are harmless.
        now = torch.exp(all_log_probs(distribution))
        clipped = torch.clamp(now, (1 - epsilon) * old, (1 + epsilon) * old)
        return -torch.min(now * advantages, clipped * advantages).sum(dim=1).mean()

    def _critic_losses(self, batch: Samples, values: torch.Tensor) -> dict[str, torch.Tensor]:
        """Squared errors of the critics; ``values`` are V(s) of the batch, (N, 1)."""
        values = values.flatten()
        if self.advantage == "ppo":
            return {"value_loss": F.mse_loss(batch.returns, values)}
        if self.advantage == "ppo_two_critics":
            post_observations, post_returns = batch.observations, batch.returns
        else:
            assert batch.post_returns is not None
            post_observations, post_returns = batch.post_observations, batch.post_returns
        post_values = self.policy.predict_post_values(post_observations).flatten()
        if self.advantage == "pd_min":
            smaller = torch.minimum(values, post_values)
            return {"value_loss": F.mse_loss(batch.returns, smaller)}
        # (V(s) - R)^2 and (V^x(s^x) - R^x)^2                        [arXiv 2504.05150]
        return {
            "value_loss": F.mse_loss(batch.returns, values),
            "post_value_loss": F.mse_loss(post_returns, post_values),
        }

    # ---- checkpoints and playing ------------------------------------------------------------

    def run_state(self) -> dict[str, np.ndarray]:
        """Roll-outs that are still learned from, the oldest as "0.*"."""
        return {
            f"{number}.{name}": array
            for number, rollout in enumerate(self.rollout_buffer.kept())
            for name, array in rollout.items()
        }

    def set_run_state(self, arrays: dict[str, np.ndarray]) -> None:
        """Go on from what :meth:`run_state` returned."""
        rollouts: dict[int, dict[str, np.ndarray]] = {}
        for key, array in arrays.items():
            number, _, name = key.partition(".")
            rollouts.setdefault(int(number), {})[name] = array
        self.rollout_buffer.set_kept([rollouts[number] for number in sorted(rollouts)])

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
            Take the most probable action instead of a sample.
        action_masks
            Allowed actions, bool (B, sum of action sizes); not needed with
            ``improvement_sweeps``, where the problem says what is allowed.

        Raises
        ------
        ValueError, NotImplementedError
            As in :meth:`agents.common.post_decision_agent.PostDecisionAgent.predict`.
        """
        return super().predict(
            observation, state, episode_start, deterministic, action_masks=action_masks
        )


def _check_expected_outcome(env: VecEnv) -> None:
    if not isinstance(env, SB3VecEnv):
        raise ValueError(
            f"env: expected_outcome=True needs an SB3VecEnv, got {type(env).__name__}, whose states"
            " cannot be seen"
        )
    problem = env.vector_env.problem
    if type(problem).expected_outcome is Problem.expected_outcome:
        raise ValueError(
            f"env: expected_outcome=True, but {type(problem).__name__} has no closed form of the"
            " expected outcome"
        )


def _expected_outcome(env: VecEnv, actions: np.ndarray) -> np.ndarray:
    """E[r^w | s^x] of the current states and these actions, (B,), in the agent's scale."""
    assert isinstance(env, SB3VecEnv)
    batch = env.vector_env.batch
    post_state, _ = batch.problem.post_decision(batch.instance, batch.state, actions)
    expected: np.ndarray = batch.problem.expected_outcome(batch.instance, post_state)
    return env.reward_scale * expected
