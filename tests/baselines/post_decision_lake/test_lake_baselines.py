"""Exact values of the lake against an independent calculation and against simulation."""

from __future__ import annotations

import numpy as np
import pytest

from baselines.common.random_rule import RandomRule
from baselines.post_decision_lake.dynamic_programming import LakeDP, OptimalValue, optimal_policy
from baselines.post_decision_lake.rules import ShortestPath
from or_envs.core import sample, simulate
from or_envs.post_decision_lake.instances import LakeInstance
from or_envs.post_decision_lake.problem import PostDecisionLake


def scalar_values(
    instance: LakeInstance, size: int, discount: float, moves: int
) -> tuple[list[float], list[float]]:
    """V and V^x after ``moves`` backups, cell by cell, from the rules of the lake alone."""
    hole, law, goal = instance.hole[0], instance.drift_probability[0], size * size - 1

    def move(cell: int, direction: int) -> int:
        row, column = divmod(cell, size)
        row += (direction == 1) - (direction == 3)
        column += (direction == 2) - (direction == 0)
        return row * size + column if 0 <= row < size and 0 <= column < size else cell

    def landing(cell: int) -> float:
        row, column = divmod(cell, size)
        return 1 / (1 + (size - 1 - row) + (size - 1 - column)) - 0.05 * hole[cell]

    value = [0.0] * (goal + 1)
    post: list[float] = []
    for _ in range(moves):
        post = []
        for cell in range(goal + 1):
            total = 0.5 * discount * value[cell]
            for direction in range(4):
                there = move(cell, direction)
                total += 0.5 * law[cell, direction] * (landing(there) + discount * value[there])
            post.append(0.0 if cell == goal else total)
        value = [
            0.0
            if cell == goal or hole[cell]
            else max(landing(move(cell, a)) + post[move(cell, a)] for a in range(4))
            for cell in range(goal + 1)
        ]
    return value, post


@pytest.mark.parametrize("map_seed", [0, 3])
def test_values_against_a_scalar_calculation(map_seed: int) -> None:
    problem = PostDecisionLake(size=5, map_seed=map_seed)
    instance, _ = sample(problem, 0, 1)
    dp = LakeDP(problem)
    finite = dp.finite_horizon(30)
    value, post = scalar_values(instance, 5, 1.0, 30)
    np.testing.assert_allclose(finite.value[0], value)
    np.testing.assert_allclose(finite.post_value[0], post)
    endless = dp.discounted(0.9)
    value, post = scalar_values(instance, 5, 0.9, 300)
    np.testing.assert_allclose(endless.value[0], value, atol=1e-9)
    np.testing.assert_allclose(endless.post_value[0], post, atol=1e-9)


@pytest.mark.parametrize("map_seed", range(3))
def test_values_are_decision_reward_plus_post_value(map_seed: int) -> None:
    """V = max_a (r^x + V^x), with r^x and s^x from the problem, where a decision counts."""
    problem = PostDecisionLake(map_seed=map_seed)
    values = LakeDP(problem).discounted(0.95)
    cells = np.flatnonzero(~problem.hole)[:-1]
    instance, _ = sample(problem, 0, len(cells))
    instance, _ = problem.apply_options(instance, None, {"cell": cells})
    state = problem.initial(instance)
    q_values = []
    for action in range(4):
        post, reward = problem.post_decision(instance, state, np.full(len(cells), action))
        q_values.append(reward + values.post_value[0, post.cell])
    np.testing.assert_allclose(np.max(q_values, axis=0), values.value[0, cells], atol=1e-9)
    np.testing.assert_array_equal(np.argmax(q_values, axis=0), values(instance, state))


def test_optimal_policy_earns_its_value() -> None:
    problem = PostDecisionLake(map_seed=1)
    num = 4000
    instance, trace = sample(problem, 0, num)
    policy = optimal_policy(problem)
    rewards = simulate(problem, policy, instance, trace).total_reward
    error = rewards.std(ddof=1) / np.sqrt(num)
    assert abs(rewards.mean() - policy.value[0, 0]) < 3 * error
    assert error < 0.01 * policy.value[0, 0]
    for rule in (RandomRule(problem), ShortestPath(problem)):
        assert simulate(problem, rule, instance, trace).total_reward.mean() < 0.2 * rewards.mean()
    solution = OptimalValue(problem).solve(instance.rows(np.array([0])))
    assert solution.objective == solution.bound == -policy.value[0, 0]
    assert solution.actions is None


@pytest.mark.parametrize("cell", [0, 34, 88])
def test_post_values_by_monte_carlo(cell: int) -> None:
    """E[reward of the outcome and after | s^x] is V^x, undiscounted and discounted."""
    problem = PostDecisionLake(map_seed=1)
    num = 4000
    instance, trace = sample(problem, 7, num)
    instance, _ = problem.apply_options(instance, None, {"cell": np.full(num, cell)})
    dp = LakeDP(problem)
    for discount, values in ((1.0, dp.finite_horizon(100)), (0.9, dp.discounted(0.9))):
        rollout = simulate(problem, values, instance, trace)
        action = rollout.actions[0, 0]
        assert (rollout.actions[:, 0] == action).all()
        weights = discount ** np.arange(rollout.rewards.shape[1])
        after = rollout.rewards @ weights - dp.decision_reward[cell, action]
        expected = values.post_value[0, dp.post_cell[cell, action]]
        error = after.std(ddof=1) / np.sqrt(num)
        # 0.9^100 of a value below 20 is left out by the time limit.
        assert abs(after.mean() - expected) < 3 * error + 20 * 0.9**100 * (discount < 1)


def test_shortest_paths_are_shortest_without_drift() -> None:
    from or_envs.post_decision_lake.instances import distance_to_goal

    for map_seed in range(5):
        problem = PostDecisionLake(map_seed=map_seed)
        instance, trace = sample(problem, 0, 1)
        still = trace.map(np.zeros_like)
        steps = simulate(problem, ShortestPath(problem), instance, still).num_steps
        assert steps[0] == distance_to_goal(problem.hole)[0]


def test_bad_discounts_are_refused() -> None:
    with pytest.raises(ValueError, match=r"discount.*1\.0"):
        LakeDP(PostDecisionLake(size=2)).discounted(1.0)
