"""Decisions from post-decision values: Q(s, a) = r^x(s, a) + V^x(f(s, a)) without simulation.

The effect f of a decision is known, so a critic of post-decision states scores any decision. With
one component it finds the best one; with several it climbs, one component after the other.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from or_envs.core.actions import ActionChecker
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
        checker = ActionChecker(problem)
        if not checker.discrete:
            raise ValueError(
                f"action_space: expected Discrete or MultiDiscrete, got {problem.action_space}"
            )
        self.sizes = checker.sizes
        self._offsets = checker.offsets
        self.problem = problem.compiled()
        self.post_values = post_values
        self.reward_scale = reward_scale

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
        changed.reshape(len(row), len(self.sizes))[:, component] = choice
        values = np.full((num, size), -np.inf)
        if len(row):  # in final states nothing is legal
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

        A component changes only where that is strictly better, or forbidden values are left. A
        state is done when none of its components can be changed any more; for Discrete actions
        one sweep is exact.

        Parameters
        ----------
        instance, state
            B of each.
        action
            Decisions to start from, (B, K), or (B,) for Discrete actions.
        max_sweeps
            Sweeps over the components, at most; at least 1.

        Returns
        -------
        tuple
            Decisions as good or better, shaped as ``action``, and their Q (B,).

        Raises
        ------
        ValueError
            If ``max_sweeps`` is less than 1.
        """
        if max_sweeps < 1:
            raise ValueError(f"max_sweeps: expected an integer >= 1, got {max_sweeps}")
        action = np.array(action, order="C")
        components = action.reshape(state.num, len(self.sizes))  # the same memory
        best = np.empty(state.num)
        # How many components in a row have to stay as they are until a state is done.
        left = np.full(state.num, len(self.sizes))
        for component in list(range(len(self.sizes))) * max_sweeps:
            active = np.flatnonzero(left)
            if not len(active):
                break
            values = self.component_values(
                instance.rows(active), state.rows(active), action[active], component
            )
            row = np.arange(len(active))
            old, new = components[active, component], values.argmax(axis=1)
            better = values[row, new] > values[row, old]
            new = np.where(better, new, old)
            components[active, component] = new
            best[active] = values[row, new]
            left[active] = np.where(better, len(self.sizes), left[active]) - 1
        return action, best

    def allowed(self, instance: Any, state: Any) -> np.ndarray:
        """Legal values of all components side by side, bool (B, sum of sizes)."""
        size = int(self.sizes.sum())
        mask = self.problem.action_mask(instance, state)
        if mask is None:
            return np.ones((state.num, size), dtype=np.bool_)
        return np.broadcast_to(mask, (state.num, size))
