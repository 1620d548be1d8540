"""Checking numpy action batches against spaces and masks."""

from __future__ import annotations

from typing import Any

import gymnasium as gym
import numpy as np
from gymnasium.error import InvalidAction

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
            self.sizes = space.nvec
        elif isinstance(space, gym.spaces.Box):
            self.sizes = np.array([], dtype=np.int64)
        else:
            raise ValueError(f"action_space: expected Discrete, MultiDiscrete or Box, got {space}")
        self.discrete = not isinstance(space, gym.spaces.Box)
        # A masked MultiDiscrete action is looked up at these columns of the side-by-side mask.
        self.offsets = np.concatenate([[0], np.cumsum(self.sizes)[:-1]]).astype(np.int64)
        self._largest = int(self.sizes.max()) if self.discrete else 0
        self._equal = self.discrete and bool((self.sizes == self._largest).all())

    def in_space(self, actions: Any, num: int) -> np.ndarray:
        """Return the actions as an array of shape (num, *space.shape).

        Raises
        ------
        gymnasium.error.InvalidAction
            If shape, kind of number or range is wrong.
        """
        actions = np.array(actions)  # a copy: states may keep it
        if actions.shape != (num, *self.shape):
            raise InvalidAction(
                f"action: expected shape {self.shape} per environment, got {actions.shape[1:]}"
                f" for {len(actions) if actions.ndim else 0} of {num} environments"
            )
        if not self.discrete:
            actions = actions.astype(self.space.dtype)
            low, high = self.space.low, self.space.high  # type: ignore[union-attr]
            bad = ~((actions >= low) & (actions <= high))
        else:
            if actions.dtype.kind not in "iu":
                raise InvalidAction(f"action: expected integers, got dtype {actions.dtype}")
            if actions.dtype != np.int64:
                actions = actions.astype(np.int64)
            if self._equal and actions.min() >= 0 and actions.max() < self._largest:
                return actions
            bad = (actions < 0) | (actions >= self.sizes.reshape(self.shape))
        if bad.any():
            row = int(np.argwhere(bad)[0][0])
            raise InvalidAction(
                f"action: {actions[row].tolist()} of environment {row} is outside {self.space}"
            )
        return actions

    def masked(self, mask: np.ndarray | None, actions: np.ndarray) -> np.ndarray | None:
        """Rows with a masked action, bool (B,); ``None`` if there is none."""
        if mask is None:
            return None
        columns = actions.reshape(len(actions), -1) + self.offsets
        if mask.shape[0] == 1:
            allowed = mask[0].take(columns)
        else:
            allowed = np.take_along_axis(mask, columns, axis=1)
        return None if allowed.all() else ~allowed.all(axis=1)

    def sample(self, mask: np.ndarray | None, num: int, rng: np.random.Generator) -> np.ndarray:
        """Draw uniformly distributed allowed actions of shape (num, *space.shape)."""
        if not self.discrete:
            low, high = self.space.low, self.space.high  # type: ignore[union-attr]
            draws: np.ndarray = rng.uniform(low, high, size=(num, *self.shape))
            return draws.astype(self.space.dtype)
        noise = rng.random((num, int(self.sizes.sum())))
        if mask is not None:
            noise[~np.broadcast_to(mask, noise.shape)] = -1.0
        return self.best(noise)

    def best(self, scores: np.ndarray) -> np.ndarray:
        """The action with the highest score in every component."""
        components = [
            part.argmax(axis=1) for part in np.split(scores, self.offsets[1:].tolist(), axis=1)
        ]
        return np.stack(components, axis=1).reshape(len(scores), *self.shape)
