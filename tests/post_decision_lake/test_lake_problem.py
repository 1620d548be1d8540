"""The lake: hand cases of moves, drifts, holes and ends; the law; the maps."""

import dataclasses

import gymnasium as gym
import numpy as np
import pytest

from or_envs import sample
from or_envs.post_decision_lake.instances import distance_to_goal, generate
from or_envs.post_decision_lake.problem import LakeDrift, LakeState, PostDecisionLake

LEFT, DOWN, RIGHT, UP = range(4)


def lake(hole=()):
    """A 3 x 3 lake with the given holes; drifts go left, down, right, up w.p. .1, .2, .3, .4."""
    problem = PostDecisionLake(size=3)
    instance, _ = sample(problem, 0, 1)
    broken = np.zeros((1, 9), dtype=bool)
    broken[0, list(hole)] = True
    law = np.broadcast_to([0.1, 0.2, 0.3, 0.4], (1, 9, 4)).copy()
    return problem, dataclasses.replace(instance, hole=broken, drift_probability=law)


def step(problem, instance, cell, action, drift=None):
    """(cell after the move, cell after the drift, decision, outcome, end)."""
    state = LakeState(np.array([cell]), np.array([False]), np.array([0]))
    post, decision = problem.post_decision(instance, state, np.array([action]))
    trace = LakeDrift(np.array([drift is not None]), np.array([0.0 if drift is None else drift]))
    after, outcome, end = problem.transition(instance, post, trace)
    return int(post.cell[0]), int(after.cell[0]), decision[0], outcome[0], bool(end[0])


def test_moves_and_edges():
    problem, instance = lake()
    for action, cell in ((LEFT, 3), (DOWN, 7), (RIGHT, 5), (UP, 1)):
        assert step(problem, instance, 4, action)[0] == cell
    for cell, action in ((0, LEFT), (0, UP), (6, DOWN), (2, RIGHT)):
        assert step(problem, instance, cell, action)[0] == cell


def test_every_landing_is_rewarded_by_its_distance():
    """From 0 right to 1 (distance 3), drift down to 4 (distance 2)."""
    problem, instance = lake()
    assert step(problem, instance, 0, RIGHT) == (1, 1, 1 / 4, 0, False)
    assert step(problem, instance, 0, RIGHT, 0.15) == (1, 4, 1 / 4, 1 / 3, False)
    assert step(problem, instance, 0, LEFT, 0.05) == (0, 0, 1 / 5, 1 / 5, False)


def test_the_direction_comes_from_the_law_by_inversion():
    problem, instance = lake()
    for uniform, cell in (
        (0.0, 3), (0.0999, 3), (0.1001, 7), (0.2999, 7), (0.3001, 5), (0.5999, 5), (0.6001, 1),
        (0.9999, 1),
    ):  # fmt: skip
        assert step(problem, instance, 1, DOWN, uniform)[1] == cell


def test_goal_by_move_ends_without_drift_and_by_drift_ends():
    problem, instance = lake()
    assert step(problem, instance, 5, DOWN, 0.7) == (8, 8, 1.0, 0, True)
    assert step(problem, instance, 4, RIGHT, 0.2) == (5, 8, 1 / 2, 1.0, True)


def test_holes():
    """A landing in hole 4 costs 1/20; a drift may lead out; a decision in it ends with 0."""
    problem, instance = lake(hole=[4])
    assert step(problem, instance, 1, DOWN) == (4, 4, 1 / 3 - 0.05, 0, False)
    assert step(problem, instance, 1, DOWN, 0.4) == (4, 5, 1 / 3 - 0.05, 1 / 2, False)
    assert step(problem, instance, 0, RIGHT, 0.15) == (1, 4, 1 / 4, 1 / 3 - 0.05, False)
    for drift in (None, 0.4):
        assert step(problem, instance, 4, RIGHT, drift) == (4, 4, 0, 0, True)


def test_time_limit_truncates():
    env = gym.make("or_envs/PostDecisionLake-v0", horizon=2)
    env.reset(seed=0)
    assert env.step(LEFT)[2:4] == (False, False)
    assert env.step(LEFT)[2:4] == (False, True)


def test_drift_frequencies():
    problem = PostDecisionLake()
    _, trace = sample(problem, 0, 400)
    count = trace.drifts.size
    assert abs(trace.drifts.mean() - 0.5) < 4 * 0.5 / np.sqrt(count)
    assert abs(trace.direction.mean() - 0.5) < 4 / np.sqrt(12 * count)
    # Independent of each other.
    when = trace.direction[trace.drifts].mean() - trace.direction[~trace.drifts].mean()
    assert abs(when) < 4 * np.sqrt(4 / (12 * count))


def test_drifts_follow_the_law_of_the_cell():
    """From the middle of a real map, one move and the drift after it."""
    problem = PostDecisionLake(size=5, map_seed=3)
    num = 20_000
    instance, trace = sample(problem, 1, num)
    state = LakeState(np.full(num, 12), np.zeros(num, dtype=bool), np.zeros(num, dtype=int))
    free = dataclasses.replace(instance, hole=np.zeros_like(instance.hole))
    post, _ = problem.post_decision(free, state, np.full(num, UP))
    now = problem.exogenous_at(trace, np.zeros(num, dtype=int))
    after, _, _ = problem.transition(free, post, now)
    law = instance.drift_probability[0, 7]
    expected = np.array([0.5, *(0.5 * law)]) * num
    counts = np.array([(after.cell == cell).sum() for cell in (7, 6, 12, 8, 2)])
    assert ((counts - expected) ** 2 / expected).sum() < 20  # chi-square, 4 degrees of freedom


def test_maps():
    frozen = []
    for seed in range(60):
        data = generate(10, seed)
        hole = data.hole[0]
        assert not hole[0]
        assert not hole[-1]
        assert np.isfinite(distance_to_goal(hole)[0])
        np.testing.assert_array_equal(data.hole, generate(10, seed).hole)
        np.testing.assert_allclose(data.drift_probability.sum(axis=2), 1)
        np.testing.assert_array_equal(data.drift_probability, generate(10, 0).drift_probability)
        frozen.append(~hole[1:-1])
    # A little above 0.8, since maps without a path are thrown away.
    assert 0.78 < np.mean(frozen) < 0.86
    assert len({row.tobytes() for row in frozen}) == 60


def test_distance_to_goal_by_hand():
    """S . #
    . # .
    . . G"""
    hole = np.array([0, 0, 1, 0, 1, 0, 0, 0, 0], dtype=bool)
    assert distance_to_goal(hole).tolist() == [4, 5, np.inf, 3, np.inf, 1, 2, 1, 0]


def test_forced_start():
    env = gym.make("or_envs/PostDecisionLake-v0", size=3)
    observation, _ = env.reset(seed=0, options={"cell": 5})
    assert observation.tolist() == [0, 0, 0, 0, 0, 1, 0, 0, 0]
    for bad, message in ((8, "goal is 8"), (-1, "0..7"), (1.5, "integers"), ([1, 2], "shape")):
        with pytest.raises(ValueError, match=message):
            env.reset(options={"cell": bad})


def test_two_policies_meet_the_same_drifts():
    """The k-th move of an episode has the same drift whatever was played before it."""
    problem = PostDecisionLake(size=3)
    _, trace = sample(problem, 5, 200)
    for column in range(3):
        now = problem.exogenous_at(trace, np.full(200, column))
        np.testing.assert_array_equal(now.drifts, trace.drifts[:, column])
        np.testing.assert_array_equal(now.direction, trace.direction[:, column])


def test_bad_arguments():
    for name, value in (("size", 1), ("map_seed", -1), ("horizon", 0)):
        with pytest.raises(ValueError, match=rf"{name}: .*got {value}"):
            PostDecisionLake(**{name: value})
