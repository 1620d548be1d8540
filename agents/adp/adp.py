"""Approximate dynamic programming with a post-decision critic (ADP)."""

from __future__ import annotations

from typing import Any, ClassVar

import gymnasium as gym
import numpy as np
import torch
from stable_baselines3.common.buffers import RolloutBuffer
from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.on_policy_algorithm import OnPolicyAlgorithm
from stable_baselines3.common.policies import BasePolicy
from stable_baselines3.common.type_aliases import GymEnv, Schedule
from stable_baselines3.common.utils import explained_variance
from stable_baselines3.common.vec_env import VecEnv
from torch.nn import functional as F

from agents.adp.policies import PostValueMultiInputPolicy, PostValuePolicy
from agents.adp.targets import watkins_targets
from agents.common.post_decision_agent import PostDecisionAgent, reward_scale, stack_observations
from agents.common.safe_files import SafeFiles
from or_envs.core.problem import AnyProblem


class ADP(PostDecisionAgent, SafeFiles, OnPolicyAlgorithm):
    """Approximate policy iteration on the values of post-decision states, without an actor.

    The effect f(s, a) of a decision is known, so one critic V^x of post-decision states scores
    every decision, Q(s, a) = r^x(s, a) + V^x(f(s, a)), and no second expectation is needed
    (Powell, Approximate Dynamic Programming, 2nd ed., sec. 4.6). Decisions maximise Q by
    coordinate ascent over the components of the action. While learning a share ``exploration`` of
    the components is drawn at random, and the critic regresses Watkins's Q(lambda) targets of what
    was played; ``predict`` never explores, whatever ``deterministic`` is.

    Parameters
    ----------
    policy
        "MlpPolicy", or "MultiInputPolicy" for Dict observations.
    env
        An :class:`or_envs.core.sb3.SB3VecEnv` of a stochastic problem with Discrete or
        MultiDiscrete actions.
    learning_rate, n_steps, batch_size, n_epochs, gamma, max_grad_norm, stats_window_size, \
tensorboard_log, policy_kwargs, verbose, seed, device
        As in Stable-Baselines3's PPO.
    trace_decay
        lambda of the targets, in [0, 1].
    exploration
        Probability that a component of a decision is drawn at random while learning, in [0, 1].
    max_sweeps
        Sweeps of the coordinate ascent, at most, while learning and in ``predict``.

    Raises
    ------
    ValueError
        If an argument is outside its range or actions are continuous; in ``learn`` if the
        environment is of another class, deterministic, or has another ``reward_scale`` than the
        one that the critic has learned with.
    """

    policy_aliases: ClassVar[dict[str, type[BasePolicy]]] = {
        "MlpPolicy": PostValuePolicy,
        "MultiInputPolicy": PostValueMultiInputPolicy,
    }
    policy: PostValuePolicy  # type: ignore[assignment]

    def __init__(
        self,
        policy: str | type[PostValuePolicy],
        env: GymEnv | str,
        learning_rate: float | Schedule = 1e-3,
        n_steps: int = 50,
        batch_size: int = 256,
        n_epochs: int = 4,
        gamma: float = 0.97,
        trace_decay: float = 0.5,
        exploration: float = 0.01,
        max_sweeps: int = 3,
        max_grad_norm: float = 1.0,
        stats_window_size: int = 100,
        tensorboard_log: str | None = None,
        policy_kwargs: dict[str, Any] | None = None,
        verbose: int = 0,
        seed: int | None = None,
        device: torch.device | str = "auto",
        _init_setup_model: bool = True,
    ) -> None:
        for name, value in (
            ("gamma", gamma),
            ("trace_decay", trace_decay),
            ("exploration", exploration),
        ):
            if not 0 <= value <= 1:
                raise ValueError(f"{name}: expected a number in [0, 1], got {value}")
        for name, value in (
            ("n_steps", n_steps),
            ("batch_size", batch_size),
            ("n_epochs", n_epochs),
            ("max_sweeps", max_sweeps),
        ):
            if value < 1:
                raise ValueError(f"{name}: expected an integer >= 1, got {value}")
        self.batch_size = batch_size
        self.n_epochs = n_epochs
        self.trace_decay = trace_decay
        self.exploration = exploration
        self.max_sweeps = max_sweeps
        super().__init__(
            policy,  # type: ignore[arg-type]
            env,
            learning_rate=learning_rate,
            n_steps=n_steps,
            gamma=gamma,
            gae_lambda=1.0,
            ent_coef=0.0,
            vf_coef=1.0,
            max_grad_norm=max_grad_norm,
            use_sde=False,
            sde_sample_freq=-1,
            stats_window_size=stats_window_size,
            tensorboard_log=tensorboard_log,
            policy_kwargs=policy_kwargs,
            verbose=verbose,
            seed=seed,
            device=device,
            _init_setup_model=_init_setup_model,
        )

    def _setup_model(self) -> None:
        if not isinstance(self.action_space, gym.spaces.Discrete | gym.spaces.MultiDiscrete):
            raise ValueError(
                f"env: ADP needs Discrete or MultiDiscrete actions, got {self.action_space}"
            )
        super()._setup_model()
        self.policy.reward_scale.copy_(reward_scale(self.env))

    # ---- deciding ---------------------------------------------------------------------------

    def _start(
        self, problem: AnyProblem, instance: Any, state: Any, deterministic: bool
    ) -> np.ndarray:
        return np.asarray(problem.passive_action(instance, state))

    def _max_sweeps(self) -> int:
        return self.max_sweeps

    # ---- collecting -------------------------------------------------------------------------

    def collect_rollouts(
        self,
        env: VecEnv,
        callback: BaseCallback,
        rollout_buffer: RolloutBuffer,
        n_rollout_steps: int,
    ) -> bool:
        """Play ``n_rollout_steps`` steps of every environment and compute the critic's targets.

        The buffer holds post-decision observations, and the targets as their returns.
        """
        batch = self._native(env).vector_env.batch
        if batch.exogenous is None:
            raise ValueError(
                "env: ADP learns from what follows post-decision states, and the environment of a"
                " deterministic problem does not show them"
            )
        search = self.search(batch.problem)
        self.policy.set_training_mode(False)
        rollout_buffer.reset()
        callback.on_rollout_start()
        steps: dict[str, list[np.ndarray]] = {
            name: [] for name in ("post", "exogenous", "ended", "cut", "explored", "best")
        }
        for _ in range(n_rollout_steps + 1):
            start = self._start(batch.problem, batch.instance, batch.state, True)
            actions, best = search.improve(batch.instance, batch.state, start, self.max_sweeps)
            steps["best"].append(best)
            if len(steps["best"]) > n_rollout_steps:
                break  # the last search only values the states that the roll-out ends in
            actions, explored = self._explore(
                actions, search.allowed(batch.instance, batch.state), search.sizes
            )
            new_obs, rewards, dones, infos = env.step(actions)
            self.num_timesteps += env.num_envs
            callback.update_locals(locals())
            if not callback.on_step():
                return False
            self._update_info_buffer(infos, dones)
            seen = stack_observations([info["post_decision_obs"] for info in infos])
            rollout_buffer.add(
                seen,
                actions,
                rewards,
                self._last_episode_starts,  # type: ignore[arg-type]
                torch.from_numpy(self.policy.post_values(seen)),
                torch.zeros(env.num_envs),
            )
            cut = np.array([info["TimeLimit.truncated"] for info in infos])
            for name, value in (
                ("post", [info["post_decision_reward"] for info in infos]),
                ("exogenous", [info["exogenous_reward"] for info in infos]),
                ("ended", dones & ~cut),
                ("cut", cut),
                ("explored", explored),
            ):
                steps[name].append(np.asarray(value))
            self._last_obs = new_obs  # type: ignore[assignment]
            self._last_episode_starts = dones
        played = {name: np.stack(values) for name, values in steps.items()}
        rollout_buffer.returns = watkins_targets(
            played["post"],
            played["exogenous"],
            played["ended"],
            played["cut"],
            played["explored"],
            rollout_buffer.values,
            played["best"],
            self.gamma,
            self.trace_decay,
        ).astype(np.float32)
        callback.update_locals(locals())
        callback.on_rollout_end()
        return True

    def _explore(
        self, actions: np.ndarray, allowed: np.ndarray, sizes: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        """Draw some components anew among their legal values; say which rows have changed."""
        explored = np.array(actions, order="C")
        components = explored.reshape(len(actions), -1)  # the same memory
        draw = torch.rand(components.shape).numpy() < self.exploration
        offset = 0
        for component, size in enumerate(sizes):
            rows = np.flatnonzero(draw[:, component])
            if len(rows):
                weights = torch.from_numpy(allowed[rows, offset : offset + size]).float()
                components[rows, component] = torch.multinomial(weights, 1).numpy()[:, 0]
            offset += size
        changed: np.ndarray = (components != actions.reshape(components.shape)).any(axis=1)
        return explored, changed

    # ---- learning ---------------------------------------------------------------------------

    def train(self) -> None:
        """Regress the critic on its targets."""
        self.policy.set_training_mode(True)
        self._update_learning_rate(self.policy.optimizer)
        losses = []
        for _ in range(self.n_epochs):
            for batch in self.rollout_buffer.get(self.batch_size):
                values = self.policy.predict_post_values(batch.observations)
                loss = F.mse_loss(values.flatten(), batch.returns)
                self.policy.optimizer.zero_grad()
                loss.backward()  # type: ignore[no-untyped-call]
                torch.nn.utils.clip_grad_norm_(self.policy.parameters(), self.max_grad_norm)
                self.policy.optimizer.step()
                losses.append(loss.item())
            self._n_updates += 1
        buffer = self.rollout_buffer
        self.logger.record("train/post_value_loss", np.mean(losses))
        self.logger.record(
            "train/explained_variance",
            explained_variance(buffer.values.flatten(), buffer.returns.flatten()),
        )
        self.logger.record("train/n_updates", self._n_updates, exclude="tensorboard")
