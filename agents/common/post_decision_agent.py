"""What agents share that decide by a critic of post-decision states."""

from __future__ import annotations

import abc
from typing import Any

import numpy as np
import torch
from stable_baselines3.common.base_class import BaseAlgorithm
from stable_baselines3.common.vec_env import VecEnv

from agents.common.post_decision_search import PostDecisionSearch
from or_envs.core.problem import AnyProblem
from or_envs.core.sb3 import SB3VecEnv
from or_envs.core.simulation import Rule


class PostDecisionAgent(BaseAlgorithm):
    """Mixin, named before the SB3 algorithm: decides by coordinate ascent on r^x + V^x.

    The policy has ``post_values`` and a buffer ``reward_scale``, the factor on the rewards that
    its critic learns from.
    """

    @abc.abstractmethod
    def _start(
        self, problem: AnyProblem, instance: Any, state: Any, deterministic: bool
    ) -> np.ndarray:
        """Legal decisions (B, ...) that the ascent starts from."""

    @abc.abstractmethod
    def _max_sweeps(self) -> int:
        """Sweeps of the ascent, at most; 0 plays the start."""

    def search(self, problem: AnyProblem) -> PostDecisionSearch:
        """Return the search over the decisions of a problem by the present critic."""
        policy: Any = self.policy
        return PostDecisionSearch(problem, policy.post_values, float(policy.reward_scale))

    def decision_rule(self, problem: AnyProblem, deterministic: bool = True) -> Rule:
        """Return the rule ``(instance, state) -> actions``, batched, for a problem."""
        search = self.search(problem) if self._max_sweeps() else None

        def rule(instance: Any, state: Any) -> np.ndarray:
            start = self._start(problem, instance, state, deterministic)
            if search is None:
                return start
            return search.improve(instance, state, start, self._max_sweeps())[0]

        return rule

    def predict(
        self,
        observation: Any,
        state: tuple[np.ndarray, ...] | None = None,
        episode_start: np.ndarray | None = None,
        deterministic: bool = False,
        **masks: Any,
    ) -> tuple[np.ndarray, tuple[np.ndarray, ...] | None]:
        """Decide from observations, as in SB3.

        Raises
        ------
        ValueError
            If the ascent needs the problem and the model was loaded without an environment, or
            observations of this variant of the problem do not determine its state.
        NotImplementedError
            If observations of the problem never do; use :meth:`decision_rule`.
        """
        if not self._max_sweeps():
            return self.policy.predict(observation, state, episode_start, deterministic, **masks)
        problem = self._problem()
        seen, batched = self.policy.obs_to_tensor(observation)
        if isinstance(seen, dict):
            instance, now = problem.decode({key: part.cpu().numpy() for key, part in seen.items()})
        else:
            instance, now = problem.decode(seen.cpu().numpy())
        actions = self.decision_rule(problem, deterministic)(instance, now)
        return (actions if batched else actions.squeeze(axis=0)), state

    def _problem(self) -> AnyProblem:
        if self.env is None:
            raise ValueError("predict: decisions need the problem; load the model with env=...")
        problem: AnyProblem = self.env.get_attr("problem")[0]
        return problem

    def _native(self, env: VecEnv) -> SB3VecEnv:
        """Return the environment, if it shows its states and pays what the critic learns."""
        if not isinstance(env, SB3VecEnv):
            raise ValueError(f"env: expected an SB3VecEnv, got {type(env).__name__}")
        scale = float(self.policy.reward_scale)  # type: ignore[arg-type]
        if not np.isclose(env.reward_scale, scale):
            raise ValueError(
                f"env: has reward_scale {env.reward_scale}, but the critic has learned with {scale}"
            )
        return env


def reward_scale(env: VecEnv | None) -> torch.Tensor:
    """Factor on the rewards that an agent in this environment sees."""
    scale = env.reward_scale if isinstance(env, SB3VecEnv) else 1.0
    return torch.tensor(scale, dtype=torch.float64)


def stack_observations(observations: list[Any]) -> Any:
    """One batch of single observations, arrays or dicts of arrays."""
    if isinstance(observations[0], dict):
        return {key: np.stack([one[key] for one in observations]) for key in observations[0]}
    return np.stack(observations)
