"""Checking numpy action batches against spaces and masks."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import gymnasium as gym
import numpy as np
from gymnasium.error import InvalidAction

if TYPE_CHECKING:
    from or_envs.core.problem import AnyProblem


class ActionChecker:
    """Validates batches of actions of one problem.

    Parameters
    ----------
    problem
        Its ``action_space`` must be Discrete, MultiDiscrete (one-dimensional) or Box.
    """

    def __init__(self, problem: AnyProblem) -> None:
        space = problem.action_space
        self.space = space
        self.shape: tuple[int, ...] = space.shape or ()
        if isinstance(space, gym.spaces.Discrete):
            self.sizes = np.array([space.n])
        elif isinstance(space, gym.spaces.MultiDiscrete):
            self.sizes = space.nvec.astype(np.int64)
        elif isinstance(space, gym.spaces.Box):
            self.sizes = np.array([], dtype=np.int64)
        else:
            raise ValueError(f"action_space: expected Discrete, MultiDiscrete or Box, got {space}")
        self.discrete = not isinstance(space, gym.spaces.Box)
        # A masked MultiDiscrete action is looked up at these columns of the side-by-side mask.
        self.offsets = np.concatenate([[0], np.cumsum(self.sizes)[:-1]]).astype(np.int64)
        # Imported here, because "import or_envs" must stay light.
        from or_envs.core import kernels

        self._outside, self._masked, self._pick = (
            kernels.outside,
            kernels.masked,
            kernels.pick_allowed,
        )

    def in_space(self, actions: Any, num: int) -> np.ndarray:
        """Return a copy of the actions as an array of shape (num, *space.shape).

        Raises
        ------
        gymnasium.error.InvalidAction
            If shape, kind of number or range is wrong.
        """
        actions = np.array(actions)  # a copy, because states may keep it
        if actions.shape != (num, *self.shape):
            raise InvalidAction(
                f"action: expected shape {self.shape} per environment, got {actions.shape[1:]}"
                f" for {len(actions) if actions.ndim else 0} of {num} environments"
            )
        if self.discrete:
            if actions.dtype.kind not in "iu":
                raise InvalidAction(f"action: expected integers, got dtype {actions.dtype}")
            if actions.dtype != np.int64:
                actions = actions.astype(np.int64)
            row = self._outside(actions.reshape(num, -1), self.sizes)
        else:
            actions = actions.astype(self.space.dtype)
            low, high = self.space.low, self.space.high  # type: ignore[union-attr]
            inside = ((actions >= low) & (actions <= high)).reshape(num, -1).all(axis=1)
            row = -1 if inside.all() else int(inside.argmin())
        if row >= 0:
            raise InvalidAction(
                f"action: {actions[row].tolist()} of environment {row} is outside {self.space}"
            )
        return actions

    def masked(self, mask: np.ndarray | None, actions: np.ndarray) -> np.ndarray | None:
        """Rows with a masked action, bool (B,); ``None`` if there is none."""
        if mask is None:
            return None
        illegal = np.empty(len(actions), np.bool_)
        found = self._masked(mask, actions.reshape(len(actions), -1), self.offsets, illegal)
        return illegal if found else None

    def best(self, scores: np.ndarray) -> np.ndarray:
        """Return the action with the highest score (or the first allowed) in every component."""
        components = [
            part.argmax(axis=1) for part in np.split(scores, self.offsets[1:].tolist(), axis=1)
        ]
        return np.stack(components, axis=1).reshape(len(scores), *self.shape)

    def sample(self, mask: np.ndarray | None, num: int, rng: np.random.Generator) -> np.ndarray:
        """Draw uniformly distributed allowed actions of shape (num, *space.shape)."""
        if not self.discrete:
            low, high = self.space.low, self.space.high  # type: ignore[union-attr]
            draws: np.ndarray = rng.uniform(low, high, size=(num, *self.shape))
            return draws.astype(self.space.dtype)
        draws = rng.random((num, len(self.sizes)))
        if mask is None:
            actions = (draws * self.sizes).astype(np.int64)
        else:
            actions = self._pick(draws, mask, self.sizes, self.offsets)
        return actions.reshape(num, *self.shape)
