"""Costs of parametric rules on common training episodes, many parameters in one roll-out."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Generic, TypeVar

import numpy as np

from baselines.common.training import training_episodes
from or_envs.core import AnyProblem, Rule, simulate

P = TypeVar("P", bound=AnyProblem)

#: Rows of one roll-out; their traces have to fit into memory.
_ROWS = 3000


class RuleFitness(Generic[P]):
    """Mean costs of rules on common training episodes.

    Parameters
    ----------
    problem
        The problem.
    rule
        Makes a rule of parameters (B, k), a row of them for each batch row.
    seed
        Picks the training episodes.
    num_episodes
        How many.
    """

    def __init__(
        self,
        problem: P,
        rule: Callable[[np.ndarray], Rule],
        seed: int,
        num_episodes: int,
    ) -> None:
        self.problem = problem
        self.rule = rule
        self.num_episodes = num_episodes
        self._instance: Any
        self._instance, self._exogenous = training_episodes(problem, seed, num_episodes)

    def __call__(self, parameters: np.ndarray) -> np.ndarray:
        """Mean cost (P,) of the rule of each row of ``parameters``, (P, k)."""
        size = max(1, _ROWS // self.num_episodes)
        return np.concatenate(
            [
                self._costs(parameters[start : start + size])
                for start in range(0, len(parameters), size)
            ]
        )

    def _costs(self, parameters: np.ndarray) -> np.ndarray:
        # Rule by rule, all episodes side by side: one roll-out of rules x episodes rows.
        episode = np.tile(np.arange(self.num_episodes), len(parameters))
        rule = self.rule(np.repeat(parameters, self.num_episodes, axis=0))
        exogenous = None if self._exogenous is None else self._exogenous.rows(episode)
        rollout = simulate(self.problem, rule, self._instance.rows(episode), exogenous)
        return -rollout.total_reward.reshape(len(parameters), -1).mean(axis=1)
