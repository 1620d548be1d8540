"""Decisions from post-decision values: Q(s, a) = r^x(s, a) + V^x(f(s, a)) without simulation.

The effect f of a decision is known, so a critic of post-decision states scores any decision. With
one component it finds the best one; with several it climbs, one component after the other.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import gymnasium as gym
import numpy as np

from or_envs.core.batch import cast
from or_envs.core.problem import AnyProblem

#: Observations of post-decision states -> their values (N,), in the agent's scale.
PostValues = Callable[[Any], np.ndarray]


class PostDecisionSearch:
    """Scores and improves decisions of one problem by a critic of post-decision states.

    Parameters
    ----------
    problem
        With Discrete or MultiDiscrete actions.
    post_values
        The critic.
    reward_scale
        Factor between the problem's rewards and the critic's.

    Raises
    ------
    ValueError
        If the actions are continuous.
    """

    def __init__(
        self, problem: AnyProblem, post_values: PostValues, reward_scale: float = 1.0
    ) -> None:
        space = problem.action_space
        if isinstance(space, gym.spaces.Discrete):
            self.sizes = np.array([space.n])
        elif isinstance(space, gym.spaces.MultiDiscrete):
            self.sizes = space.nvec.astype(np.int64)
        else:
            raise ValueError(f"action_space: expected Discrete or MultiDiscrete, got {space}")
        self.problem = problem.compiled()
        self.post_values = post_values
        self.reward_scale = reward_scale
        self._flat = isinstance(space, gym.spaces.Discrete)
        self._offsets = np.concatenate([[0], np.cumsum(self.sizes)])

    def values(self, instance: Any, state: Any, action: np.ndarray) -> np.ndarray:
        """Q of one decision (B, ...) per state, (B,), in the agent's scale."""
        post_state, reward = self.problem.post_decision(instance, state, action)
        seen = cast(self.problem.observation_space, self.problem.observation(instance, post_state))
        return np.asarray(reward * self.reward_scale + self.post_values(seen), dtype=np.float64)

    def component_values(
        self, instance: Any, state: Any, action: np.ndarray, component: int
    ) -> np.ndarray:
        """Q of all values of one component, the others as in ``action``; forbidden ones -inf.

        Parameters
        ----------
        instance, state
            B of each.
        action
            Integers (B, K), or (B,) for Discrete actions.
        component
            Which of the K.

        Returns
        -------
        numpy.ndarray
            (B, number of values of the component).
        """
        num, size = state.num, int(self.sizes[component])
        first = int(self._offsets[component])
        row, choice = np.nonzero(self.allowed(instance, state)[:, first : first + size])
        changed = action[row]
        if self._flat:
            changed = choice
        else:
            changed[:, component] = choice
        values = np.full((num, size), -np.inf)
        values[row, choice] = self.values(instance.rows(row), state.rows(row), changed)
        return values

    def all_values(self, instance: Any, state: Any, action: np.ndarray) -> np.ndarray:
        """Q of all decisions that differ from ``action`` in one component, side by side.

        Returns
        -------
        numpy.ndarray
            (B, sum of the components' sizes), laid out as masks are; forbidden ones -inf.
        """
        return np.concatenate(
            [
                self.component_values(instance, state, action, component)
                for component in range(len(self.sizes))
            ],
            axis=1,
        )

    def improve(
        self, instance: Any, state: Any, action: np.ndarray, max_sweeps: int
    ) -> tuple[np.ndarray, np.ndarray]:
        """Coordinate ascent on Q: set each component in turn to its best value.

        Stops for a state as soon as a sweep changes nothing; for Discrete actions one sweep is
        exact.

        Parameters
        ----------
        instance, state
            B of each.
        action
            Legal decisions to start from.
        max_sweeps
            Sweeps over the components, at most.

        Returns
        -------
        tuple
            Decisions as good or better, and their Q (B,).
        """
        action = np.array(action)
        best = np.empty(state.num)
        active = np.arange(state.num)
        for _ in range(max_sweeps):
            here, there = instance.rows(active), state.rows(active)
            before = action[active]
            now = before.copy()
            for component in range(len(self.sizes)):
                values = self.component_values(here, there, now, component)
                chosen = values.argmax(axis=1)
                if self._flat:
                    now = chosen
                else:
                    now[:, component] = chosen
                best[active] = np.take_along_axis(values, chosen[:, None], axis=1)[:, 0]
            action[active] = now
            changed = (now != before).reshape(len(active), -1).any(axis=1)
            active = active[changed]
            if len(self.sizes) == 1 or not len(active):
                break
        return action, best

    def allowed(self, instance: Any, state: Any) -> np.ndarray:
        """Legal values of all components side by side, bool (B, sum of sizes)."""
        size = int(self._offsets[-1])
        mask = self.problem.action_mask(instance, state)
        if mask is None:
            return np.ones((state.num, size), dtype=np.bool_)
        return np.broadcast_to(mask, (state.num, size))
