"""Exact values and optimal policies of the post-decision lake."""

from __future__ import annotations

import dataclasses
import time

import numpy as np

from baselines.common.solution import Solution
from or_envs.core import generators
from or_envs.post_decision_lake.instances import LakeInstance
from or_envs.post_decision_lake.problem import DRIFT, LakeDrift, LakeState, PostDecisionLake


@dataclasses.dataclass(frozen=True)
class LakeValues:
    """Values of an optimal policy: expected (discounted) rewards to come.

    ::

        V(s) = max_a { r^x(s, a) + V^x(s^x) },   V^x(s^x) = E[r^w + gamma V(s')]

    The goal, where no decision is taken, and holes, where every decision ends the episode, have V
    = 0; V^x of a hole is that of having just moved there.

    Attributes
    ----------
    value
        V of every cell by moves played, (T + 1, S), or stationary, (1, S).
    post_value
        V^x of every cell by moves played, (T, S), or stationary, (1, S).
    action
        Optimal actions, as ``post_value``.
    """

    value: np.ndarray
    post_value: np.ndarray
    action: np.ndarray

    def __call__(self, instance: LakeInstance, state: LakeState) -> np.ndarray:
        """Play optimally, (B,)."""
        return self.action[np.minimum(state.period, len(self.action) - 1), state.cell]


class LakeDP:
    """Tabular dynamic programming over the cells of one map.

    Rewards and successors come from the problem's own ``post_decision`` and ``transition``.

    Parameters
    ----------
    problem
        The lake.
    """

    def __init__(self, problem: PostDecisionLake) -> None:
        self.problem = problem
        cells = np.arange(problem.size**2)
        num = len(cells)
        instance = problem.sample_instances(generators(0, num))
        zero = np.zeros(num, dtype=np.int64)
        here = LakeState(cells, np.zeros(num, dtype=np.bool_), zero)
        #: Decision reward (S, 4), post-decision cell (S, 4), and whether the walker sinks (S,).
        self.decision_reward = np.zeros((num, 4))
        self.post_cell = np.zeros((num, 4), dtype=np.int64)
        for action in range(4):
            post, reward = problem.post_decision(instance, here, np.full(num, action))
            self.post_cell[:, action] = post.cell
            self.decision_reward[:, action] = reward
        self.sunk = post.sunk
        #: Expected outcome reward (S,) and law of the next cell (S, S) by post-decision cell;
        #: rows add up to the probability that the episode goes on.
        self.outcome_reward = np.zeros(num)
        self.transition = np.zeros((num, num))
        law = instance.drift_probability[0]
        outcomes = [(np.full(num, 1 - DRIFT), LakeDrift(np.zeros(num, dtype=bool), np.zeros(num)))]
        # Any uniform within a direction's part of [0, 1) gives that direction; the middle does.
        middle = law.cumsum(axis=1) - law / 2
        for direction in range(4):
            drift = LakeDrift(np.ones(num, dtype=bool), middle[:, direction])
            outcomes.append((DRIFT * law[:, direction], drift))
        for probability, drift in outcomes:
            after, reward, terminal = problem.transition(instance, here, drift)
            self.outcome_reward += probability * reward
            np.add.at(self.transition, (cells, after.cell), probability * ~terminal)

    def backup(
        self, value: np.ndarray, discount: float = 1.0
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """One Bellman step from V of the next move: V, V^x and best actions, (S,) each."""
        post_value = self.outcome_reward + discount * (self.transition @ value)
        q_values = self.decision_reward + post_value[self.post_cell]
        q_values[self.sunk] = 0.0
        q_values[-1] = 0.0
        return q_values.max(axis=1), post_value, q_values.argmax(axis=1)

    def discounted(self, discount: float, tolerance: float = 1e-10) -> LakeValues:
        """Solve the infinite horizon, with an error of at most ``tolerance``.

        Raises
        ------
        ValueError
            If ``discount`` is not in (0, 1).
        """
        if not 0 < discount < 1:
            raise ValueError(f"discount: expected a number in (0, 1), got {discount!r}")
        value = np.zeros(len(self.post_cell))
        while True:
            new, post_value, action = self.backup(value, discount)
            error = np.abs(new - value).max() * discount / (1 - discount)
            value = new
            if error <= tolerance:
                return LakeValues(value[None], post_value[None], action[None])

    def finite_horizon(self, horizon: int) -> LakeValues:
        """Solve ``horizon`` undiscounted moves, with nothing after the time limit."""
        cells = len(self.post_cell)
        value = np.zeros((horizon + 1, cells))
        post_value = np.zeros((horizon, cells))
        action = np.zeros((horizon, cells), dtype=np.int64)
        for move in reversed(range(horizon)):
            value[move], post_value[move], action[move] = self.backup(value[move + 1])
        return LakeValues(value, post_value, action)


def optimal_policy(problem: PostDecisionLake, seed: int = 0) -> LakeValues:
    """Return the rule with the largest expected reward within the time limit."""
    return LakeDP(problem).finite_horizon(problem.horizon)


class OptimalValue:
    """Minus the expected reward of an optimal policy: a bound on the cost of all policies.

    Parameters
    ----------
    problem
        The lake.
    seed
        Not needed.
    """

    def __init__(self, problem: PostDecisionLake, seed: int = 0) -> None:
        self._values = optimal_policy(problem)

    def solve(
        self,
        instance: LakeInstance,
        exogenous: LakeDrift | None = None,
        time_limit: float | None = None,
    ) -> Solution:
        """Look V(s_0) up; the trace is ignored."""
        start = time.perf_counter()
        cost = -float(self._values.value[0, instance.start[0]])
        return Solution(None, cost, cost, "optimal", time.perf_counter() - start)
