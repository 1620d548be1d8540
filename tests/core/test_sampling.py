"""Draws: discrete laws by inversion, and allowed actions."""

import numpy as np

import or_envs
from or_envs import simulate
from or_envs.core.actions import ActionChecker
from or_envs.core.sampling import invert
from or_envs.routing.tsp import TSP


def test_inversion():
    cumulative = np.cumsum([[[0.2, 0.5, 0.3], [0.0, 0.0, 1.0]]], axis=2)
    draws = np.array([0.0, 0.19, 0.21, 0.69, 0.71, 0.999])
    values = invert(np.stack([draws, draws], axis=1)[None], cumulative)
    np.testing.assert_array_equal(values[0, :, 0], [0, 0, 1, 1, 2, 2])
    np.testing.assert_array_equal(values[0, :, 1], 2)


def test_allowed_actions_are_equally_likely():
    checker = ActionChecker(or_envs.make_problem("or_envs/TSP-v0", num_cities=5))
    mask = np.array([[False, True, False, True, True]])
    drawn = checker.sample(mask, 6000, np.random.default_rng(0))
    values, counts = np.unique(drawn, return_counts=True)
    np.testing.assert_array_equal(values, [1, 3, 4])
    assert abs(counts - 2000).max() < 150


class StopsEarly(TSP):
    def transition(self, instance, post_state, exogenous):
        following, reward, terminal = super().transition(instance, post_state, exogenous)
        return following, reward, terminal | (instance.coordinates[:, 1, 0] < 0.5)


def test_nothing_is_earned_after_the_end():
    problem = StopsEarly(5)
    instance, _ = or_envs.sample(problem, 0, 20)
    rollout = simulate(problem, np.tile([1, 2, 3, 4], (20, 1)), instance)
    assert set(rollout.num_steps) == {1, 4}
    for rewards, steps in zip(rollout.rewards, rollout.num_steps, strict=True):
        assert (rewards[:steps] < 0).all()
        assert (rewards[steps:] == 0).all()
