"""Uniformly random play, the floor of every comparison."""

from __future__ import annotations

from typing import Any

import numpy as np

from or_envs.core import AnyProblem
from or_envs.core.actions import ActionChecker


class RandomRule:
    """Plays uniformly distributed allowed actions.

    Parameters
    ----------
    problem
        Any problem with a Discrete, MultiDiscrete or bounded Box action space.
    seed
        Seed of the rule's own generator; every call draws on.
    """

    def __init__(self, problem: AnyProblem, seed: int = 0) -> None:
        self.problem = problem
        self._checker = ActionChecker(problem)
        self._rng = np.random.default_rng(seed)

    def __call__(self, instance: Any, state: Any) -> np.ndarray:
        """Draw an action for every batch row."""
        mask = self.problem.action_mask(instance, state)
        return self._checker.sample(mask, state.num, self._rng)
