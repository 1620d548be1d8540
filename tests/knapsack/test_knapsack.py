"""The knapsack environment: hand cases, masks, ends, families."""

import gymnasium as gym
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import or_envs
from or_envs.knapsack.generators import FAMILIES
from or_envs.knapsack.problem import Knapsack, KnapsackInstance
from tests.routing.helpers import best_reward, play_random

OPTIONS = {"value": [60.0, 100.0, 120.0], "weight": [10.0, 20.0, 30.0], "capacity": 50.0}


def episode(mode, actions, options=OPTIONS):
    """Rewards of an episode, its last mask, and whether it is over."""
    env = gym.make("or_envs/Knapsack-v0", num_items=3, mode=mode)
    env.reset(seed=0, options=options)
    steps = [env.step(action) for action in actions]
    return [step[1] for step in steps], env.unwrapped.action_masks().tolist(), steps[-1][2]


def test_an_item_leaves_the_others_that_fit():
    rewards, mask, over = episode("bq", [2])
    assert rewards == [120.0]
    assert mask == [True, True, False, False]  # no stop while something fits
    assert not over
    assert episode("direct", [2])[1] == [True, True, False, True]


def test_the_end_is_where_nothing_fits_or_at_the_stop():
    assert episode("bq", [2, 1])[0::2] == ([120.0, 100.0], True)
    assert episode("direct", [2, 1])[2] is False
    assert episode("direct", [2, 1, 3])[0::2] == ([120.0, 100.0, 0.0], True)
    assert episode("direct", [3])[0::2] == ([0.0], True)


@pytest.mark.parametrize("mode", ["bq", "direct"])
def test_a_knapsack_too_small_for_everything_is_one_stop(mode):
    env = gym.make("or_envs/Knapsack-v0", num_items=3, mode=mode)
    env.reset(seed=0, options={**OPTIONS, "capacity": 5.0})
    assert env.unwrapped.action_masks().tolist() == [False, False, False, True]
    assert env.step(3)[1:4] == (0.0, True, False)


@pytest.mark.parametrize("mode", ["bq", "direct"])
def test_a_masked_item_ends_the_episode_without_reward(mode):
    env = gym.make("or_envs/Knapsack-v0", num_items=3, mode=mode)
    env.reset(seed=0, options=OPTIONS)
    env.step(2)
    _, reward, terminated, _, info = env.step(2)
    assert (reward, terminated) == (0.0, True)
    assert "item 2 is packed already, or too heavy" in info["invalid_action"]


def test_the_observation_is_the_tail():
    problem = Knapsack(3)
    instance = KnapsackInstance(
        np.array([OPTIONS["value"]]), np.array([OPTIONS["weight"]]), np.array([50.0])
    )
    for variant in (problem, problem.compiled()):
        state, _ = variant.post_decision(instance, variant.initial(instance), np.array([2]))
        seen = variant.observation(instance, state)
        np.testing.assert_allclose(seen["value"], [[60 / 120, 100 / 120, 0]], rtol=1e-6)
        np.testing.assert_allclose(seen["weight"], [[10 / 30, 20 / 30, 0]], rtol=1e-6)
        np.testing.assert_allclose(seen["left"], [[20 / 90]], rtol=1e-6)


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 10**6), st.integers(1, 10), st.sampled_from(list(FAMILIES)))
def test_return_is_the_value_of_a_set_that_fits_and_leaves_no_room(seed, size, family):
    problem = Knapsack(size, family=family)
    instance, _ = or_envs.sample(problem, seed, 1)
    played = play_random(problem, instance, seed)
    packed = [action for action in played.actions[0].tolist() if action < size]
    assert len(set(packed)) == len(packed)
    value, weight = instance.value[0], instance.weight[0]
    assert played.total_reward[0] == pytest.approx(value[packed].sum(), rel=1e-12)
    room = instance.capacity[0] - weight[packed].sum()
    assert room >= -1e-9
    assert (np.delete(weight, packed) > room - 1e-9).all()


def test_what_is_left_after_an_item_is_a_knapsack():
    """Its best completion is the optimum of the other items and the rest of the capacity."""
    problem = Knapsack(6, family="weakly_correlated", capacity=1500.0)
    instance, _ = or_envs.sample(problem, 1, 1)
    first = int(instance.weight[0].argmin())
    state, reward = problem.post_decision(instance, problem.initial(instance), np.array([first]))
    assert state.left[0] == 1500 - instance.weight[0, first]
    rest = KnapsackInstance(
        np.delete(instance.value, first, axis=1),
        np.delete(instance.weight, first, axis=1),
        state.left,
    )
    smaller = Knapsack(5, family="weakly_correlated")
    expected = reward[0] + best_reward(smaller, rest)

    def best_after(state, so_far):
        if not state.remaining.any():
            return so_far
        values = []
        for item in np.flatnonzero(state.remaining[0]):
            following, more = problem.post_decision(instance, state, np.array([item]))
            values.append(best_after(following, so_far + more[0]))
        return max(values)

    assert best_after(state, reward[0]) == expected
