"""The TSP: hand cases, brute force, invariants of the tail form."""

import itertools

import gymnasium as gym
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from or_envs import sample, simulate
from or_envs.routing.tour import TourState
from or_envs.routing.tsp import TSP, TSPInstance


def length(cities, tour):
    cities = np.asarray(cities, dtype=float)
    problem = TSP(len(cities))
    return -simulate(problem, np.array([tour]), TSPInstance.euclidean(cities[None])).total_reward[0]


def test_hand_cases():
    square = [(0, 0), (1, 0), (1, 1), (0, 1)]
    assert length(square, [1, 2, 3]) == pytest.approx(4)
    assert length(square, [2, 1, 3]) == pytest.approx(2 + 2 * np.sqrt(2))
    angle = 2 * np.pi * np.arange(100) / 100
    ring = 0.5 * np.stack([np.cos(angle), np.sin(angle)], axis=1)
    assert length(ring, range(1, 100)) == pytest.approx(100 * np.sin(np.pi / 100))
    assert length([(0, 0), (3, 4)], [1]) == pytest.approx(10)
    assert length([(0, 0), (0, 0), (0, 0)], [2, 1]) == 0


def test_episode_of_the_environment():
    env = gym.make("or_envs/TSP-v0", num_cities=4)
    square = np.array([(0, 0), (1, 0), (1, 1), (0, 1)])
    observation, _ = env.reset(seed=0, options={"coordinates": square})
    np.testing.assert_array_equal(observation["remaining"], [0, 1, 1, 1])
    np.testing.assert_array_equal(env.unwrapped.action_masks(), [False, True, True, True])
    assert env.step(1)[1:4] == (-1.0, False, False)
    observation, _, _, _, info = env.step(2)
    np.testing.assert_array_equal(observation["coordinates"], [(0, 0), (0, 0), (0, 0), (0, 1)])
    np.testing.assert_array_equal(observation["origin"], [1, 1])
    np.testing.assert_array_equal(observation["destination"], [0, 0])
    assert info == {}
    assert env.step(3)[1:4] == (-2.0, True, False)


def test_coordinates_option_errors():
    env = gym.make("or_envs/TSP-v0", num_cities=3)
    with pytest.raises(ValueError, match=r"must have shape \(3, 2\)"):
        env.reset(options={"coordinates": [(0, 0)]})
    with pytest.raises(ValueError, match="finite"):
        env.reset(options={"coordinates": [(0, 0), (1, 1), (np.nan, 0)]})


def test_observation_is_scaled_by_the_larger_extent():
    problem = TSP(3)
    instance = TSPInstance.euclidean(np.array([[(100.0, 50.0), (300.0, 50.0), (200.0, 150.0)]]))
    for variant in (problem, problem.compiled()):
        seen = variant.observation(instance, problem.initial(instance))
        np.testing.assert_allclose(seen["coordinates"][0], [(0, 0), (1, 0), (0.5, 0.5)])
        np.testing.assert_allclose(seen["origin"], [(0, 0)])


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 2**32), st.integers(2, 12))
def test_return_is_the_tour_length(seed, num_cities):
    rng = np.random.default_rng(seed)
    cities = 1000 * rng.random((num_cities, 2))
    tour = 1 + rng.permutation(num_cities - 1)
    path = cities[[0, *tour, 0]]
    expected = np.sqrt(((path[1:] - path[:-1]) ** 2).sum(axis=1)).sum()
    assert length(cities, tour) == pytest.approx(expected, rel=1e-12)
    assert length(cities, tour[::-1]) == pytest.approx(expected, rel=1e-12)


def test_bellman_equation_by_brute_force():
    """Dynamic programming over the tail states equals enumeration of all tours (N = 7)."""
    problem = TSP(7)
    instance, _ = sample(problem, 3, 1)
    best = min(length(instance.coordinates[0], t) for t in itertools.permutations(range(1, 7)))
    known = {}

    def value(current, remaining):
        key = current, tuple(np.flatnonzero(remaining))
        if not remaining.any():
            return 0.0
        if key not in known:
            options = []
            for city in np.flatnonzero(remaining):
                state = TourState(
                    np.array([current]),
                    remaining[None],
                    np.zeros((1, 0)),
                    remaining.sum(keepdims=True),
                )
                post, reward = problem.post_decision(instance, state, np.array([city]))
                options.append(-reward[0] + value(int(city), post.remaining[0]))
            known[key] = min(options)
        return known[key]

    assert value(0, np.arange(7) > 0) == pytest.approx(best, rel=1e-12)


def test_equal_tails_look_equal():
    """Two ways to the same city with the same cities left are one state (bisimulation)."""
    problem = TSP(6)
    instance, _ = sample(problem, 0, 1)
    seen = []
    for path in ([1, 2, 3], [2, 1, 3]):
        state = problem.initial(instance)
        for city in path:
            state, _ = problem.post_decision(instance, state, np.array([city]))
        seen.append(problem.observation(instance, state))
    np.testing.assert_equal(seen[0], seen[1])
